"""Degradations that make training inputs from clean pictures.

`imresize` is MATLAB's: every super-resolution benchmark was made with it, and any other bicubic
costs decibels.
"""

import math

import numpy as np


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
    result = picture
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):  # stable: rows first when equal
        result = _resize_axis(result, axis, new_lengths[axis], scales[axis], antialias)
        if picture.dtype == np.uint8:
            result = np.floor(np.clip(result, 0, 255) + 0.5).astype(np.uint8)
    return result


def _resize_axis(picture, axis, out_length, scale, antialias):
    sources, weights = _contributions(picture.shape[axis], out_length, scale, antialias)
    shape = [1] * picture.ndim
    shape[axis] = out_length
    result = 0.0
    for tap in range(sources.shape[1]):  # one pass a tap: no (out, taps, …) array in memory
        result = result + np.take(picture, sources[:, tap], axis) * weights[:, tap].reshape(shape)
    return result


def _contributions(in_length, out_length, scale, antialias):
    """Source positions and weights, (out_length, taps) each, mirrored at the border."""
    shrink = min(scale, 1.0) if antialias else 1.0
    width = 4 / shrink
    centres = np.arange(1, out_length + 1) / scale + 0.5 * (1 - 1 / scale)  # 1-based
    first = np.floor(centres - width / 2)
    positions = first[:, None] + np.arange(math.ceil(width) + 2)
    weights = _cubic(shrink * (centres[:, None] - positions))
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
