"""PNG with 16 bits a sample, which Pillow cannot hold: reading, and writing strip by strip.

All PNGs are written here, 8-bit ones too: rows are filtered and compressed a strip at a time, so a
picture of hundreds of megapixels is never copied as a whole.

Reference: PNG specification, third edition, W3C 2025.
"""

import struct
import zlib

import cv2
import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # channels → section 11.2.1, table 9
_GREY_ALPHA = 4
_STRIP_BYTES = 1 << 22
_LEVEL = 4  # of zlib: 6 takes twice as long for photographs that are 2 % smaller


def is_deep(data):
    """Tell from a file's first bytes whether it is a PNG with 16 bits a sample."""
    return data[:8] == SIGNATURE and len(data) > 25 and data[24] == 16


def read_deep(data):
    """Decode a 16-bit PNG.

    Args:
        data: The file, known to be whole.

    Returns:
        uint16 pixels, (H, W), (H, W, 2), (H, W, 3) or (H, W, 4).

    Raises:
        ValueError: OpenCV cannot decode it.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("the 16-bit PNG cannot be decoded")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(
            pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
        )
    return pixels[..., [0, 3]] if data[25] == _GREY_ALPHA else pixels


def write(file, pixels, exif=b"", icc=b""):
    """Write a PNG.

    Args:
        file: An open binary file.
        pixels: (H, W) or (H, W, 2 | 3 | 4), uint8 or uint16.
        exif: EXIF block, starting ``Exif\\0\\0``, or empty.
        icc: ICC profile, or empty.
    """
    rows = pixels.reshape(*pixels.shape[:2], -1)
    height, width, channels = rows.shape
    head = struct.pack(
        ">IIBBBBB", width, height, 8 * rows.itemsize, _COLOUR_TYPE[channels], 0, 0, 0
    )
    file.write(SIGNATURE)
    _write_chunk(file, b"IHDR", head)
    if icc:
        _write_chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
    if exif:
        _write_chunk(file, b"eXIf", exif.removeprefix(b"Exif\0\0"))
    compressor = zlib.compressobj(_LEVEL)
    for strip in _filtered_strips(rows):
        _write_chunk(file, b"IDAT", compressor.compress(strip))
    _write_chunk(file, b"IDAT", compressor.flush())
    _write_chunk(file, b"IEND", b"")


def _write_chunk(file, kind, body):
    if body or kind == b"IEND":
        file.write(struct.pack(">I", len(body)) + kind)
        file.write(body)
        file.write(struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))))


def _filtered_strips(rows):
    """Yield the rows of a picture as filtered bytes, some megabytes at a time."""
    height, width, channels = rows.shape
    pixel_bytes = channels * rows.itemsize
    above = np.zeros(width * pixel_bytes, np.uint8)
    count = max(1, _STRIP_BYTES // len(above))
    for start in range(0, height, count):
        strip = rows[start : start + count]
        if strip.itemsize == 2:
            strip = strip.astype(">u2")
        lines = np.ascontiguousarray(strip).view(np.uint8).reshape(len(strip), -1)
        yield _filter(lines, np.vstack([above, lines[:-1]]), pixel_bytes)
        above = lines[-1]


def _filter(lines, up, pixel_bytes):
    """Filter each line by Sub, Up or Paeth, whichever leaves the smallest differences."""
    left, up_left = np.zeros_like(lines), np.zeros_like(lines)
    left[:, pixel_bytes:] = lines[:, :-pixel_bytes]
    up_left[:, pixel_bytes:] = up[:, :-pixel_bytes]
    candidates = {1: lines - left, 2: lines - up, 4: lines - _paeth(left, up, up_left)}
    costs = [np.abs(c.view(np.int8).astype(np.int16)).sum(axis=1) for c in candidates.values()]
    best = np.argmin(costs, axis=0)
    result = np.empty((len(lines), 1 + lines.shape[1]), np.uint8)
    for number, (kind, candidate) in enumerate(candidates.items()):
        chosen = best == number
        result[chosen, 0] = kind
        result[chosen, 1:] = candidate[chosen]
    return result.tobytes()


def _paeth(left, up, up_left):
    """The neighbour closest to ``left + up - up_left``; section 9.4."""
    a, b, c = (x.astype(np.int16) for x in (left, up, up_left))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest_b = np.where(to_b <= to_c, up, up_left)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, nearest_b)
