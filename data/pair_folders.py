"""Your own pairs for restoration: a folder of damaged pictures and one of the clean ones."""

from pathlib import Path

import numpy as np

from data.batches import rows_of, step_generator
from data.folder import matching_files
from data.pairs import dihedral
from data.pictures.folder import picture_files
from data.sources import files_source
from data.store import open_store
from data.tasks import rotation, task_batches


class PairFolders:
    """Damaged pictures and their clean partners in two folders, with turns in a `rotation`.

    Pictures are joined by name, see `data.folder.matching_files`, and have the same size. ::

        source = PairFolders("noisy", "clean")
        train_ds = data.tasks.rotation([source], [(0, 128, 8)])    # 8 crops of 128 px a batch
        valid_ds = PairFolders("noisy_valid", "clean_valid").whole_pictures()

    Args:
        damaged_dir: Folder of damaged pictures, the input of a network.
        clean_dir: Folder of clean ones, its target; those without a damaged one are not used.
        masks_dir: Folder of masks, white = a real pixel, black = damaged. None: all are real.
        caches_dir: Where decoded pictures are kept.
        seed: Key of the crops.
        report: Called with a sentence on what is left out.

    Raises:
        FileNotFoundError: A folder is missing or empty, or a picture has no partner: names it.
        ValueError: The pictures of a pair have different sizes, or none is readable.
    """

    def __init__(
        self,
        damaged_dir,
        clean_dir,
        masks_dir=None,
        *,
        caches_dir=".caches",
        seed=0,
        report=print,
        **options,
    ):
        folders = [Path(d) for d in (damaged_dir, clean_dir, masks_dir) if d is not None]
        damaged = picture_files(folders[0])
        files = [damaged] + [_partners_in(folder, damaged, report) for folder in folders[1:]]
        self._stores = [
            open_store(caches_dir, folder.name, files_source(own), report=report, **options)
            for folder, own in zip(folders, files, strict=True)
        ]
        self._seed, self._sizes = seed, self._stores[0].sizes
        self._numbers = np.flatnonzero(np.all([s.sizes.all(axis=1) for s in self._stores], axis=0))
        self._check_sizes()

    def _check_sizes(self):
        if not len(self._numbers):
            raise ValueError("no pair of pictures is readable")
        for store in self._stores[1:]:
            unequal = (store.sizes != self._sizes).any(axis=1)[self._numbers]
            if unequal.any():
                i = self._numbers[np.flatnonzero(unequal)[0]]
                raise ValueError(
                    f"{np.count_nonzero(unequal)} pairs differ in size; the first: "
                    f"{self._stores[0].names()[i]} has (height, width) "
                    f"{tuple(self._sizes[i].tolist())}, {store.names()[i]} "
                    f"{tuple(store.sizes[i].tolist())}"
                )

    @property
    def facts(self):
        """Number of pictures, digest of the stores, and seed."""
        digest = " ".join(store.digest for store in self._stores)
        return {"pictures": len(self), "digest": digest, "seed": self._seed}

    def __len__(self):
        return len(self._numbers)

    def batch(self, step, batch_size, crop_px, part=(0, 1)):
        """Return batch number `step`: damaged and clean (B, h, h, 3) and valid (B, h, h, 1)."""
        large = self._at_least(crop_px)
        samples = [
            self._sample(step_generator(self._seed, step, row), large, crop_px)
            for row in rows_of(part, batch_size)
        ]
        return tuple(np.stack(parts) for parts in zip(*samples, strict=True))

    def check_crop(self, crop_px):
        """Raise `ValueError` if no picture is as large as a crop."""
        self._at_least(crop_px)

    def _at_least(self, crop_px):
        large = self._numbers[(self._sizes[self._numbers] >= crop_px).all(axis=1)]
        if not len(large):
            raise ValueError(f"every pair of pictures is smaller than the crop of {crop_px} px")
        return large

    def _sample(self, random, numbers, crop_px):
        number, turn = random.choice(numbers), random.integers(8)
        top, left = (random.integers(n - crop_px + 1) for n in self._sizes[number])
        window = (number, top, left, crop_px, crop_px)
        return _with_mask(*(dihedral(store.window(*window), turn) for store in self._stores))

    def dataset(self, batch_size=16, crop_px=128):
        """Endless random crops as a `SeekableDataset`; elements as `batch`."""
        return rotation([self], [(0, crop_px, batch_size)])

    def whole_pictures(self, count=None):
        """The first pictures (default all) whole, one a batch, for validation; as `batch`."""

        def whole(i):
            parts = _with_mask(*(store[self._numbers[i]] for store in self._stores))
            return tuple(part[None] for part in parts)

        count = len(self) if count is None else min(count, len(self))
        return task_batches(whole, count, facts=self.facts)


def _partners_in(folder, files, report):
    found = picture_files(folder)
    partners = matching_files(files, found)
    if len(found) > len(partners):
        report(
            f"{len(found) - len(partners)} of {len(found)} pictures in {folder} are not used: "
            f"{files[0].parent} has none of their names"
        )
    return partners


def _with_mask(damaged, clean, mask=None):
    """Damaged, clean and valid_mask (h, w, 1) of 1 and 0, made of a picture of it or of none."""
    if mask is None:
        return damaged, clean, np.ones_like(clean[..., :1])
    return damaged, clean, (mask[..., :1] >= 128).astype(np.uint8)
