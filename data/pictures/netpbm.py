"""Netpbm files that Pillow does not know, or cuts to 8 bits: P5 and P6 of any depth, colour PFM.

Reference: netpbm.sourceforge.net/doc, ppm and pfm.
"""

import re

import numpy as np

from data.pictures.decoders import PictureError
from data.pictures.tiff import from_unit_range

_GAP = rb"(?:\s|#[^\n]*\n)+"
_NUMBER = rb"(\d{1,9})"
_SCALE = rb"([-+]?\d{0,9}\.?\d{1,9}(?:[eE][-+]?\d{1,2})?)\s"
_HEADER = re.compile(rb"(P[56F])" + _GAP + _NUMBER + _GAP + _NUMBER + _GAP + _SCALE)
_HEADER_BYTES = 1000


def header(start):
    """Recognise a file by its first bytes.

    Returns:
        ``(height, width, channels, maximum, where pixels begin)``, or None for other files and
        those of 8 bits, which Pillow reads. `maximum` is a float in a PFM: its scale.
    """
    found = _HEADER.match(start[:_HEADER_BYTES])
    if not found:
        return None
    kind, width, height, maximum = found.groups()
    floats = kind == b"PF"
    if not floats and (not maximum.isdigit() or int(maximum) in (0, 255) or int(maximum) > 65535):
        return None
    maximum = float(maximum) if floats else int(maximum)
    return int(height), int(width), 1 if kind == b"P5" else 3, maximum, found.end()


def decode(data, height, width, channels, maximum, begin):
    """Decode the pixels; the arguments are from `header`.

    Returns:
        uint8 or uint16, or float32 in 0..255; (H, W) or (H, W, 3).

    Raises:
        PictureError: It is cut short.
    """
    if isinstance(maximum, float):
        number = "<f4" if maximum < 0 else ">f4"
    else:
        number = "u1" if maximum < 256 else ">u2"
    count = height * width * channels
    if not count or len(data) - begin < count * np.dtype(number).itemsize:
        raise PictureError(f"is cut short: {len(data)} bytes cannot hold its pixels")
    pixels = np.frombuffer(data, number, count, begin).reshape(height, width, channels)
    if isinstance(maximum, float):
        pixels = from_unit_range(pixels[::-1])  # the lowest row comes first
    else:
        top = 255 if maximum < 256 else 65535
        scaled = np.rint(np.minimum(np.arange(top + 1) / maximum, 1) * top)
        pixels = scaled.astype(f"u{1 + (top > 255)}")[pixels]
    return pixels[..., 0] if channels == 1 else pixels
