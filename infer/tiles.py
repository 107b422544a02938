"""Run a network on a picture tile by tile: size rules, split, blend, crop back.

A tile is what is kept of one run. The run reads a margin more on each side, as far as there is a
picture; at the picture's own border nothing is added, so that the network pads there as it would
in one pass. With a margin of the network's receptive field the tiles fit together exactly. With a
smaller one, or for a network that looks everywhere, neighbouring runs are blended over a band
around their common edge with a raised cosine.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

GLOBAL_OVERLAP_PX = 32
"""Margin for networks without a finite receptive field.

Such tiles cannot equal one run. On three untrained Restormers (width 8) and tiles of 48 px they
differ by 0.4 to 1.1 grey levels in the mean and 7 at most; with no margin by 14 to 19 in the mean.
"""

LEAST_RADIUS_PX = 2
"""What is done to alpha, white and black looks so far, whatever the network."""

_WIDEST_BLEND_PX = 16
_SMALLEST_TILE_PX = 8


@dataclass(frozen=True)
class Grid:
    """How a picture is cut, all in pixels of the network's input.

    Attributes:
        height, width: Size of the picture, padded to what the network needs.
        tile: Side of a tile.
        margin: Read on each side beyond the tile.
        blend: Half the width of the band in which neighbours are mixed; 0: they just meet.
        step: Tiles begin and end at multiples of this, or at the picture's end.
        scale: Pixels out per pixel in.
    """

    height: int
    width: int
    tile: int
    margin: int
    blend: int
    step: int
    scale: int


@dataclass(frozen=True)
class Window:
    """Rows y0..y1 and columns x0..x1, ends excluded."""

    y0: int
    y1: int
    x0: int
    x1: int

    def grown(self, px, grid):
        """Grow by `px` on all sides, out to the next step, not beyond the picture."""
        return Window(
            max(0, (self.y0 - px) // grid.step * grid.step),
            min(grid.height, -(-(self.y1 + px) // grid.step) * grid.step),
            max(0, (self.x0 - px) // grid.step * grid.step),
            min(grid.width, -(-(self.x1 + px) // grid.step) * grid.step),
        )

    def halves(self, grid):
        """Cut the longer side in two; an empty list if it is too short for that."""
        height, width = self.y1 - self.y0, self.x1 - self.x0
        if max(height, width) < 2 * max(grid.step, _SMALLEST_TILE_PX, 2 * grid.blend):
            return []
        if height >= width:
            cut = self.y0 + height // 2 // grid.step * grid.step
            return [Window(self.y0, cut, self.x0, self.x1), Window(cut, self.y1, self.x0, self.x1)]
        cut = self.x0 + width // 2 // grid.step * grid.step
        return [Window(self.y0, self.y1, self.x0, cut), Window(self.y0, self.y1, cut, self.x1)]


def make_grid(size, reach, tile, overlap_px):
    """Apply the size rules; see `infer.upscaler.upscale` for `tile` and `overlap_px`.

    Raises:
        ValueError: A tile that is no number or below 8 px, or a negative overlap.
    """
    if tile is not None and not isinstance(tile, (int, np.integer)):
        raise ValueError(f"tile must be a number of px, 'auto' or None, got {tile!r}")
    if tile is not None and tile < _SMALLEST_TILE_PX:
        raise ValueError(f"tile must be at least {_SMALLEST_TILE_PX} px, got {tile}")
    if overlap_px is not None and overlap_px < 0:
        raise ValueError(f"overlap_px must not be negative, got {overlap_px}")
    m = reach.multiple
    radius = None if reach.radius_px is None else max(reach.radius_px, LEAST_RADIUS_PX)
    height, width = (-(-n // m) * m for n in size)
    margin = overlap_px
    if margin is None:
        margin = GLOBAL_OVERLAP_PX if radius is None else radius
    spare = margin // 2 if radius is None or margin < radius else margin - radius
    # a network that looks everywhere may also halve sizes inside: keep its grid in place
    step = m if radius is not None else math.lcm(m, _SMALLEST_TILE_PX)
    tile = max(step, (tile or max(height, width)) // step * step)
    blend = min(spare, _WIDEST_BLEND_PX, tile // 4)  # bands of a tile's two edges never overlap
    return Grid(height, width, tile, margin, blend, step, reach.scale)


def padded(image, box):
    """Read a box of a picture; beyond its end it is reflected, or repeated where it is too small.

    Args:
        image: (H, W, …) array.
        box: May reach beyond the bottom and the right, by the padding to a multiple.

    Returns:
        (y1 - y0, x1 - x0, …), a view where nothing is beyond.
    """
    height, width = image.shape[:2]
    if box.y1 <= height and box.x1 <= width:
        return image[box.y0 : box.y1, box.x0 : box.x1]
    rows = _reflected(np.arange(box.y0, box.y1), height)
    columns = _reflected(np.arange(box.x0, box.x1), width)
    return image[rows[:, None], columns]


def _reflected(positions, length):
    """Positions with those beyond the end mirrored at the last pixel, which is not repeated."""
    if positions[-1] > 2 * (length - 1):  # too small to reflect
        return np.minimum(positions, length - 1)
    return np.where(positions < length, positions, 2 * (length - 1) - positions)


def work(grid):
    """Pixels that all runs of a grid read, over those of the picture."""
    return (
        sum(_sides(grid.height, grid)) * sum(_sides(grid.width, grid)) / (grid.height * grid.width)
    )


def count(grid):
    """Number of runs of a grid."""
    return len(_edges(grid.height, grid)) * len(_edges(grid.width, grid))


def largest_run_px(grid):
    """Pixels that the largest run of a grid reads."""
    return max(_sides(grid.height, grid)) * max(_sides(grid.width, grid))


def _sides(length, grid):
    """Lengths of the runs along one side of the picture, margins included."""
    for start, end in _edges(length, grid):
        first = max(0, (start - grid.margin) // grid.step * grid.step)
        last = min(length, -(-(end + grid.margin) // grid.step) * grid.step)
        yield last - first


def run(grid, read, network, write):
    """Run a network over a grid.

    Where the network runs out of memory, the tile is halved and tried again, and later tiles of
    that size are halved at once.

    Args:
        grid: The `Grid`.
        read: Function of a `Window` that gives those pixels of the picture.
        network: Function of such an array (h, w, …) that gives (s·h, s·w, C) float32.
        write: Function ``(y, x, block)`` that takes a block of the output for row y, column x of
            the enlarged picture. Called once for each pixel, from top to bottom.

    Raises:
        MemoryError: Even the smallest tile does not fit.
    """
    runner = _Runner(grid, read, network)
    edges = _edges(grid.width, grid)
    below = None  # bottom band of the strip before, which this one is to be added to
    for y0, y1 in _edges(grid.height, grid):
        boxes = [Window(y0, y1, x0, x1) for x0, x1 in edges]
        if not grid.blend:
            for box in boxes:
                for part, block in runner.parts(box):
                    write(part.y0 * grid.scale, part.x0 * grid.scale, block)
            continue
        strip, top = _blended_strip(grid, runner, boxes)
        if below is not None:
            strip[: len(below)] += below
        kept = len(strip) - (2 * grid.blend * grid.scale if y1 < grid.height else 0)
        write(top * grid.scale, 0, strip[:kept])
        below = strip[kept:].copy()


def _edges(length, grid):
    """Cut a side into tiles of nearly equal length: pairs of start and end."""
    count = -(-length // grid.tile)
    cuts = [round(n * length / count / grid.step) * grid.step for n in range(count)]
    return list(itertools.pairwise([*cuts, length]))


class _Runner:
    """Runs the network on a box with its margin, in pieces if it does not fit in memory."""

    def __init__(self, grid, read, network):
        self._grid, self._read, self._network = grid, read, network
        self._too_large = float("inf")  # pixels read by the smallest run that failed

    def parts(self, box):
        """Yield ``(part, block)``: parts of `box`, and the output for each, blend band included."""
        grid = self._grid
        window = box.grown(grid.margin, grid)
        size = (window.y1 - window.y0) * (window.x1 - window.x0)
        if size < self._too_large:
            try:
                output = self._network(self._read(window))
            except (tf.errors.ResourceExhaustedError, MemoryError):
                self._too_large = size
            else:
                yield box, _crop(output, window, _kept(box, grid), grid.scale)
                return
        halves = box.halves(grid)
        if not halves:
            raise MemoryError(f"not enough memory even for a tile of {box.x1 - box.x0} px")
        for half in halves:
            yield from self.parts(half)


def _crop(output, window, box, scale):
    y, x = (box.y0 - window.y0) * scale, (box.x0 - window.x0) * scale
    return output[y : y + (box.y1 - box.y0) * scale, x : x + (box.x1 - box.x0) * scale]


def _kept(box, grid):
    """The box with its share of the blend bands."""
    return Window(
        max(0, box.y0 - grid.blend),
        min(grid.height, box.y1 + grid.blend),
        max(0, box.x0 - grid.blend),
        min(grid.width, box.x1 + grid.blend),
    )


def _blended_strip(grid, runner, boxes):
    """Weighted sum of one row of tiles, from the band above it to the band below it.

    Returns:
        (s·rows, s·W, C) float32, and its first row in pixels of the picture.
    """
    top, bottom = _kept(boxes[0], grid).y0, _kept(boxes[0], grid).y1
    strip = np.empty(0)
    for box in boxes:
        for part, block in runner.parts(box):
            kept = _kept(part, grid)
            if not strip.size:
                shape = ((bottom - top) * grid.scale, grid.width * grid.scale, block.shape[2])
                strip = np.zeros(shape, np.float32)
            rows = _weights(part.y0, part.y1, grid.height, grid)
            columns = _weights(part.x0, part.x1, grid.width, grid)
            y, x = (kept.y0 - top) * grid.scale, kept.x0 * grid.scale
            weighted = block * rows[:, None, None] * columns[:, None]
            strip[y : y + len(rows), x : x + len(columns)] += weighted
    return strip, top


def _weights(start, end, length, grid):
    """Weight of each row (or column) of a kept box: 1 inside, a raised cosine in the bands.

    The weights of the two tiles that meet at an edge sum to 1.
    """
    first, last = max(0, start - grid.blend), min(length, end + grid.blend)
    centres = first + (np.arange((last - first) * grid.scale) + 0.5) / grid.scale
    weights = np.ones(len(centres), np.float32)
    if start > 0:
        weights *= _ramp((centres - start) / grid.blend)
    if end < length:
        weights *= _ramp((end - centres) / grid.blend)
    return weights


def _ramp(position):
    """0 at -1, 1 at +1, smooth between; ``_ramp(x) + _ramp(-x) = 1``."""
    return (0.5 + 0.5 * np.sin(np.pi / 2 * np.clip(position, -1, 1))).astype(np.float32)
