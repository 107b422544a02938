"""DIV2K: 800 training and 100 validation photographs of about 2K, in every track of NTIRE
2017 and 2018 (Agustsson and Timofte, CVPR workshops 2017).

Archives are fetched and checksummed by `tensorflow-datasets`, which knows them all; a folder that
already has DIV2K's layout is used as it is.
"""

import os
import shutil
from pathlib import Path

from data.folder import ImageFolder

_URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
_TRACKS = {"bicubic": (2, 3, 4, 8), "unknown": (2, 3, 4), "mild": (4,), "difficult": (4,)}
_PICTURES = {"train": 800, "valid": 100}


class DIV2K(ImageFolder):
    """Pairs of one scale, subset and track; the blog's signature.

    Args:
        scale: 2, 3, 4, or 8 (bicubic only).
        subset: "train" (0001 to 0800) or "valid" (0801 to 0900).
        downgrade: "bicubic", "unknown", or at ×4 "mild" or "difficult".
        images_dir: Where the pictures are, or are fetched to.
        caches_dir: Where decoded pictures are kept.
        report: Called with a sentence on what is fetched or left out.

    Raises:
        ValueError: There is no such subset or track.
        OSError: It is not there and could not be fetched; says how to do it by hand.
    """

    def __init__(
        self,
        scale=2,
        subset="train",
        downgrade="bicubic",
        images_dir=".div2k/images",
        caches_dir=".div2k/caches",
        *,
        report=print,
    ):
        if subset not in _PICTURES:
            raise ValueError(f"subset must be 'train' or 'valid', got {subset!r}")
        if scale not in _TRACKS.get(downgrade, ()):
            tracks = "; ".join(f"{name} ×{', ×'.join(map(str, s))}" for name, s in _TRACKS.items())
            raise ValueError(f"DIV2K has {tracks}; got downgrade {downgrade!r}, scale {scale}")
        self.subset, self.downgrade = subset, downgrade
        hr, lr = f"DIV2K_{subset}_HR", _lr_folder(scale, subset, downgrade)
        for folder in (hr, lr):
            fetch(folder, images_dir, report=report)
        root = Path(images_dir)
        super().__init__(root / hr, root / lr, scale, caches_dir=caches_dir, report=report)

    def __len__(self):
        return len(self._hr_files)


def _lr_folder(scale, subset, downgrade):
    """Where the archive of a track puts its pictures."""
    if scale == 8:
        return f"DIV2K_{subset}_LR_x8"
    track = f"DIV2K_{subset}_LR_{downgrade}"
    return f"{track}/X{scale}" if downgrade in ("bicubic", "unknown") else track


def fetch(folder, images_dir, *, url=_URL, url_infos=None, report=print):
    """Download and unpack the archive of one folder of DIV2K, unless the folder is there.

    Args:
        folder: For example ``DIV2K_train_LR_bicubic/X4``.
        images_dir: Where to put it.
        url: Where the archives are.
        url_infos: Sizes and checksums by address; those of tensorflow-datasets by default.
        report: Called with a sentence when a download begins.

    Raises:
        OSError: The download failed or its checksum is wrong.
    """
    target = Path(images_dir) / folder
    if target.is_dir():
        return
    # Late: tensorflow-datasets is slow to import, and only fetching needs it.
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
    from tensorflow_datasets.core.download.extractor import ExtractError
    from tensorflow_datasets.core.download.util import DownloadError

    archive = url + folder.replace("/", "_") + ".zip"
    report(f"fetching {archive}")
    manager = tfds.download.DownloadManager(
        download_dir=Path(images_dir) / "downloads",
        dataset_name="div2k",
        url_infos=url_infos,
        force_checksums_validation=True,
    )
    try:
        unpacked = Path(manager.download_and_extract(archive))
    except (OSError, DownloadError, NonMatchingChecksumError, ExtractError) as error:
        raise OSError(
            f"could not fetch {archive} ({error}); fetch it yourself and unpack it in {images_dir}"
        ) from error
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(unpacked / folder, target)
    shutil.rmtree(unpacked)
