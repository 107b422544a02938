"""Restoration tasks: clean pictures to batches of (damaged, clean, valid_mask).

A task is one kind of damage with a range of strengths to train on and one usual strength to
validate at. As in `data.pairs`, a batch is a function of (seed, step) and nothing else, also where
the task changes with the step, so training can start anywhere, in the middle of a task's turn too.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data import degrade
from data.batches import check_whole, numbered_batches, rows_of, step_generator
from data.pairs import dihedral
from data.pictures.folder import picture_files
from data.scratches import paint, scratches
from data.sources import files_source
from data.store import open_store


@dataclass(frozen=True)
class Task:
    """One kind of damage.

    Attributes:
        damage: Function (picture uint8, strength, random) → damaged picture, 0..255.
        strengths: Least and greatest strength in training.
        usual: Strength in validation.
        unit: What strength means.
        possible: Least and greatest strength that means anything.
    """

    damage: Callable
    strengths: tuple[float, float]
    usual: float
    unit: str
    possible: tuple[float, float]


def _motion_blur(picture, length_px, random):
    return degrade.blur(picture, degrade.motion_kernel(length_px, random.uniform(0, 180)))


def _gaussian_blur(picture, sigma_px, random):
    return degrade.blur(picture, degrade.gaussian_kernel(2 * math.ceil(3 * sigma_px) + 1, sigma_px))


def _scratch(picture, density, random):
    count = max(1, round(density * picture.shape[0] * picture.shape[1] / 128**2))
    valid_mask = scratches(*picture.shape[:2], random, count=count)
    return paint(picture, valid_mask), valid_mask


def _jpeg(picture, quality, random):
    return degrade.compress(
        picture,
        round(quality),
        chroma=random.choice(degrade.CHROMA),
        offset=random.integers(degrade.JPEG_GRID_PX, size=2).tolist(),
    )


TASKS = {
    "gaussian-noise": Task(
        degrade.gaussian_noise, (5, 50), 25, "sigma in grey levels", (0.01, 255)
    ),
    "salt-and-pepper": Task(
        degrade.salt_and_pepper, (0.01, 0.1), 0.05, "share of values", (0.0001, 1)
    ),
    "poisson-noise": Task(degrade.poisson_noise, (10, 100), 30, "photons at 255", (0.1, 1e06)),
    "motion-blur": Task(_motion_blur, (1, 21), 15, "length in px", (1, 500)),
    "gaussian-blur": Task(_gaussian_blur, (0.2, 3), 2, "sigma in px", (0.05, 100)),
    "aliasing": Task(
        lambda p, scale, _: degrade.alias(p, scale), (0.2, 1), 0.3, "share kept", (0.01, 1)
    ),
    "inpainting": Task(_scratch, (2, 5), 3.5, "scratches on 128×128 px", (0.01, 100)),
    "jpeg": Task(_jpeg, (30, 95), 40, "quality", (1, 100)),
}

TRAINING_MIX = dict(zip(TASKS, (400, 400, 400, 200, 200, 900, 500, 400), strict=True))
"""Clean pictures a task trains on by default; the paper's numbers, and JPEG's."""

VALIDATION_MIX = dict(zip(TASKS, (300, 300, 300, 200, 100, 300, 200, 300), strict=True))
"""Clean pictures a task is validated on by default; the paper's numbers, and JPEG's."""


TASK_SHAPES = [(None, None, None, channels) for channels in (3, 3, 1)]
"""Of the batches of all tasks: damaged, clean, valid_mask."""


def damage(task, picture, random, strength=None):
    """Damage one picture.

    Args:
        task: Name in `TASKS`.
        picture: (H, W, 3) uint8, clean.
        random: `numpy.random.Generator`.
        strength: In the task's unit; drawn from its training range by default.

    Returns:
        The damaged picture, (H, W, 3) uint8, and its valid_mask, (H, W, 1) uint8: 1 = a real
        pixel, 0 = damaged. All tasks but inpainting give 1 everywhere.

    Raises:
        ValueError: There is no such task, or its strength cannot be that; or the picture is grey,
            has alpha or is not uint8.
    """
    check_strength(task, strength)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(
            f"damage takes an RGB picture, (H, W, 3) uint8, got {picture.shape} {picture.dtype}"
        )
    chosen = find_task(task)
    if strength is None:
        strength = random.uniform(*chosen.strengths)
    result = chosen.damage(picture, strength, random)
    if isinstance(result, tuple):
        return result
    return degrade.to_uint8(result), np.ones((*picture.shape[:2], 1), np.uint8)


def find_task(name):
    """Return a task by name.

    Raises:
        ValueError: There is none; lists them.
    """
    if name not in TASKS:
        raise ValueError(f"no task {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]


def check_strength(name, strength):
    """Check a task's name, and a strength where it is not None.

    Raises:
        ValueError: There is no such task, or its strength cannot be that.
    """
    task = find_task(name)
    low, high = task.possible
    if strength is not None and not low <= strength <= high:
        raise ValueError(
            f"strength of {name} ({task.unit}) must be from {low:g} to {high:g}, got {strength:g}"
        )


def clean_store(directories, caches_dir=".caches", **options):
    """Open the store of all pictures in some folders; options as `data.store.open_store`."""
    files = picture_files(*directories)
    return open_store(caches_dir, f"clean-{files[0].parent.name}", files_source(files), **options)


class DamagedPictures:
    """Clean pictures of a store with one kind of damage.

    Args:
        task: Name in `TASKS`.
        store: `data.store.PictureStore` of clean pictures.
        count: How many to use; all by default. They are drawn once, so that a smaller number
            means some of the same pictures.
        seed: Key of the draw and of all damage.

    Raises:
        ValueError: There is no such task, or fewer pictures than `count`.
    """

    def __init__(self, task, store, count=None, *, seed=0):
        self.task, self.seed = task, seed
        self._task, self._store = find_task(task), store
        readable = np.flatnonzero(store.sizes.all(axis=1))
        if count is not None and not 0 < count <= len(readable):
            raise ValueError(
                f"{task} asks for {count} pictures, but there are {len(readable)} readable ones"
            )
        drawn = np.random.default_rng(seed).permutation(readable)
        self.numbers = drawn[:count]
        self._large = {}  # crop → numbers of the pictures it fits in

    @property
    def facts(self):
        """Task, number of pictures, digest of their store, and seed."""
        pictures = {"pictures": len(self), "digest": self._store.digest}
        return {"task": self.task} | pictures | {"seed": self.seed}

    def __len__(self):
        return len(self.numbers)

    def batch(self, step, batch_size, crop_px, part=(0, 1)):
        """Return batch number `step`: damaged and clean (B, h, h, 3) and valid (B, h, h, 1)."""
        large = self._at_least(crop_px)
        samples = [
            self._sample(step_generator(self.seed, step, row), large, crop_px)
            for row in rows_of(part, batch_size)
        ]
        return tuple(np.stack(parts) for parts in zip(*samples, strict=True))

    def check_crop(self, crop_px):
        """Raise `ValueError` if no picture is as large as a crop."""
        self._at_least(crop_px)

    def _at_least(self, crop_px):
        if crop_px not in self._large:
            fit = (self._store.sizes[self.numbers] >= crop_px).all(axis=1)
            if not fit.any():
                raise ValueError(
                    f"every picture of {self.task} is smaller than the crop of {crop_px} px"
                )
            self._large[crop_px] = self.numbers[fit]
        return self._large[crop_px]

    def _sample(self, random, numbers, crop_px):
        number = random.choice(numbers)
        top, left = (random.integers(n - crop_px + 1) for n in self._store.sizes[number])
        clean = self._store.window(number, top, left, crop_px, crop_px)
        clean = dihedral(clean, random.integers(8))
        damaged, valid = damage(self.task, clean, random)
        return damaged, clean, valid

    def whole(self, i, strength=None):
        """Batch of picture `i`, always with the same damage; by default of the usual strength."""
        clean = self._store[self.numbers[i]]
        strength = self._task.usual if strength is None else strength
        damaged, valid = damage(self.task, clean, step_generator(self.seed, i), strength)
        return damaged[None], clean[None], valid[None]

    def dataset(self, batch_size=16, crop_px=128):
        """Endless random crops as a `SeekableDataset`; elements as `batch`."""
        return rotation([self], [(0, crop_px, batch_size)])

    def whole_pictures(self):
        """All pictures whole, in order, one a batch, at the usual strength."""
        return task_batches(self.whole, len(self), facts=self.facts)


def rotation(sources, stages, *, every=250, turns=None):
    """Endless batches of several tasks in turn, as a `SeekableDataset`.

    Args:
        sources: What has turns: each with ``batch(step, batch_size, crop_px, part)`` and `facts`,
            and perhaps ``check_crop(crop_px)``, which raises `ValueError` for crops too large.
        stages: ``(first_step, crop_px, batch_size)``, the first from step 0, in order: crops grow
            and batches shrink with the steps.
        every: Steps of a turn.
        turns: Turns that each source has in a round, one after another; one by default.

    Returns:
        Batches (damaged, clean, valid_mask): (B, h, h, 3) twice and (B, h, h, 1), uint8.

    Raises:
        ValueError: There are no sources, no stage begins at step 0, stages are not in order, a
            number is not positive, or a crop is larger than every picture.

    Reference: arXiv:2111.09881, section 3.3, for the stages.
    """
    if not sources or not stages or stages[0][0] != 0:
        raise ValueError("rotation needs at least one source, and stages that begin at step 0")
    if sorted(first for first, *_ in stages) != [first for first, *_ in stages]:
        raise ValueError(f"stages must be in the order of their first steps, got {stages}")
    turns = turns or [1] * len(sources)
    check_whole(1, every=every, turns=min(turns))
    for _, crop_px, batch_size in stages:
        check_whole(1, crop_px=crop_px, batch_size=batch_size)
        for source in sources:
            getattr(source, "check_crop", lambda crop_px: None)(crop_px)

    order = [source for source, n in zip(sources, turns, strict=True) for _ in range(n)]

    def batch(step, part):
        _, crop_px, batch_size = [stage for stage in stages if stage[0] <= step][-1]
        source = order[step // every % len(order)]
        return source.batch(step, batch_size, crop_px, part)

    facts = {"every": every, "stages": [list(stage) for stage in stages]}
    facts["sources"] = [source.facts for source in sources]
    if len(order) > len(sources):
        facts["turns"] = list(turns)
    return numbered_batches(batch, TASK_SHAPES, min(size for *_, size in stages), facts=facts)


def task_batches(batch, count, *, facts=None):
    """``batch(0)``, ``batch(1)``, … as a `SeekableDataset`, one picture a batch.

    Args:
        batch: Function of a step → uint8 arrays (1, H, W, 3) twice and (1, H, W, 1).
        count: How many.
        facts: What the pictures are.
    """
    return numbered_batches(
        lambda step, part: batch(step), TASK_SHAPES, 1, count=count, facts=facts
    )


def preview_sheet(task, store, count=6, crop_px=160, seed=0):
    """Return a sheet of `count` random crops, damaged, clean and mask side by side, uint8."""
    pictures = DamagedPictures(task, store, seed=seed)
    crop_px = min(crop_px, int(store.sizes[pictures.numbers].min(axis=1).max()))
    damaged, clean, valid = pictures.batch(0, count, crop_px)
    rows = np.concatenate([damaged, clean, np.repeat(valid * np.uint8(255), 3, axis=3)], axis=2)
    framed = np.pad(rows, ((0, 0), (4, 4), (4, 4), (0, 0)), constant_values=128)
    if count % 2:
        framed = np.concatenate([framed, np.full_like(framed[:1], 128)])
    return np.concatenate([np.concatenate([*framed[i : i + 2]], 1) for i in range(0, count, 2)])
