"""Degradations that make training inputs from clean pictures: sizes, noises, blurs, aliasing.

What is drawn by chance takes a `numpy.random.Generator`; nothing is rounded or clipped before
`to_uint8`. Scratches are in `data.scratches`. `imresize` is MATLAB's: every super-resolution
benchmark was made with it, and any other bicubic costs decibels.
"""

import math

import cv2
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


def gaussian_noise(picture, sigma, random):
    """Add normal noise, independent for each pixel and channel.

    Args:
        picture: (H, W, C) in 0..255.
        sigma: Standard deviation in grey levels.
        random: `numpy.random.Generator`.

    Returns:
        (H, W, C) float64, not clipped.
    """
    return picture + sigma * random.standard_normal(picture.shape)


def poisson_noise(picture, peak, random):
    """Shot noise: counts of a sensor that catches `peak` photons where the picture is 255.

    Args and returns as `gaussian_noise`; the variance is ``255 · picture / peak``.
    """
    return random.poisson(picture * (peak / 255.0)) * (255.0 / peak)


def salt_and_pepper(picture, amount, random, *, salt_vs_pepper=0.5):
    """Replace values by 255 or 0, independently for each pixel and channel.

    Args:
        picture: (H, W, C) in 0..255.
        amount: Share of values replaced, 0..1.
        random: `numpy.random.Generator`.
        salt_vs_pepper: Share of 255 among them.

    Returns:
        (H, W, C) float64.
    """
    replaced = random.random(picture.shape) < amount
    salt = random.random(picture.shape) < salt_vs_pepper
    return np.where(replaced, np.where(salt, 255.0, 0.0), picture)


def gaussian_kernel(size, sigma):
    """Return the (size, size) kernel of MATLAB's ``fspecial("gaussian", size, sigma)``."""
    x = np.arange(size) - (size - 1) / 2
    kernel = np.exp(-(x**2 + x[:, None] ** 2) / (2 * sigma**2))
    return kernel / kernel.sum()


def motion_kernel(length_px, angle_deg):
    """Kernel of a straight motion: MATLAB's ``fspecial("motion", length, angle)``.

    Args:
        length_px: Length of the motion, at least 1.
        angle_deg: Its direction, counter-clockwise from the right.

    Returns:
        Kernel with odd sides, no larger than the line needs; its sum is 1.
    """
    half = (max(1, length_px) - 1) / 2
    angle = math.radians(angle_deg % 180)
    cos, sin = math.cos(angle), math.sin(angle)
    sign = -1 if cos < 0 else 1
    slack = max(1, length_px) * np.finfo(float).eps  # an end on a pixel's edge takes no pixel more
    columns = np.arange(0, int(half * cos + sign - slack) + sign, sign)
    rows = np.arange(int(half * sin + 1 - slack) + 1)[:, None]
    across = rows * cos - columns * sin
    beyond = (np.hypot(columns, rows) >= half) & (np.abs(across) <= 1)
    along = np.abs((columns + across * sin) / cos)
    across = np.where(beyond, np.hypot(across, half - along), across)
    quarter = np.maximum(0, 1 + np.finfo(float).eps - np.abs(across))
    height, width = quarter.shape
    kernel = np.zeros((2 * height - 1, 2 * width - 1))
    kernel[:height, :width] = quarter[::-1, ::-1]
    kernel[height - 1 :, width - 1 :] = quarter
    kernel /= kernel.sum()
    return kernel[::-1] if cos > 0 else kernel


def blur(picture, kernel):
    """Correlate a picture with a kernel; the border is mirrored without the edge pixel.

    Args:
        picture: (H, W, C) in 0..255.
        kernel: (h, w), sides odd; its sum is 1.

    Returns:
        (H, W, C) float64, not rounded.
    """
    return cv2.filter2D(picture.astype(np.float64), -1, kernel, borderType=cv2.BORDER_REFLECT_101)


ALIAS_METHODS = ("nearest", "bicubic", "opencv-nearest")


def alias(picture, scale=0.3, method="nearest"):
    """Shrink without a low-pass filter and enlarge back, so that edges become jagged.

    Args:
        picture: (H, W, C) in 0..255.
        scale: Share of each side that is kept; the small size is ``ceil(scale · size)``.
        method: "nearest": the pixel under the centre of each new one, as MATLAB and Pillow take
            it. "bicubic" (a = -0.75): softer edges with rings. "opencv-nearest": OpenCV's
            ``INTER_NEAREST``, which takes the pixel under each new one's corner and so moves the
            picture by up to half of ``1 / scale`` px; for comparison with older data only.

    Returns:
        (H, W, C) float64, not clipped.

    Raises:
        ValueError: There is no such method.
    """
    if method not in ALIAS_METHODS:
        raise ValueError(f"method must be one of {', '.join(ALIAS_METHODS)}, got {method!r}")
    size = picture.shape[:2]
    small = tuple(math.ceil(scale * n) for n in size)
    picture = picture.astype(np.float64)
    if method == "nearest":
        return _nearest(_nearest(picture, small), size)
    interpolation = {"bicubic": cv2.INTER_CUBIC, "opencv-nearest": cv2.INTER_NEAREST}[method]
    low = cv2.resize(picture, small[::-1], interpolation=interpolation)
    return cv2.resize(low, size[::-1], interpolation=interpolation)


def _nearest(picture, size):
    """The pixels under the centres of those of a picture of another size."""
    for axis, (length, out_length) in enumerate(zip(picture.shape[:2], size, strict=True)):
        centres = (np.arange(out_length) + 0.5) * (length / out_length)
        picture = np.take(picture, centres.astype(int), axis)
    return picture


def to_uint8(picture):
    """Round and clip to uint8, as a file would hold it."""
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
