"""One picture through one network: any mode, any depth, any size.

`upscale` takes an array as `load_image` gives it and returns the enlarged one in the same mode and
number type. Grey runs as three equal channels and comes back grey. Alpha is interpolated; colours
behind full transparency, which are arbitrary, are first replaced by the nearest visible ones, so
that none of them bleeds into an edge.
"""

import functools
import math
import warnings
from dataclasses import replace

import cv2
import numpy as np
import tensorflow as tf

from infer import tiles
from infer.arrays import checked, result_dtype, without_hidden_colours
from infer.margin import EXACT_UP_TO_PX, margin_px
from infer.memory import free_bytes
from infer.reach import reach
from infer.sizes import Sized
from model.common import self_ensembled

LUMA = np.array(
    [0.299, 0.587, 0.114], np.float32
)  # BT.601, full range: weights sum to 1, so white is white
_BUDGET_BYTES = 620 << 20  # for the picture and one run: with TensorFlow's 0.65 GB below 1.5 GB
_LEAST_BYTES = 64 << 20
_SMALLEST_AUTO_TILE_PX = 32
_PEAK_OVER_LIVE = 1.6  # process memory over the features alive at once, measured on four networks
_MOST_WORK = 1.3  # of one run, that tiles of a deep network may take where there is memory
_ROWS = 64
_FLAT_PX = 5  # side of an all-white or all-black square whose middle the network may not tint


def upscale(model, image, *, size=None, tile=None, overlap_px=None):
    """Enlarge a picture.

    Args:
        model: A functional network from RGB to RGB with the 0..255 contract.
        image: (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), see `data.pictures.read`; uint8,
            uint16, or floats in 0..255.
        size: `infer.sizes.OutputSize`; None: the network's scale. See `infer.sizes.Sized`, for what
            is done to reach it; warns where the network runs more than once, or not at all.
        tile: None: the whole picture in one run. A number: tiles of this side in px, each run
            with a margin. ``"auto"``: the largest tile that fits in free memory.
        overlap_px: The margin: px read around each tile. None: the network's receptive field
            (tiles then equal one run), or 32 for a network that looks everywhere. For a receptive
            field above 48 px, as far as it really looks: measured at the first use of tiles, which
            then differ from one run by at most one grey level.

    Returns:
        The enlarged picture, mode and type as `image` (float32 for any float type); clipped to the
        type's range, for floats to 0..255.

    Raises:
        ValueError: The model, the picture or an argument is not as said above.
        MemoryError: Not even a small tile fits.
    """
    network = Upscaler(model)
    if size:
        network = Sized(network, size)
        remark = network.remark(np.shape(image))
        if remark:
            warnings.warn(remark, stacklevel=2)
    return network(image, tile=tile, overlap_px=overlap_px)


class Upscaler:
    """A network made ready to enlarge many pictures.

    Args:
        model: As for `upscale`.
        self_ensemble: Run each tile in its eight flips and rotations and average: eight times as
            slow; 0.15 dB better on Set5 (WDSR-B of 32 blocks, ×4, Y, border 4: 32.09 → 32.24).
    """

    def __init__(self, model, *, self_ensemble=False):
        self.reach = reach(model)
        self._model = model
        self._forward = _traced(model)
        self._answer = self_ensembled(self._forward) if self_ensemble else self._forward

    def __call__(self, image, *, tile=None, overlap_px=None, out=None, report=None):
        """Enlarge a picture; see `upscale`.

        Args:
            image: The picture.
            tile: See `upscale`.
            overlap_px: See `upscale`.
            out: Array of the result's shape and type to write to, for example a `numpy.memmap`, or
                a function (shape, dtype) that gives one.
            report: Called with the number of picture pixels (of the input) done since last time.

        Returns:
            `out`, or a new array.
        """
        image = checked(image)
        return self.in_tiles(
            without_hidden_colours(image),
            self._enlarge,
            *self.result(image),
            tile=tile,
            overlap_px=overlap_px,
            out=out,
            report=report,
        )

    def in_tiles(
        self, source, network, shape, dtype, *, tile=None, overlap_px=None, out=None, report=None
    ):
        """Run any function of the network's scale and receptive field over a picture.

        Args:
            source: (H, W) or (H, W, C): what tiles are cut from.
            network: Function of a tile (h, w, …) to (s·h, s·w, C) float32 in 0..255.
            shape: Of the result.
            dtype: Of the result: uint8, uint16 or float32.
            tile: See `upscale`.
            overlap_px: See `upscale`.
            out: See `Upscaler.__call__`.
            report: See `Upscaler.__call__`.

        Returns:
            `out`, or a new array.
        """
        out = out(shape, dtype) if callable(out) else out
        if out is None:
            out = np.empty(shape, dtype)
        elif out.shape != shape or out.dtype != dtype:
            raise ValueError(f"out must be {shape} {dtype}, got {out.shape} {out.dtype}")
        grid = self.plan(source.shape[:2], tile, overlap_px, source.nbytes)
        target = out[..., None] if out.ndim == 2 else out

        def write(y, x, block):
            block = block[: target.shape[0] - y, : target.shape[1] - x]
            for start in range(0, len(block), _ROWS):  # few rows at a time: small copies
                rows = _as_type(block[start : start + _ROWS], dtype)
                target[y + start : y + start + len(rows), x : x + block.shape[1]] = rows
            if report:
                report(block.shape[0] * block.shape[1] / self.reach.scale**2)

        tiles.run(grid, lambda window: tiles.padded(source, window), network, write)
        return out

    def result(self, image):
        """Return shape and type of what `image` becomes."""
        height, width, *channels = image.shape
        shape = (height * self.reach.scale, width * self.reach.scale, *channels)
        return shape, result_dtype(image)

    def plan(self, size, tile="auto", overlap_px=None, picture_bytes=0):
        """Return how a picture is cut: the `infer.tiles.Grid`.

        Args:
            size: Height and width of the picture.
            tile: See `upscale`.
            overlap_px: See `upscale`.
            picture_bytes: See `fitting_tile`.
        """
        if tile == "auto":
            tile = self.fitting_tile(overlap_px, picture_bytes, size)
        return self._grid(size, tile, overlap_px)

    def fitting_tile(self, overlap_px=None, picture_bytes=0, size=None):
        """Return the side in px of the largest tile that fits in memory.

        Up to 1.5 GB are used for the process, whatever is free, by all but deep networks: there
        computing a pixel costs so much that tiles may take half of the free memory, and three
        quarters of it where they would be smaller than their margin.

        Args:
            overlap_px: See `upscale`.
            picture_bytes: What the picture takes; a large one leaves less for a tile.
            size: Height and width of the picture; one that fits as a whole is one tile.
        """
        free = free_bytes() // 2
        budget = min(max(_LEAST_BYTES, _BUDGET_BYTES - picture_bytes), free)
        if size and size[0] * size[1] <= self._fitting_px(budget):
            return max(_SMALLEST_AUTO_TILE_PX, *size)
        margin = self._margin_px() if overlap_px is None else overlap_px
        side = int(self._fitting_px(budget) ** 0.5) - 2 * margin
        side = max(_SMALLEST_AUTO_TILE_PX, side // 8 * 8)
        if size is None or (self.reach.radius_px or 0) <= EXACT_UP_TO_PX:
            return side
        deep = self._least_work(size, side, overlap_px, free)
        if deep < min(margin, *size):
            deep = self._least_work(size, side, overlap_px, free * 3 // 2)
        return deep

    def _least_work(self, size, smallest, overlap_px, budget):
        """The smallest tile that takes little work, or the one that takes least in a budget."""
        fitting, best = self._fitting_px(budget), (math.inf, smallest)
        for side in range(smallest, max(size) + 8, 8):
            grid = self._grid(size, side, overlap_px)
            if tiles.largest_run_px(grid) <= fitting:
                best = min(best, (tiles.work(grid), side))
            if best[0] <= _MOST_WORK:
                break
        return best[1]

    def _fitting_px(self, budget):
        return budget / (_PEAK_OVER_LIVE * self.reach.bytes_per_px)

    def _margin_px(self):
        margin = margin_px(self._model, self._run, self.reach)
        return tiles.GLOBAL_OVERLAP_PX if margin is None else margin

    def _grid(self, size, tile, overlap_px):
        field = self.reach
        smaller = isinstance(tile, (int, np.integer)) and tile < max(size)
        if smaller and overlap_px is None and field.radius_px:
            field = replace(field, radius_px=self._margin_px())
        return tiles.make_grid(size, field, tile, overlap_px)

    def _enlarge(self, window):
        """One tile: (h, w) or (h, w, C) of any type to (s·h, s·w, C) float32 in 0..255."""
        pixels = window.astype(np.float32) / np.float32(257 if window.dtype == np.uint16 else 1)
        pixels = pixels.reshape(*window.shape[:2], -1)
        if pixels.shape[2] in (1, 3):
            return self._colour(pixels)
        colour = self._colour(pixels[..., :-1])
        return np.concatenate([colour, self._alpha(pixels[..., -1:])], axis=2)

    def _colour(self, pixels):
        if pixels.shape[2] == 1:
            output = self._network(np.repeat(pixels, 3, axis=2)) @ LUMA[:, None]
        else:
            output = self._network(pixels)
        return _keep_black_and_white(pixels, output, self.reach.scale)

    def _alpha(self, alpha):
        """Enlarge alpha by bicubic, between the least and the largest value around each pixel.

        Not by the network: at the hard edge of a mask, which no photograph has, networks draw
        a second edge beside it. The limits keep opaque exactly opaque and clear clear.
        """
        scale = self.reach.scale
        if alpha.min() == alpha.max():
            return _repeated(alpha, scale)
        height, width = alpha.shape[:2]
        size = (width * scale, height * scale)
        output = cv2.resize(alpha, size, interpolation=cv2.INTER_CUBIC)[..., None]
        square = np.ones((3, 3), np.uint8)
        low, high = (_repeated(f(alpha, square)[..., None], scale) for f in (cv2.erode, cv2.dilate))
        return np.clip(output, low, high)

    def _network(self, pixels):
        return np.asarray(self._answer(pixels[None]))[0]  # asarray and not .numpy(): no copy

    def _run(self, pixels):
        return np.asarray(self._forward(pixels[None]))[0]


def _traced(model):
    """The network as a function of (1, H, W, 3) that does not retrace for another size."""
    if hasattr(model, "traced"):
        return model.traced
    signature = [tf.TensorSpec((None, None, None, 3), tf.float32)]
    return tf.function(functools.partial(model, training=False), input_signature=signature)


def _keep_black_and_white(pixels, output, scale):
    """Give back pure white and black where all around is pure white or black.

    Networks give 254 or 1 there, which shows on a page or a cut-out.
    """
    square = np.ones((_FLAT_PX, _FLAT_PX), np.uint8)
    for value in (0, 255):
        flat = cv2.erode(np.all(pixels == value, axis=2).astype(np.uint8), square)
        if flat.any():
            output = np.where(_repeated(flat[..., None], scale), np.float32(value), output)
    return output


def _repeated(plane, scale):
    return plane.repeat(scale, axis=0).repeat(scale, axis=1)


def _as_type(block, dtype):
    """Clip 0..255 to the range of a type; whole numbers are rounded."""
    block = np.clip(block, 0, 255)
    if dtype == np.uint16:
        return np.rint(block * np.float32(257)).astype(np.uint16)
    return np.rint(block).astype(np.uint8) if dtype == np.uint8 else block
