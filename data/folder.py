"""Your own pictures as training or validation data, with the interface of `DIV2K`."""

import re
from pathlib import Path

from data.pairs import PairSource
from data.pictures.folder import Paths, picture_files
from data.sources import files_source, shrunk_source
from data.store import open_store


class ImageFolder(PairSource):
    """Pairs made of HR pictures in a folder, and of LR pictures if there is a folder of them.

    Args:
        hr_dir: Folder of HR pictures, or several.
        lr_dir: Folder of LR pictures (or as many as of HR), named as the HR pictures, with or
            without ``x4`` at the end. None: LR is made by MATLAB's bicubic.
        scale: HR size over LR size.
        caches_dir: Where decoded pictures are kept.
        workers: Threads that decode.
        strict: Stop at an unreadable picture instead of leaving it out.
        report: Called with a sentence on what was left out.

    Raises:
        FileNotFoundError: A folder is missing or has no pictures, or a picture no partner.
        ValueError: The scale is no whole number above 1.
    """

    def __init__(
        self,
        hr_dir,
        lr_dir=None,
        scale=4,
        *,
        caches_dir=".caches",
        workers=None,
        strict=False,
        report=print,
    ):
        if scale not in range(2, 17):
            raise ValueError(f"scale must be a whole number from 2 to 16, got {scale}")
        self.scale = scale
        self.report = report
        self.caches_dir = caches_dir
        self._hr_files = _all_files(hr_dir)
        self._lr_files = lr_dir and _partners(self._hr_files, _all_files(lr_dir), scale)
        self._options = {"workers": workers, "strict": strict, "report": report}

    def stores(self):
        """Return the LR and the HR store, building them when first asked for."""
        hr_name = self._hr_files[0].parent.name
        hr = open_store(self.caches_dir, hr_name, files_source(self._hr_files), **self._options)
        if self._lr_files:
            source, lr_name = files_source(self._lr_files), self._lr_files[0].parent.name
        else:
            source, lr_name = shrunk_source(hr, self.scale), f"{hr_name}-x{self.scale}"
        return open_store(self.caches_dir, lr_name, source, **self._options), hr


def _all_files(directories):
    if isinstance(directories, (str, Path)):
        directories = [directories]
    return picture_files(*directories)


def _partners(hr_files, lr_files, scale):
    """The LR file of each HR file, matched by name without a trailing ``x4``."""
    ending = re.compile(rf"[_-]?x{scale}[a-z]?\d?$", re.IGNORECASE)
    numbers = {ending.sub("", file.stem): number for number, file in enumerate(lr_files)}
    numbers |= {file.stem: number for number, file in enumerate(lr_files)}
    missing = [file.name for file in hr_files if file.stem not in numbers]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} HR pictures have no LR partner in {lr_files[0].parent}; the first: "
            f"{missing[0]}"
        )
    return Paths(lr_files[numbers[file.stem]] for file in hr_files)


def _partners(hr_files, lr_files, scale):
    ending = re.compile(rf"[_-]?x{scale}$", re.IGNORECASE)
    by_name = {ending.sub("", f.stem): f for f in lr_files} | {f.stem: f for f in lr_files}
    missing = [file.name for file in hr_files if file.stem not in by_name]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} HR pictures have no LR partner in {lr_files[0].parent}; the first: "
            f"{missing[0]}"
        )
    return {file: by_name[file.stem] for file in hr_files}
