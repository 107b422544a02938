"""Pairs of low- and high-resolution pictures as batches: the one pipeline all data sets share.

A batch is a function of (seed, step) and nothing else: there is no shuffle buffer and no state,
so training can start at any step at once and any batch can be made again from its number.
"""

import abc
import functools

import cv2
import numpy as np

from data.batches import check_whole, numbered_batches, rows_of, step_generator
from data.damage import MARGIN_PX, load_damage

_ROTATIONS = (None, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)


class PairSource(abc.ABC):
    """Pairs of pictures, HR `scale` times as large as LR. Subclasses say where they come from."""

    scale: int
    report = staticmethod(print)

    @abc.abstractmethod
    def stores(self):
        """Return (lr, hr), two `PictureStore` of equal length; built when first asked for."""

    @functools.cached_property
    def pairs(self):
        """The usable pairs."""
        return Pairs(*self.stores(), self.scale, self.report)

    def __len__(self):
        return len(self.pairs)

    def dataset(
        self,
        batch_size=16,
        repeat_count=None,
        random_transform=True,
        *,
        hr_crop_px=96,
        seed=0,
        damage=None,
    ):
        """Return batches ``(lr, hr)``: (B, h, w, 3) and (B, s·h, s·w, 3), uint8 RGB.

        Args:
            batch_size: Pairs a batch.
            repeat_count: Passes over the pictures; None for no end.
            random_transform: True: random crops, flips and quarter turns; every picture is equally
                likely. False: whole pictures in order, which needs batch_size=1 where sizes differ.
            hr_crop_px: Side of the HR crop; a multiple of the scale.
            seed: Batches are a function of it and the step.
            damage: "mild", "strong", a JSON file or a `data.damage.Damage`: what LR goes through.
                None: LR as it is.

        Returns:
            A `SeekableDataset`.

        Raises:
            ValueError: The crop is no multiple of the scale, or larger than every picture; there
                is no such damage; or a number is not positive.
        """
        check_whole(1, batch_size=batch_size)
        check_whole(0, seed=seed)
        if repeat_count is not None:
            check_whole(1, repeat_count=repeat_count)
        damage = load_damage(damage)
        if random_transform:
            return random_crops(self.pairs, batch_size, repeat_count, hr_crop_px, seed, damage)
        return whole_pictures(self.pairs, batch_size, repeat_count, seed, damage)


class Pairs:
    """The readable pairs of two stores whose sizes fit.

    HR that is no multiple of the scale is cut at the bottom and right.

    Args:
        lr_store: `PictureStore` of LR pictures.
        hr_store: `PictureStore` of as many HR pictures.
        scale: HR size over LR size.
        report: Called with a sentence on what is cut or not used.

    Attributes:
        left_out: How many pairs are not readable.

    Raises:
        ValueError: No pair is usable, or sizes do not match: names the first such pair.
    """

    def __init__(self, lr_store, hr_store, scale, report=print):
        self._lr, self._hr, self.scale, self.report = lr_store, hr_store, scale, report
        readable = lr_store.sizes.all(axis=1) & hr_store.sizes.all(axis=1)
        self.numbers = np.flatnonzero(readable)
        self.left_out = len(readable) - len(self.numbers)
        if not len(self.numbers):
            raise ValueError("no pair of pictures is readable")
        self.lr_sizes = lr_store.sizes[self.numbers]
        self._check_sizes(hr_store.sizes[self.numbers])

    def _check_sizes(self, hr_sizes):
        unequal = np.flatnonzero((hr_sizes // self.scale != self.lr_sizes).any(axis=1))
        if len(unequal):
            i = unequal[0]
            lr_name, hr_name = (s.names()[self.numbers[i]] for s in (self._lr, self._hr))
            raise ValueError(
                f"{len(unequal)} pairs do not match at scale {self.scale}; the first: {lr_name} "
                f"has (height, width) {tuple(self.lr_sizes[i])}, {hr_name} {tuple(hr_sizes[i])}"
            )

        cut = np.count_nonzero((hr_sizes % self.scale).any(axis=1))
        if cut:
            self.report(
                f"{cut} of {len(self)} HR pictures are no multiple of {self.scale} px: cut at the "
                "bottom and right"
            )

    @property
    def facts(self):
        """Scale, number of pairs and digest of both stores."""
        digest = f"{self._lr.digest} {self._hr.digest}"
        return {"scale": self.scale, "pictures": len(self), "digest": digest}

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, i):
        """Pair `i` whole: (h, w, 3) and (s·h, s·w, 3)."""
        height, width = self.lr_sizes[i]
        return self.window(i, 0, 0, height, width)

    def window(self, i, top, left, height, width):
        """A window of pair `i`, given in LR pixels; perhaps views into the stores."""
        number, window = self.numbers[i], (top, left, height, width)
        lr = self._lr.window(number, *window)
        return lr, self._hr.window(number, *(self.scale * n for n in window))

    def wide_window(self, i, top, left, height, width, margin_px):
        """A window with so many LR pixels around it, mirrored beyond the picture's border."""
        rows, columns = self.lr_sizes[i].tolist()
        first = max(top - margin_px, 0), max(left - margin_px, 0)
        last = min(top + height + margin_px, rows), min(left + width + margin_px, columns)
        parts = self.window(i, *first, last[0] - first[0], last[1] - first[1])
        missing = (  # above, below, left, right
            first[0] - top + margin_px,
            top + height + margin_px - last[0],
            first[1] - left + margin_px,
            left + width + margin_px - last[1],
        )
        if not any(missing):
            return parts
        return [
            cv2.copyMakeBorder(part, *(factor * n for n in missing), cv2.BORDER_REFLECT)
            for part, factor in zip(parts, (1, self.scale), strict=True)
        ]


class CropSampler:
    """Batches of random windows by step number.

    Args:
        pairs: The pairs.
        batch_size: Windows a batch.
        hr_crop_px: Side of the HR window.
        seed: Key of the random stream, together with the step.
        damage: `data.damage.Damage` of LR, or None.

    Attributes:
        positions: (N, 2), how many rows and columns a window's corner can be at, of each pair.
    """

    def __init__(self, pairs, batch_size, hr_crop_px, seed, damage=None):
        check_whole(1, batch_size=batch_size, hr_crop_px=hr_crop_px)
        if hr_crop_px % pairs.scale:
            raise ValueError(f"hr_crop_px must be a multiple of {pairs.scale}, got {hr_crop_px}")
        self.pairs, self.batch_size, self.seed, self.damage = pairs, batch_size, seed, damage
        self.lr_px, self.hr_px = hr_crop_px // pairs.scale, hr_crop_px
        self.positions = pairs.lr_sizes - self.lr_px + 1  # of the window's corner: rows, columns
        self._usable = np.flatnonzero((self.positions > 0).all(axis=1))
        if not len(self._usable):
            raise ValueError(f"every picture is smaller than the crop of {hr_crop_px} px (HR)")
        if len(self._usable) < len(pairs):
            pairs.report(
                f"left out: {len(pairs) - len(self._usable)} of {len(pairs)} pictures, smaller "
                f"than the crop of {hr_crop_px} px"
            )

    def batch(self, step, part=(0, 1)):
        """Return `part` of batch number `step`: (B, h, h, 3) and (B, s·h, s·h, 3) uint8."""
        pictures, corners, turns = self.places(step_generator(self.seed, step))
        rows = rows_of(part, self.batch_size)
        lr = np.empty((len(rows), self.lr_px, self.lr_px, 3), np.uint8)
        hr = np.empty((len(rows), self.hr_px, self.hr_px, 3), np.uint8)
        for row, i in enumerate(rows):
            window = (pictures[i], *corners[i], self.lr_px, self.lr_px)
            if self.damage is None:
                small, large = self.pairs.window(*window)
                lr[row], hr[row] = dihedral(small, turns[i]), dihedral(large, turns[i])
            else:
                own = step_generator(self.seed, step, i + 1)  # 0 draws the places
                lr[row], hr[row] = self._damaged(self.damage, window, turns[i], own)
        return lr, hr

    @property
    def shapes(self):
        """Shapes of a batch's arrays."""
        return [(self.batch_size, px, px, 3) for px in (self.lr_px, self.hr_px)]

    @property
    def facts(self):
        """What the batches are a function of, as JSON can hold it."""
        facts = self.pairs.facts | {
            "random_transform": True,
            "batch_size": self.batch_size,
            "hr_crop_px": self.hr_px,
            "seed": self.seed,
        }
        return facts | ({"damage": self.damage.facts} if self.damage else {})

    def places(self, random):
        """Draw pictures, upper left corners of their windows in LR (row, column), and turns."""
        pictures = self._usable[random.integers(len(self._usable), size=self.batch_size)]
        corners = random.integers(self.positions[pictures])
        return pictures, corners, random.integers(8, size=self.batch_size)

    def _damaged(self, damage, window, turn, random):
        """Damage more than the window and cut: blocks and filters reach beyond its border."""
        wide = self.pairs.wide_window(*window, MARGIN_PX)
        small, large = (dihedral(part, turn) for part in wide)
        small = damage(small, large, random)
        return [
            part[margin_px:-margin_px, margin_px:-margin_px]
            for part, margin_px in ((small, MARGIN_PX), (large, MARGIN_PX * self.pairs.scale))
        ]


def dihedral(picture, turn):
    """One of the eight symmetries of the square: `turn` % 4 quarter turns, mirrored from 4 on."""
    if turn % 4:
        picture = cv2.rotate(picture, _ROTATIONS[turn % 4])
    return cv2.flip(picture, 1) if turn >= 4 else picture


def random_crops(pairs, batch_size, repeat_count, hr_crop_px, seed, damage=None):
    """Batches of random windows as a `SeekableDataset`; see `PairSource.dataset`."""
    sampler = CropSampler(pairs, batch_size, hr_crop_px, seed, damage)
    count = None if repeat_count is None else repeat_count * -(-len(pairs) // batch_size)
    return numbered_batches(
        sampler.batch, sampler.shapes, batch_size, count=count, facts=sampler.facts
    )


def whole_pictures(pairs, batch_size, repeat_count, seed=0, damage=None):
    """Whole pictures in order as a `SeekableDataset`; see `PairSource.dataset`."""

    def batch(step, part=(0, 1)):
        numbers = range(len(pairs))[int(step) % batches * batch_size :][:batch_size]
        rows = rows_of(part, len(numbers))
        lr, hr = zip(*(pair(numbers[row]) for row in rows), strict=True)
        if len({picture.shape for picture in lr}) > 1:
            raise ValueError("whole pictures differ in size: use batch_size=1")
        return np.stack(lr), np.stack(hr)

    def pair(i):
        lr, hr = pairs[i]
        return (damage(lr, hr, step_generator(seed, i)) if damage else lr), hr

    batches = -(-len(pairs) // batch_size)
    count = None if repeat_count is None else repeat_count * batches
    facts = pairs.facts | {"random_transform": False, "batch_size": batch_size}
    facts |= {"damage": damage.facts, "seed": seed} if damage else {}
    smallest = len(pairs) - (batches - 1) * batch_size
    return numbered_batches(batch, [(None, None, None, 3)] * 2, smallest, count=count, facts=facts)


def contact_sheet(pairs, count=12, hr_crop_px=192, seed=0, damage=None):
    """Picture of `count` random pairs, LR (enlarged, nearest) left of HR, four pairs a row.

    Returns:
        (H, W, 3) uint8.
    """
    lr, hr = CropSampler(pairs, count, hr_crop_px, seed, damage).batch(0)
    tiles = []
    for small, large in zip(lr, hr, strict=True):
        enlarged = cv2.resize(small, large.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        tiles.append(
            np.pad(
                np.concatenate([enlarged, large], 1), ((4, 4), (4, 4), (0, 0)), constant_values=255
            )
        )
    tiles += [np.full_like(tiles[0], 255)] * (-count % 4)
    rows = [np.concatenate(tiles[i : i + 4], 1) for i in range(0, len(tiles), 4)]
    return np.concatenate(rows, 0)
