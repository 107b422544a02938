"""Prepared restoration data on disk: damaged pictures written once, and real pairs as published.

Prepared data lie in one folder for each kind of damage, with the pictures ``input/``, ``target/``
and ``mask/`` below it (white = a real pixel), so that they can be looked at and used again.
"""

import collections
import re
from pathlib import Path

import numpy as np
from PIL import Image

from data.pair_folders import PairFolders
from data.pairs import CropSampler, PairSource
from data.pictures.folder import PICTURE_SUFFIXES, READ_ERRORS, Paths, picture_files
from data.pictures.read import read_rgb8
from data.pictures.whole_file import whole_file
from data.sources import files_source
from data.store import open_store
from data.store_writer import unreadable
from data.tasks import check_strength, damage, task_batches

LAYOUTS = {
    "prepared": (r"^(.*)\binput/", r"\1target/"),
    "sidd": (r"_NOISY_", "_GT_"),
    "gopro": (r"\bblur(_gamma)?/", "sharp/"),
    "reds": (r"(train|val)_blur(_jpeg|_comp)?/", r"\1_sharp/"),
    "polyu": (r"_real\.", "_mean."),
    "nam": (r"_noise\.", "_gt."),
}
"""Data set to what in a damaged picture's path (with ``/``) becomes what in the clean one's."""


def write_damaged(task, in_dir, out_dir, *, strength=None, seed=0, overwrite=False, report=print):
    """Damage every picture of a folder and write input, target and mask pictures.

    Args:
        task: Name in `data.tasks.TASKS`; its pictures go to ``out_dir/task/``.
        in_dir: Folder of clean pictures.
        out_dir: Where to write.
        strength: In the task's unit; drawn for each picture by default.
        seed: The same seed makes the same damage.
        overwrite: Replace pictures that are there.
        report: Called with a sentence on each picture that cannot be read, which is left out.

    Returns:
        Number of pictures written.

    Raises:
        ValueError: There is no such task, its strength cannot be that, or two pictures would be
            written to one file.
        FileExistsError: A file is there, and `overwrite` is not set.
        OSError: A folder cannot be read or written.
    """
    check_strength(task, strength)
    files, folder = picture_files(in_dir), Path(out_dir, task)
    names = _target_names(files, folder, overwrite)
    written = 0
    for number, (file, png) in enumerate(zip(files, names, strict=True)):
        try:
            clean = read_rgb8(file)
        except READ_ERRORS as error:
            report(f"left out: {unreadable(file, error)}")
            continue
        damaged, valid = damage(task, clean, np.random.default_rng([seed, number]), strength)
        parts = {"input": damaged, "target": clean, "mask": valid[..., 0] * np.uint8(255)}
        for part, picture in parts.items():
            _write_png(folder / part / png, picture)
        written += 1
    return written


def _target_names(files, folder, overwrite):
    """Names to write: ``a.jpg`` beside ``a.png`` becomes ``a.jpg.png``, so that both are kept."""
    stems = collections.Counter(file.stem for file in files)
    taken = {}
    for file in files:
        short = stems[file.stem] == 1 or file.suffix == ".png"
        name = f"{file.stem if short else file.name}.png"
        if name in taken:
            raise ValueError(f"{taken[name]} and {file} would both become {name}: rename one")
        taken[name] = file
        if (folder / "input" / name).exists() and not overwrite:
            raise FileExistsError(f"{folder / 'input' / name} is there; --overwrite replaces it")
    return list(taken)


def _write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        Image.fromarray(pixels).save(file, "PNG")


def write_tfds(name, split, count, out_dir):
    """Write the first pictures of a data set of `tensorflow-datasets` as PNG files.

    Args:
        name: Data set with a feature ``image``, for example "celeb_a" or "imagenet_v2".
        split: For example "train".
        count: How many.
        out_dir: Where to write.

    Raises:
        ValueError: The data set has no pictures, or fewer than `count`.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    import tensorflow_datasets as tfds  # noqa: PLC0415  slow to import, and only needed here

    written = 0
    for element in tfds.as_numpy(tfds.load(name, split=split).take(count)):
        if "image" not in element:
            raise ValueError(f"{name} has no feature 'image', but {', '.join(element)}")
        path = Path(out_dir, f"{name.replace('/', '-')}-{split}-{written:06}.png")
        picture = element["image"]
        _write_png(path, picture[..., 0] if picture.shape[-1] == 1 else picture)
        written += 1
    if written < count:
        raise ValueError(f"{name} {split} has only {written} pictures, not {count}")


class RealPairs(PairSource):
    """Pairs of one size, damaged and clean, of a data set of real damage in its own layout.

    Args:
        layout: One of `LAYOUTS`.
        directory: The data set's folder; pictures may lie at any depth.
        caches_dir: Where decoded pictures are kept.

    Raises:
        ValueError: There is no such layout.
        FileNotFoundError: No pair is there.
    """

    scale = 1

    def __init__(self, layout, directory, *, caches_dir=".caches", **options):
        if layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
        self._layout, self._caches_dir, self._options = layout, caches_dir, options
        self._files = [Paths(files) for files in zip(*pair_files(layout, directory), strict=True)]

    def stores(self):
        """Return the store of damaged and that of clean pictures."""
        return tuple(
            open_store(self._caches_dir, name, files_source(files), **self._options)
            for name, files in zip(
                (f"{self._layout}-input", f"{self._layout}-target"),
                self._files,
                strict=True,
            )
        )


def pair_files(layout, directory):
    """Return (damaged, clean) paths below a folder; see `RealPairs`."""
    pattern, replacement = LAYOUTS[layout]
    root = Path(directory)
    pairs = []
    for file in sorted(f for f in root.rglob("*") if f.suffix.lower() in PICTURE_SUFFIXES):
        path = file.relative_to(root).as_posix()
        if re.search(pattern, path):
            clean = root / re.sub(pattern, replacement, path)
            if not clean.is_file():
                raise FileNotFoundError(f"{file} has no clean partner {clean}")
            pairs.append((file, clean))
    if not pairs:
        raise FileNotFoundError(f"no pairs in the layout of {layout} in {root}")
    return pairs


class RealDamage:
    """Pairs of real damage with turns in `data.tasks.rotation`: all pixels count as real ones.

    Args:
        pairs: `RealPairs`.
        seed: Key of the crops.
    """

    def __init__(self, pairs, *, seed=0):
        self._pairs, self._seed = pairs.pairs, seed
        self._samplers = {}  # (batch size, crop) → its sampler

    @property
    def facts(self):
        """Number of pairs, digest of their stores, and seed."""
        return self._pairs.facts | {"seed": self._seed}

    def batch(self, step, batch_size, crop_px, part=(0, 1)):
        """Return batch number `step`: damaged and clean (B, h, h, 3) and ones (B, h, h, 1)."""
        if (batch_size, crop_px) not in self._samplers:
            sampler = CropSampler(self._pairs, batch_size, crop_px, self._seed)
            self._samplers[batch_size, crop_px] = sampler
        damaged, clean = self._samplers[batch_size, crop_px].batch(step, part)
        return damaged, clean, np.ones_like(clean[..., :1])

    def check_crop(self, crop_px):
        """Raise `ValueError` if no picture is as large as a crop."""
        CropSampler(self._pairs, 1, crop_px, self._seed)

    def whole_pictures(self, count=None):
        """The first pictures (default all) whole, one a batch, as (damaged, clean, ones)."""

        def whole(i):
            damaged, clean = self._pairs[i]
            return damaged[None], clean[None], np.ones_like(clean[None, ..., :1])

        count = len(self._pairs) if count is None else count
        return task_batches(whole, count, facts=self.facts)


class PreparedPictures(PairFolders):
    """What `write_damaged` wrote for one task, with turns in `data.tasks.rotation`.

    Args:
        directory: The task's folder, with ``input/``, ``target/`` and ``mask/``.
        **options: As `PairFolders`.

    Raises:
        FileNotFoundError: One of the three folders is missing or empty, or a picture of it.
        ValueError: Pictures of one name have different sizes.
    """

    def __init__(self, directory, **options):
        folders = (Path(directory, part) for part in ("input", "target", "mask"))
        super().__init__(*folders, **options)
