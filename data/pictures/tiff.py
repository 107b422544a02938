"""TIFF with 16 bits or floats a sample, which Pillow cannot hold: reading, and writing by strips.

All TIFFs are written here: deflated strips, one at a time, so a large picture is never copied as a
whole. Float TIFFs hold 0..1 as elsewhere; in this library's arrays that is 0..255.

Reference: TIFF 6.0, Adobe 1992.
"""

import io
import shutil
import struct
import tempfile
import zlib

import cv2
import numpy as np
import tifffile
from PIL import ExifTags, Image, TiffImagePlugin

_STRIP_BYTES = 1 << 20
_LARGEST_FLOAT = 2.0  # values a little above white occur in practice; 255 is another convention
_ASSOCIATED = 1  # ExtraSamples: colours are multiplied by alpha


def is_tiff(data):
    """Tell from a file's first bytes whether it is a TIFF."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_size(file):
    """Return (width, height) of the first page of an open TIFF.

    Raises:
        ValueError: There is no whole first page.
    """
    try:
        with tifffile.TiffFile(file) as pages:
            return pages.pages.first.imagewidth, pages.pages.first.imagelength
    except (tifffile.TiffFileError, IndexError, struct.error) as error:
        raise ValueError(f"not a whole TIFF: {error}") from error


def read_deep(data):
    """Decode a TIFF if it has 16 bits or floats a sample.

    Args:
        data: The file.

    Returns:
        ``(pixels, icc, number of pages)``, or None if the samples are 8-bit or smaller. Pixels are
        uint16, or float32 in 0..255; (H, W) or (H, W, 2 | 3 | 4), not yet turned upright.

    Raises:
        ValueError: It is cut short, of a kind that is not supported, or holds NaN.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            if page.dtype is None or page.dtype.itemsize == 1:
                return None
            _check(page, len(data))
            pixels = _pixels(page, data)
            icc = page.tags[34675].value if 34675 in page.tags else b""
            count = len(file.pages)
    except tifffile.TiffFileError as error:
        raise ValueError(f"not a whole TIFF: {error}") from error
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        pixels = np.iinfo(np.uint16).max - pixels if pixels.dtype == np.uint16 else 255 - pixels
    if page.extrasamples[:1] == (_ASSOCIATED,):
        pixels = _straight(pixels)
    return pixels, icc, count


def _check(page, size):
    ends = [a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if max(ends) > size:
        raise ValueError(f"the TIFF should have {max(ends)} bytes and has {size}")
    known = (
        tifffile.PHOTOMETRIC.MINISWHITE,
        tifffile.PHOTOMETRIC.MINISBLACK,
        tifffile.PHOTOMETRIC.RGB,
    )
    if page.photometric not in known or page.samplesperpixel > 4:
        raise ValueError(
            f"a TIFF of {page.samplesperpixel} × {page.dtype} as {page.photometric!r} is not "
            "supported; grey and RGB are, with or without alpha"
        )
    if page.dtype not in (np.uint16, np.float16, np.float32, np.float64):
        raise ValueError(f"TIFF samples must be 8-bit, 16-bit or floats, got {page.dtype}")


def _pixels(page, data):
    try:
        pixels = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, -1)
    except ValueError:  # a compression tifffile needs another package for; OpenCV knows some
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        expected = (*page.shape[:2], page.samplesperpixel)[: 2 if page.samplesperpixel == 1 else 3]
        if pixels is None or pixels.shape != expected or pixels.dtype != page.dtype:
            raise ValueError(
                f"TIFF compression {page.compression!r} of {page.dtype} is not supported"
            ) from None
        if pixels.ndim == 3:
            pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return pixels if pixels.dtype == np.uint16 else _from_unit_range(pixels)


def _from_unit_range(pixels):
    """Bring floats from 0..1 to 0..255."""
    if not np.isfinite(pixels).all():
        count = np.count_nonzero(~np.isfinite(pixels))
        raise ValueError(f"{count} values are NaN or infinite")
    low, high = pixels.min(), pixels.max()
    if low < -1 or high > _LARGEST_FLOAT:
        raise ValueError(f"a float TIFF must hold 0..1, got {low:g}..{high:g}")
    return np.clip(pixels, 0, 1).astype(np.float32) * np.float32(255)


def _straight(pixels):
    """Divide colours that were multiplied by alpha."""
    colour, alpha = pixels[..., :-1].astype(np.float32), pixels[..., -1:].astype(np.float32)
    top = 65535 if pixels.dtype == np.uint16 else 255
    colour = np.clip(colour * (top / np.maximum(alpha, 1e-6)), 0, top)
    colour = np.where(alpha > 0, colour, 0)
    if pixels.dtype == np.uint16:
        colour = np.rint(colour)
    return np.concatenate([colour.astype(pixels.dtype), pixels[..., -1:]], axis=-1)


def write(file, pixels, exif=b"", icc=b""):
    """Write a TIFF.

    Args:
        file: An open binary file.
        pixels: (H, W) or (H, W, 2 | 3 | 4); uint8, uint16, or float32 in 0..255.
        exif: EXIF block, starting ``Exif\\0\\0``, or empty.
        icc: ICC profile, or empty.

    Raises:
        ValueError: It would exceed the 4 GB a TIFF can have.
    """
    rows = pixels.reshape(*pixels.shape[:2], -1)
    with tempfile.TemporaryFile() as strips:
        lengths, rows_per_strip = _write_strips(strips, rows)
        if sum(lengths) > 0xFFFF0000:
            raise ValueError("the picture is too large for a TIFF (4 GB); write a PNG")
        _directory(rows, lengths, rows_per_strip, exif, icc).save(file)
        strips.seek(0)
        shutil.copyfileobj(strips, file, 1 << 20)


def _write_strips(file, rows):
    count = max(1, _STRIP_BYTES // (rows[0].nbytes))
    lengths = []
    for start in range(0, len(rows), count):
        strip = rows[start : start + count]
        if strip.dtype == np.float32:
            strip = strip / np.float32(255)
        lengths.append(file.write(zlib.compress(strip.tobytes(), 6)))
    return lengths, count


def _directory(rows, lengths, rows_per_strip, exif, icc):
    """The tags; `save` adds the place where the strips begin to their offsets."""
    height, width, channels = rows.shape
    offsets = np.cumsum([0, *lengths[:-1]]).tolist()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in _exif_tags(exif):
        tags[tag] = value
    tags[256], tags[257] = width, height
    tags[258] = (8 * rows.itemsize,) * channels
    tags[259] = 8  # deflate
    tags[262] = 2 if channels > 2 else 1  # RGB, or black is zero
    tags[273], tags[279], tags[278] = tuple(offsets), tuple(lengths), rows_per_strip
    tags[277] = channels
    tags[339] = (3 if rows.dtype == np.float32 else 1,) * channels
    if channels in (2, 4):
        tags[338] = 2  # alpha, colours not multiplied by it
    if icc:
        tags.tagtype[34675] = 7
        tags[34675] = icc
    return tags


def _exif_tags(block):
    exif = Image.Exif()
    exif.load(block)
    directories = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
    for tag in exif:
        yield tag, exif.get_ifd(tag) if tag in directories else exif[tag]
