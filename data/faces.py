"""Faces as training pictures: FFHQ (arXiv:1812.04948, appendix A), or any folder of faces.

Each picture is cut to its face and made as small as faces in group photographs are: 80 to 148 px
as HR. A detector finds the face once, when the store is built.
"""

from pathlib import Path

import tensorflow as tf

from data.batches import SeekableDataset
from data.face_source import faces_source
from data.pairs import PairSource
from data.pictures.folder import picture_files
from data.sources import shrunk_source
from data.store import open_store

LAYOUTS = ("images1024x1024", "thumbnails128x128")
"""Folders of FFHQ as it is published, the first that is there is used."""

SPLIT = {"train": 68_779, "valid": 1_200}
"""Pictures of each subset of the full set; smaller sets are split in this proportion."""

PX = (80, 148)
"""Shorter side of an HR picture, from and to."""


class FFHQ(PairSource):
    """Pairs of small faces, HR cut from photographs and LR made of it by MATLAB's bicubic.

    Args:
        images_dir: FFHQ's folder, with one of `LAYOUTS` in it, or any folder of faces, or of
            folders of them.
        subset: "train" (the first pictures by name), "valid" (the last), or "all".
        detector: Function from (H, W, 3) uint8 to a list of `infer.detect.Detection`, for example
            `infer.detect.Mtcnn()`: the largest likely face is cut out, and pictures without one
            are left out. None: whole pictures.
        scale: HR size over LR size.
        px: Shorter side of HR, drawn between these two for each picture; faces that are smaller
            to begin with stay as they are, for none is enlarged.
        copies: Each picture is kept in so many sizes.
        seed: Of the sizes.
        caches_dir: Where decoded pictures are kept.
        workers: Threads that decode.
        strict: Stop at a picture that is unreadable or shows no face instead of leaving it out.
        report: Called with a sentence on what was left out.

    Raises:
        FileNotFoundError: The folder is missing or has no pictures.
        ValueError: There is no such subset, or another argument is out of range.
    """

    def __init__(
        self,
        images_dir,
        subset="train",
        detector=None,
        scale=4,
        *,
        px=PX,
        copies=1,
        seed=0,
        caches_dir=".caches",
        workers=None,
        strict=False,
        report=print,
    ):
        if subset not in (*SPLIT, "all"):
            raise ValueError(f"subset must be 'train', 'valid' or 'all', got {subset!r}")
        if scale not in range(2, 17):
            raise ValueError(f"scale must be a whole number from 2 to 16, got {scale}")
        if not scale <= px[0] <= px[1]:
            raise ValueError(f"px must be two sizes, the smaller first, got {px}")
        if copies < 1:
            raise ValueError(f"copies must be at least 1, got {copies}")
        self.scale, self.report = scale, report
        files = _of_subset(_all_files(Path(images_dir)), subset)
        self._faces = files, detector, px, copies, seed
        self._caches_dir, self._name = caches_dir, f"{Path(images_dir).name}-faces-{subset}"
        self._options = {"workers": workers, "strict": strict, "report": report}

    def stores(self):
        """Return the LR and the HR store, building them when first asked for."""
        faces = faces_source(*self._faces)
        hr = open_store(self._caches_dir, self._name, faces, **self._options)
        source, lr_name = shrunk_source(hr, self.scale), f"{self._name}-x{self.scale}"
        return open_store(self._caches_dir, lr_name, source, **self._options), hr


def _all_files(directory):
    """The pictures of a folder, or, if it has none of its own, of the folders in it."""
    root = next((directory / name for name in LAYOUTS if (directory / name).is_dir()), directory)
    if not root.is_dir():
        raise FileNotFoundError(
            f"no folder {root}; FFHQ is at https://github.com/NVlabs/ffhq-dataset, and any folder "
            "of faces will do"
        )
    try:
        return picture_files(root)
    except FileNotFoundError:
        folders = sorted(folder for folder in root.iterdir() if folder.is_dir())
        if not folders:
            raise
        return picture_files(*folders)


def _of_subset(files, subset):
    if subset == "all":
        return files
    full = sum(SPLIT.values())
    count = SPLIT[subset]
    if len(files) < full:
        valid = round(len(files) * SPLIT["valid"] / full)
        count = valid if subset == "valid" else len(files) - valid
    if not count:
        raise ValueError(f"{len(files)} pictures are too few to split; use subset='all'")
    return files[:count] if subset == "train" else files[len(files) - count :]


def mixed(*datasets):
    """Batches that hold one batch of each of several data sets, one after another.

    Args:
        datasets: `SeekableDataset`s of pairs, whose windows have one size.

    Returns:
        A `SeekableDataset`.
    """

    def start_at(step, part=(0, 1)):
        batches = tuple(dataset.start_at(step, part) for dataset in datasets)
        return tf.data.Dataset.zip(batches).map(
            lambda *pairs: tuple(tf.concat(parts, axis=0) for parts in zip(*pairs, strict=True))
        )

    return SeekableDataset(start_at, {"mixed": [dataset.facts for dataset in datasets]})
