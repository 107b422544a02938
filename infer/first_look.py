"""A first look at a picture: is it clean, saved by a lossy encoder, or noisy; and what suits it.

Networks that learned from clean pictures draw the blocks of a JPEG as if they were edges and noise
as if it were texture. A few numbers tell such pictures: what the file says of its encoder, the
steps on a grid of eight pixels, and the noise of the smoothest places.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from data.pictures.read import MAX_MEGAPIXELS, read_picture, rgb8

KINDS = ("clean", "lossy", "noisy")
"""Of pictures."""

NETWORKS = {
    "upscale": {
        "clean": ("wdsr-b-32-x4",),
        "lossy": ("wdsr-b-32-x4-photo", "wdsr-b-32-x4"),
        "noisy": ("wdsr-b-32-x4-photo", "wdsr-b-32-x4"),
    },
    "upscale, at most twice": {
        "clean": ("wdsr-b-32-x2", "wdsr-b-32-x4"),
        "lossy": ("wdsr-b-32-x2-photo", "wdsr-b-32-x4-photo", "wdsr-b-32-x4"),
        "noisy": ("wdsr-b-32-x2-photo", "wdsr-b-32-x4-photo", "wdsr-b-32-x4"),
    },
    "faces": dict.fromkeys(KINDS, ("wdsr-b-32-x4-gan", "wdsr-b-32-x4-photo")),
}
"""What for → kind of picture → networks, the first of which that is bundled is taken."""

FIRST = {"lossy": "jpeg", "noisy": "denoise"}
"""Kind of picture → what ``--first`` removes."""

LEAST_QUALITY = 96
"""JPEG of this quality and above counts as clean: no block of it shows."""

LEAST_BLOCKINESS = 0.2
"""Measured: 0.0 to 0.14 on clean pictures and their quarter, 0.2 to 0.7 at quality 75."""

LEAST_SIGNIFICANCE = 2.5
"""In standard errors: small pictures have few blocks to average over."""

LEAST_NOISE = 5.0
"""Grey levels; clean pictures have up to 4, of fine texture."""

_LOOKED_AT_PX = 1024  # side of the middle that is looked at
_LOSSY_FORMATS = frozenset(["JPEG", "MPO", "AVIF", "HEIF"])
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FLAT_SHARE = 0.53  # of a channel's noise: what the smoothest tenth of luminance shows of it
_LUMA_TABLE_MEAN = 57.625  # of the quantisation table of JPEG's Annex K, quality 50


@dataclass(frozen=True)
class FirstLook:
    """What a picture looks like.

    Attributes:
        lossy: The file is of a lossy format, or blocks show.
        quality: The JPEG encoder's, 1 to 100, as its tables tell; None: not a JPEG.
        blockiness: Steps on the block grid over those beside it, in grey levels.
        noise: Standard deviation in grey levels, of each channel if they are independent.
    """

    lossy: bool
    quality: int | None
    blockiness: float
    noise: float

    @property
    def kind(self):
        """Whether the picture is "clean", "lossy" or "noisy"."""
        if self.noise >= LEAST_NOISE:
            return "noisy"
        return "lossy" if self.lossy else "clean"

    def __str__(self):
        if self.kind == "noisy":
            return f"noise of about {self.noise:.0f} grey levels"
        if self.kind == "lossy":
            return f"JPEG of quality {self.quality}" if self.quality else "traces of a lossy file"
        return "no sign of JPEG or noise"


def look(pixels, *, lossy=False, quality=None):
    """Look at a picture.

    Args:
        pixels: (H, W) or (H, W, 2 | 3 | 4), uint8, uint16, or floats in 0..255.
        lossy: Whether its file is of a lossy format.
        quality: The JPEG encoder's, if its file is a JPEG.

    Returns:
        A `FirstLook`.
    """
    height, width = pixels.shape[:2]
    top, left = (max(0, (n - _LOOKED_AT_PX) // 2) for n in (height, width))
    middle = pixels[top : top + _LOOKED_AT_PX, left : left + _LOOKED_AT_PX]
    grey = rgb8(middle).astype(np.float32) @ _LUMA
    blocks, significance = blockiness(grey)
    shows = blocks >= LEAST_BLOCKINESS and significance >= LEAST_SIGNIFICANCE
    saved = lossy and (quality is None or quality < LEAST_QUALITY)
    return FirstLook(saved or shows, quality, blocks, noise(grey))


def look_at(path, *, max_megapixels=MAX_MEGAPIXELS):
    """Look at a picture file.

    Args:
        path: The file.
        max_megapixels: See `data.pictures.read.read_picture`, whose errors are raised.

    Returns:
        A `FirstLook`.
    """
    pixels = read_picture(path, max_megapixels=max_megapixels).pixels
    lossy, quality = encoder_of(path)
    return look(pixels, lossy=lossy, quality=quality)


def encoder_of(path):
    """Return whether a picture file is of a lossy format, and a JPEG's quality or None."""
    try:
        with path.open("rb") as file, Image.open(file) as image:
            if image.format == "WEBP":
                file.seek(0)
                return b"VP8 " in file.read(65536), None
            tables = getattr(image, "quantization", None)
            quality = _quality(tables[min(tables)]) if tables else None
            return image.format in _LOSSY_FORMATS, quality
    except OSError:  # formats that only our own readers know are lossless
        return False, None


def _quality(table):
    """Quality at which libjpeg writes a quantisation table of this mean."""
    percent = 100 * np.mean(table) / _LUMA_TABLE_MEAN
    quality = (200 - percent) / 2 if percent <= 100 else 5000 / percent
    return int(np.clip(round(quality), 1, 100))


def blockiness(grey):
    """How much greater steps between neighbours are on a grid of eight pixels than beside it.

    Args:
        grey: (H, W) float, luminance in 0..255. The grid may lie anywhere.

    Returns:
        The difference in grey levels, and the same in its standard errors; each the smaller of
        those of rows and columns. 0 for pictures of less than 24 px.
    """
    if min(grey.shape) < 24:
        return 0.0, 0.0
    found = []
    for picture in (grey, grey.T):
        steps = np.abs(np.diff(picture, axis=1))
        beyond = np.clip(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2, -4, 4)
        means = [beyond[:, phase::8].mean() for phase in range(8)]
        on_grid = beyond[:, np.argmax(means) :: 8]
        difference = max(means) - np.median(means)
        error = on_grid.std() / np.sqrt(on_grid.size)
        found.append((float(difference), float(difference / max(error, 1e-6))))
    return min(d for d, _ in found), min(s for _, s in found)


def noise(grey):
    """Standard deviation of what differs from pixel to pixel in the smoothest tenth of windows.

    Args:
        grey: (H, W) float, luminance in 0..255. Windows with black or white are left out.

    Returns:
        Grey levels of each channel, if they are independent; 0 for pictures of less than 8 px.

    Reference: Immerkær, CVIU 64(2), 1996, for the filter; the choice of windows is ours.
    """
    if min(grey.shape) < 8:
        return 0.0
    kernel = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6
    windows = _windows(cv2.filter2D(grey, -1, kernel))
    values = _windows(grey)
    used = (values.min(axis=1) > 4) & (values.max(axis=1) < 251)
    windows = windows[used] if used.any() else windows
    return float(np.percentile(windows.std(axis=1), 10) / _FLAT_SHARE)


def _windows(grey, px=8):
    rows, columns = (n // px for n in grey.shape)
    cut = grey[: rows * px, : columns * px].reshape(rows, px, columns, px)
    return cut.swapaxes(1, 2).reshape(rows * columns, px * px)


def choose(command, kind, bundled):
    """Return the name of the network for a kind of picture: the first one that is bundled.

    Args:
        command: Key of `NETWORKS`.
        kind: "clean", "lossy" or "noisy".
        bundled: Names of the networks there are.

    Raises:
        FileNotFoundError: None of them is bundled.
    """
    names = NETWORKS[command][kind]
    found = next((name for name in names if name in bundled), None)
    if found is None:
        raise FileNotFoundError(f"none of {', '.join(names)} is bundled: give --model")
    return found
