"""DIV2K: 800 training and 100 validation photographs of about 2K, in every track of NTIRE
2017 and 2018 (Agustsson and Timofte, CVPR workshops 2017).

Archives are fetched and their checksums compared; a folder that already has DIV2K's layout is used
as it is.
"""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from data.folder import ImageFolder
from data.locks import one_at_a_time

URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
"""Where the archives are."""

SHA256 = {
    "train_HR": "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    "train_LR_bicubic_X2": "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850",
    "train_LR_bicubic_X3": "ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a",
    "train_LR_bicubic_X4": "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a",
    "train_LR_difficult": "50624a649a0857fdb8e4a948e79c44c37dedbacb5729f9349cc983c47bfdf799",
    "train_LR_mild": "ce5fbe6252d1000c55656b0666dccdeaf8e66b86ae5ff528c49343012e8e1391",
    "train_LR_unknown_X2": "f166eeba119fc55bfc9a99c05561980e7a965382f36640ce8ef626c9f61d122c",
    "train_LR_unknown_X3": "b6455af3b2aa02d76ae3238c49d7aae3b48b0acdc44b5bdc0f4c02d40ebcb43b",
    "train_LR_unknown_X4": "d131c7aad51e0abbdc4433362ce899e5e75f40b9847ead70ee995188e8fd0adb",
    "train_LR_x8": "706fa23164fa0756a3accb78e69b937ea47f882b47e13506895deefd623a35c2",
    "valid_HR": "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    "valid_LR_bicubic_X2": "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57",
    "valid_LR_bicubic_X3": "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3",
    "valid_LR_bicubic_X4": "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553",
    "valid_LR_difficult": "08b4e740496b50846497463121329c707dd8ed26eb8a655d175e9a595286d5e8",
    "valid_LR_mild": "eedfbcb6acc6662a3f52924aaa5a423693244f3276d37c3fca7944c7325859ff",
    "valid_LR_unknown_X2": "ec50bb084c0011130874efd2ed7859b46e0aa7104c565818d5271ac315e04e0a",
    "valid_LR_unknown_X3": "ebf23a3e1ef6800cae97285d3a50d022d89b62655e685884c0abcc89eec5b809",
    "valid_LR_unknown_X4": "e3897555a98de1157c20974fb6093105fbc1ff5e9caf7bd348f58f6da140fbef",
    "valid_LR_x8": "3432f23da7c6887acc5e2cde9669427a7710b3b256c58912dddc19e3eda5bc69",
}
"""Checksum of each archive, as tensorflow-datasets has it."""

_TRACKS = {"bicubic": (2, 3, 4, 8), "unknown": (2, 3, 4), "mild": (4,), "difficult": (4,)}
_SUBSETS = ("train", "valid")


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
        if subset not in _SUBSETS:
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


def fetch(folder, images_dir, *, report=print):
    """Download and unpack the archive of one folder of DIV2K, unless the folder is there.

    Args:
        folder: For example ``DIV2K_train_LR_bicubic/X4``.
        images_dir: Where to put it. An archive in ``downloads`` in it is used; what has arrived
            of a broken download is kept there, and the next call fetches the rest.
        report: Called with a sentence when a download begins.

    Raises:
        OSError: It could not be fetched; says how to do it by hand.
    """
    images_dir = Path(images_dir)
    if (images_dir / folder).is_dir():
        return
    archive = images_dir / "downloads" / f"{folder.replace('/', '_')}.zip"
    waiting = f"waiting for another process, which fetches {archive.name}"
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(archive.with_suffix(".lock"), waiting, report):
            if not (images_dir / folder).is_dir():  # another process may have finished it
                _fetch(archive, folder, images_dir, report)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise OSError(
            f"could not fetch {URL}{archive.name} ({error}). Another try continues this one; or "
            f"fetch it by other means and put it into {archive.parent}, or unpack it in "
            f"{images_dir}"
        ) from error


def _fetch(archive, folder, images_dir, report):
    """Fetch the archive and unpack it, or unpack one that somebody has put there, and keep that."""
    from data import download  # pooch warns in notebooks of what only fetching needs

    sha256 = SHA256[archive.stem.removeprefix("DIV2K_")]
    if archive.exists():
        download.check(archive, sha256)
        _unpack(archive, folder, images_dir)
    else:
        download.download(URL + archive.name, archive, sha256, report)
        _unpack(archive, folder, images_dir)
        archive.unlink()


def _unpack(archive, folder, images_dir):
    """Unpack beside the target and rename at the end: the folder is there whole or not at all."""
    target = images_dir / folder
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as unpacked:
        shutil.unpack_archive(archive, unpacked, "zip")
        os.replace(Path(unpacked, folder), target)
