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
        lr_dir: Folder of LR pictures, named as the HR pictures, with or without ``x4`` at the end;
            or as many folders as of HR, in the same order. None: LR is made by MATLAB's bicubic.
        scale: HR size over LR size.
        caches_dir: Where decoded pictures are kept.
        workers: Threads that decode.
        strict: Stop at an unreadable picture instead of leaving it out.
        report: Called with a sentence on what was left out.

    Raises:
        FileNotFoundError: A folder is missing or has no pictures, or a picture no partner.
        ValueError: The scale is no whole number above 1, or a picture has two partners.
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
        hr_dirs = _folders(hr_dir)
        self._hr_files = picture_files(*hr_dirs)
        self._lr_files = lr_dir and _partners_by_folder(hr_dirs, _folders(lr_dir), scale)
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


def _folders(directories):
    return [directories] if isinstance(directories, (str, Path)) else list(directories)


def _partners_by_folder(hr_dirs, lr_dirs, scale):
    """LR files of several HR folders: the first LR folder is the first HR folder's, and so on."""
    if len(hr_dirs) != len(lr_dirs):
        raise ValueError(
            f"each HR folder needs its LR folder, got {len(hr_dirs)} of HR and {len(lr_dirs)} of LR"
        )
    return Paths(
        partner
        for hr_dir, lr_dir in zip(hr_dirs, lr_dirs, strict=True)
        for partner in matching_files(picture_files(hr_dir), picture_files(lr_dir), scale)
    )


def matching_files(files, others, scale=1):
    """Return the partner of each picture file of a folder among the files of another.

    A partner has the same name. Where there is none, it may have another suffix (``a.jpg`` and
    ``a.png``). A name that could belong to two pictures goes to the one that has no other.

    Args:
        files: Paths of one folder.
        others: Paths of the other folder; those without a partner are passed over.
        scale: Above 1, the other names may end in ``x4``, ``_x4``, ``x4m`` and the like as well.

    Returns:
        `data.pictures.folder.Paths`, one for each of `files`.

    Raises:
        FileNotFoundError: A picture has no partner; names the first.
        ValueError: A picture has more than one; names both.
    """
    choices = _possible_partners(files, others, scale)
    wanted_by = {}
    for number, partners in enumerate(choices):
        for partner in partners:
            wanted_by.setdefault(partner, set()).add(number)
    settled = [number for number, partners in enumerate(choices) if len(partners) == 1]
    for number in settled:  # grows: what has its partner leaves fewer to choose from for others
        for rival in wanted_by[next(iter(choices[number]))] - {number}:
            choices[rival] -= choices[number]
            if len(choices[rival]) == 1:
                settled.append(rival)
            if not choices[rival]:
                _refuse_shared(files[rival], files[number], others, choices[number])
    for file, partners in zip(files, choices, strict=True):
        if len(partners) > 1:
            first, second = sorted(others[n].name for n in partners)[:2]
            raise ValueError(f"{file} has more than one partner: {first} and {second}")
    return Paths(others[next(iter(partners))] for partners in choices)


def _possible_partners(files, others, scale):
    """For each file the numbers of all others whose name fits, of the same suffix if there is one.

    Raises `FileNotFoundError` for a file that has none.
    """
    ending = re.compile(rf"[_-]?x{scale}(m|d|w\d)?$", re.IGNORECASE)  # m, d, w1: DIV2K
    by_stem = {}
    for number, file in enumerate(others):
        for stem in {file.stem, ending.sub("", file.stem) if scale > 1 else file.stem}:
            by_stem.setdefault(stem, {})[number] = file.suffix
    missing = [file for file in files if file.stem not in by_stem]
    if missing:
        kinds = ("HR pictures", "LR partner") if scale > 1 else ("pictures", "partner")
        raise FileNotFoundError(
            f"{len(missing)} {kinds[0]} have no {kinds[1]} in {others[0].parent}; the first: "
            f"{missing[0].name}"
        )
    fitting = (by_stem[file.stem] for file in files)
    return [
        {n for n in fits if fits[n] == file.suffix} or set(fits)
        for file, fits in zip(files, fitting, strict=True)
    ]


def _refuse_shared(file, other_file, others, partner):
    shared = others[next(iter(partner))]
    raise ValueError(f"{shared} would be the partner of both {other_file.name} and {file.name}")
