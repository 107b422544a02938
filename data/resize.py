"""Resizing, centred: MATLAB's bicubic, and what other programs shrink pictures with.

`imresize` is MATLAB's: every super-resolution benchmark was made with it, and any other bicubic
costs decibels. `resize` has the kernels people's pictures went through. Neither moves a picture.
"""

import functools
import math

import cv2
import numpy as np

_BAND_NUMBERS = 1 << 20  # of a result that are computed at a time by `imresize_to`


def imresize(picture, scale=None, size=None, *, antialias=True):
    """Resize a picture exactly as MATLAB's ``imresize(…, "bicubic")`` does.

    Args:
        picture: (H, W) or (H, W, C). uint8 gives uint8 and, like MATLAB, is rounded between the
            two passes; any other type is computed in and returned as float64, not clipped.
        scale: Factor for both axes; the size becomes ``ceil(scale · size)``.
        size: (height, width) to reach, in place of `scale`.
        antialias: Widen the kernel when shrinking.

    Returns:
        The resized picture.

    Raises:
        ValueError: Not exactly one of `scale` and `size` is given, or one is not positive.

    Reference: Keys, IEEE TASSP 29(6), 1981, for the kernel (a = -0.5); the conventions were
    checked against MATLAB R2019b's answers.
    """
    if (scale is None) == (size is None):
        raise ValueError("give exactly one of scale and size")
    if min(size or (scale,)) <= 0:
        raise ValueError(f"scale and size must be positive, got {scale or size}")
    lengths = picture.shape[:2]
    new_lengths = size or tuple(math.ceil(scale * n) for n in lengths)
    scales = (scale, scale) if scale else tuple(o / n for o, n in zip(size, lengths, strict=True))
    taps = [
        _contributions(*lengths, antialias, KERNELS["bicubic"])
        for lengths in zip(lengths, new_lengths, scales, strict=True)
    ]
    return _both_axes(picture, taps, scales)


def imresize_to(out, picture):
    """Do what ``imresize(picture, size=out.shape[:2])`` does, in little memory beside the two.

    Args:
        out: Array to write to, of the picture's number type and number of channels; clipped to
            the type's range, for floats to 0..255, and rounded where it holds whole numbers.
        picture: (H, W) or (H, W, C), uint8, uint16 or float32 in 0..255.
    """
    lengths, new_lengths = picture.shape[:2], out.shape[:2]
    scales = [new / old for new, old in zip(new_lengths, lengths, strict=True)]
    rows, columns = (
        _contributions(*lengths, True, KERNELS["bicubic"])
        for lengths in zip(lengths, new_lengths, scales, strict=True)
    )
    top = np.iinfo(out.dtype).max if out.dtype.kind == "u" else 255
    count = max(1, _BAND_NUMBERS // math.prod(out.shape[1:]))
    for start in range(0, len(out), count):
        sources, weights = (array[start : start + count] for array in rows)
        first = sources.min()
        band = picture[first : sources.max() + 1]
        band = np.clip(_both_axes(band, [(sources - first, weights), columns], scales), 0, top)
        out[start : start + count] = np.rint(band) if out.dtype.kind == "u" else band


def _both_axes(picture, taps, scales):
    """Resize by the `_contributions` for rows and for columns."""
    result = picture if picture.dtype == np.uint8 else picture.astype(np.float64)
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):  # stable: rows first when equal
        result = _weighted(result, axis, *taps[axis])
        if picture.dtype == np.uint8:
            result = np.floor(np.clip(result, 0, 255) + 0.5).astype(np.uint8)
    return result


def resize(picture, size, kernel="bicubic", *, antialias=True):
    """Resize a picture as other programs do, always centred.

    Args:
        picture: (H, W, 3) in 0..255, uint8 or float32.
        size: (height, width) to reach.
        kernel: "nearest": the pixel under each new one's centre, the mean of the two or four
            where the centre lies between them, so that nothing moves. "area": the mean of what a
            new pixel covers. "bilinear", "bicubic" (a = -0.5) and "lanczos" (3 lobes).
        antialias: Widen the kernel when shrinking, as Pillow and MATLAB do and OpenCV does not.
            Without meaning for "nearest" and "area".

    Returns:
        (height, width, 3) float32, not clipped.

    Raises:
        ValueError: There is no such kernel.
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
    if kernel == "area" and size[0] <= picture.shape[0] and size[1] <= picture.shape[1]:
        return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    result = picture.astype(np.float32)
    for axis in (0, 1):
        scale = size[axis] / picture.shape[axis]
        widen = antialias and kernel != "nearest"
        result = _resize_axis(result, axis, size[axis], scale, widen, KERNELS[kernel])
    return result


def _resize_axis(picture, axis, out_length, scale, antialias, kernel=None):
    sources, weights = _contributions(
        picture.shape[axis], out_length, scale, antialias, kernel or KERNELS["bicubic"]
    )
    if picture.dtype == np.float32:
        weights = weights.astype(np.float32)
    return _weighted(picture, axis, sources, weights)


def _weighted(picture, axis, sources, weights):
    """Sum of the pixels at `sources` along an axis, (out_length, taps), with their weights."""
    out_length = len(sources)
    # Spread over the channels: numpy is slow where its innermost loop has three turns.
    spread = (1,) * axis + (out_length,) + picture.shape[axis + 1 :] * axis
    result = None
    for tap in range(sources.shape[1]):  # one pass a tap: no (out, taps, …) array in memory
        weight = np.repeat(weights[:, tap], np.prod(spread, dtype=int) // out_length)
        weight = weight.reshape(spread + (1,) * (picture.ndim - len(spread)))
        product = np.take(picture, sources[:, tap], axis) * weight
        result = product if tap == 0 else np.add(result, product, out=result)
    return result


@functools.lru_cache(maxsize=256)
def _contributions(in_length, out_length, scale, antialias, kernel):
    """Source positions and weights, (out_length, taps) each, mirrored at the border."""
    function, support = kernel
    shrink = min(scale, 1.0) if antialias else 1.0
    width = support / shrink
    centres = np.arange(1, out_length + 1) / scale + 0.5 * (1 - 1 / scale)  # 1-based
    first = np.floor(centres - width / 2)
    positions = first[:, None] + np.arange(math.ceil(width) + 2)
    weights = function(shrink * (centres[:, None] - positions))
    weights /= weights.sum(axis=1, keepdims=True)
    mirror = np.concatenate([np.arange(in_length), np.arange(in_length)[::-1]])
    sources = mirror[(positions.astype(int) - 1) % (2 * in_length)]
    used = np.any(weights != 0, axis=0)
    return sources[:, used], weights[:, used]


def _cubic(x):
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _box(x):
    return (np.abs(x) <= 0.5 + 1e-9) * 1.0  # both of two pixels whose border is a centre


def _triangle(x):
    return np.maximum(0.0, 1 - np.abs(x))


def _lanczos(x):
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


KERNELS = {
    "nearest": (_box, 1),
    "area": (_box, 1),
    "bilinear": (_triangle, 2),
    "bicubic": (_cubic, 4),
    "lanczos": (_lanczos, 6),
}
"""Name → function of a distance in (widened) pixels, and its support."""
