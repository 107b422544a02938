"""Degradations that make training inputs from clean pictures: noises, blurs, aliasing, JPEG.

What is drawn by chance takes a `numpy.random.Generator`; nothing is rounded or clipped before
`to_uint8`, except by `compress`, which passes a picture through a real encoder. Scratches are in
`data.scratches`, resizing in `data.resize`, and chains of damage in `data.damage`.
"""

import math

import cv2
import numpy as np
from scipy.special import j1

from data.resize import imresize as imresize  # what users find here with the other damage


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


def camera_noise(picture, read, shot, random, *, grey=False, smooth=False):
    """Noise of a sensor, read noise and shot noise together.

    Args:
        picture: (H, W, C) in 0..255.
        read: Standard deviation in black, in grey levels.
        shot: What the variance grows by with each grey level.
        random: `numpy.random.Generator`.
        grey: The same noise in all channels.
        smooth: Correlated between neighbours, as demosaicing leaves it; of the same variance.

    Returns:
        (H, W, C) float32, not clipped.
    """
    channels = 1 if grey else picture.shape[2]
    noise = random.standard_normal((*picture.shape[:2], channels), np.float32)
    if smooth:
        kernel = gaussian_kernel(3, 0.6)
        blurred = cv2.filter2D(noise, -1, kernel / np.sqrt((kernel**2).sum()))
        noise = blurred.reshape(noise.shape)
    picture = picture.astype(np.float32)
    return picture + np.sqrt(read**2 + shot * np.maximum(picture, 0)) * noise


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


def generalised_kernel(size, along_px, across_px, angle_deg, beta=1.0):
    """A Gaussian of two widths with other tails: flatter for a `beta` above 1, longer below.

    Args:
        size: Odd side of the kernel.
        along_px: Standard deviation along the direction where `beta` is 1.
        across_px: Across it.
        angle_deg: The direction, counter-clockwise from the right.
        beta: Power of the squared distance.

    Returns:
        (size, size); its sum is 1.

    Reference: arXiv:2107.10833, section 3.2, generalised Gaussian blur.
    """
    x = np.arange(size) - (size - 1) / 2
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    along, across = x * cos - x[:, None] * sin, x * sin + x[:, None] * cos
    squared = (along / along_px) ** 2 + (across / across_px) ** 2
    kernel = np.exp(-0.5 * squared**beta)
    return kernel / kernel.sum()


def sinc_kernel(size, cutoff):
    """Ideal low-pass filter, which rings at edges.

    Args:
        size: Odd side of the kernel.
        cutoff: First frequency that is cut off, in parts of the highest; 0..1.

    Returns:
        (size, size); its sum is 1.

    Reference: arXiv:2107.10833, section 3.4, equation 6.
    """
    x = np.arange(size) - (size - 1) / 2
    radius = np.maximum(np.hypot(x, x[:, None]), 1e-6) * math.pi * cutoff
    kernel = j1(radius) / radius
    return kernel / kernel.sum()


def sharpen(picture, amount, sigma_px):
    """Unsharp masking, with its halos: add what a Gaussian blur takes away.

    Args:
        picture: (H, W, C) in 0..255.
        amount: How many times the difference is added.
        sigma_px: Of the blur.

    Returns:
        (H, W, C) float32, not clipped.
    """
    picture = picture.astype(np.float32)
    return picture + amount * (picture - cv2.GaussianBlur(picture, (0, 0), sigma_px))


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
    return picture if picture.dtype == np.uint8 else np.clip(np.rint(picture), 0, 255).astype("u1")


def compress(picture, quality, *, chroma="4:2:0", offset=(0, 0), webp=False):
    """Pass a picture through a real encoder: JPEG or WebP.

    Args:
        picture: (H, W, 3), or grey (H, W) or (H, W, 1), uint8. A fourth channel is kept as it is.
        quality: Whole number 1..100 of the encoder, libjpeg's for JPEG.
        chroma: "4:2:0" halves the size of the colours, "4:4:4" does not. WebP always halves.
        offset: Rows and columns that the block grid lies above and left of the picture's corner;
            what lies beyond the border is mirrored.
        webp: WebP in place of JPEG.

    Returns:
        uint8 of the shape of `picture`.

    Raises:
        ValueError: A quality or chroma that there is not, or not uint8.
    """
    if quality != int(quality) or not 1 <= quality <= 100:
        raise ValueError(f"quality must be a whole number from 1 to 100, got {quality}")
    if chroma not in _CHROMA:
        raise ValueError(f"chroma must be one of {', '.join(_CHROMA)}, got {chroma!r}")
    if picture.dtype != np.uint8:
        raise ValueError(f"an encoder takes uint8, got {picture.dtype}")
    if picture.ndim == 3 and picture.shape[2] in (2, 4):
        colours, alpha = picture[..., :-1], picture[..., -1:]
        colours = compress(colours, quality, chroma=chroma, offset=offset, webp=webp)
        return np.concatenate([colours, alpha], axis=2)
    top, left = offset
    shifted = cv2.copyMakeBorder(picture, top, 0, left, 0, cv2.BORDER_REFLECT)
    grey = shifted.ndim == 2
    if not grey:
        shifted = cv2.cvtColor(shifted, cv2.COLOR_RGB2BGR)
    if webp:
        ending, options = ".webp", [cv2.IMWRITE_WEBP_QUALITY, int(quality)]
    else:
        sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _CHROMA[chroma]]
        ending, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, int(quality), *sampling]
    file = cv2.imencode(ending, shifted, options)[1]
    decoded = cv2.imdecode(file, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    if not grey:
        decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(decoded[top:, left:]).reshape(picture.shape)


_CHROMA = {
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}
CHROMA = tuple(_CHROMA)
"""Names of how JPEG keeps colours, see `compress`."""
JPEG_GRID_PX = 16
"""After so many pixels the block grid of a JPEG repeats, with halved colours."""
