"""Windows of drawn text with a line in each, and where it is: for losses that read."""

import functools

import numpy as np

from data.batches import check_whole, numbered_batches, rows_of, step_generator
from data.damage import load_damage
from data.pairs import CropSampler

LARGEST_CROP_PX = 252  # places are whole numbers up to 255

_LONGEST = 4  # heights of a line: what is read of it


class LineSampler(CropSampler):
    """Batches of windows around lines by step number; they are neither turned nor mirrored.

    Args:
        source: `data.rendered_text.RenderedText`.
        batch_size, hr_crop_px, seed, damage: As for `CropSampler`.
    """

    def __init__(self, source, batch_size, hr_crop_px, seed, damage=None):
        if hr_crop_px > LARGEST_CROP_PX:
            raise ValueError(f"hr_crop_px must be at most {LARGEST_CROP_PX}, got {hr_crop_px}")
        super().__init__(source.pairs, batch_size, hr_crop_px, seed, damage)
        numbers = source.pairs.numbers
        self._lines = functools.cache(lambda i: source.drawn(int(numbers[i]))[1])

    @property
    def shapes(self):
        """Shapes of a batch's arrays."""
        return [*super().shapes, (self.batch_size, 4, 2)]

    def batch(self, step, part=(0, 1)):
        """Return `part` of batch number `step`: LR, HR and (B, 4, 2) uint8, x and y in px of HR.

        The last are corners of a part of a line, clockwise from its first letter's upper one; all
        are 0 where there is no line.
        """
        *_, lines = self._drawn(step_generator(self.seed, step))
        rows = rows_of(part, self.batch_size)
        return *super().batch(step, part), lines[rows.start : rows.stop]

    def places(self, random):
        """See `CropSampler`."""
        pictures, corners, _ = self._drawn(random)
        return pictures, corners, np.zeros(len(pictures), int)

    def _drawn(self, random):
        """Numbers of pictures, windows' corners, and lines' corners in the windows."""
        pictures, corners, _ = super().places(random)
        lines = np.zeros((len(pictures), 4, 2), np.uint8)
        for row, picture in enumerate(pictures):
            written = self._lines(picture)
            if not written:
                continue
            line = written[random.integers(len(written))].corners
            middle = line.mean(axis=0) + random.uniform(-0.5, 0.5) * (line[1] - line[0])
            shift = random.uniform(0.3, 0.7, 2) * self.hr_px
            corner = np.rint((middle - shift)[::-1] / self.pairs.scale)
            corners[row] = np.clip(corner, 0, self.positions[picture] - 1)
            lines[row] = _inside(line - self.pairs.scale * corners[row, ::-1], self.hr_px, random)
        return pictures, corners, lines


def _inside(line, side_px, random):
    """Corners of a part of a line that lies in a window, at most four heights long; 0: none does.

    Args:
        line: (4, 2) corners in px of the window.
        side_px: Its side.
        random: `numpy.random.Generator`.
    """
    along = line[1] - line[0]
    steep = np.where(np.abs(along) < 1e-6, 1e-6, along)
    ends = np.sort([-line[[0, 3]] / steep, (side_px - line[[0, 3]]) / steep], axis=0)
    first, last = max(0.0, ends[0].max()), min(1.0, ends[1].min())
    length, height = np.linalg.norm(along), np.linalg.norm(line[3] - line[0])
    if (last - first) * length < height:
        return np.zeros((4, 2), np.uint8)
    spare = max(0.0, last - first - _LONGEST * height / length)
    first += random.uniform(0, spare)
    last = min(last, first + _LONGEST * height / length)
    part = line[[0, 0, 3, 3]] + np.array([first, last, last, first])[:, None] * along
    return np.rint(part).clip(0, side_px).astype(np.uint8)


def line_windows(source, batch_size=16, *, hr_crop_px=96, seed=0, damage=None):
    """Batches ``(lr, hr, lines)`` without end as a `SeekableDataset`; see `LineSampler.batch`.

    Args:
        source: `data.rendered_text.RenderedText`.
        batch_size: Windows a batch.
        hr_crop_px: Side of the HR window; a multiple of the scale, at most 252.
        seed: Batches are a function of it and the step.
        damage: As for `data.pairs.PairSource.dataset`, and so are the errors.
    """
    check_whole(0, seed=seed)
    sampler = LineSampler(source, batch_size, hr_crop_px, seed, load_damage(damage))
    facts = sampler.facts | {"lines": True}
    return numbered_batches(sampler.batch, sampler.shapes, batch_size, facts=facts)
