"""Picture files in, with all they hold: grey, alpha, palettes, CMYK, 16 bits, EXIF, ICC.

Pixels are numpy arrays everywhere: (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB,
(H, W, 4) RGB and alpha; uint8 or uint16 as in the file, or float32 in 0..255. Alpha is straight:
colours are not multiplied by it. EXIF orientation is applied, palettes are looked up and CMYK is
turned into sRGB, so that whoever reads the array need not know of them.

This is the only door: whatever is wrong with a file becomes one sentence that names it, and sizes
are compared with the limit before anything is decoded.
"""

import contextlib
import io
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from data.pictures import exif, netpbm, pillow, png, tiff
from data.pictures.decoders import PictureError

MAX_MEGAPIXELS = 256
"""Pictures larger than this are refused unless the caller raises the limit."""

READABLE = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".avif"}
    | {".tga", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2"}
)
"""Endings of the files that are taken from a folder."""

_RAW_SUFFIXES = frozenset(
    {".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw"}
)
_BYTES_A_PIXEL = 4  # RGB and alpha of 8 bits: what the limit on megapixels is meant for
_UPRIGHT = {  # EXIF orientation → how the stored pixels are turned to stand upright
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[:, ::-1].swapaxes(0, 1),
}
_PROFILE_SPACES = {b"GRAY": 1, b"RGB ": 3}  # of ICC.1 header bytes 16..19 → colours


@dataclass
class Picture:
    """What a picture file holds.

    Attributes:
        pixels: (H, W) or (H, W, 2 | 3 | 4), see the top of this file.
        exif: The EXIF block (orientation and thumbnails taken out), starting ``Exif\\0\\0``; or
            empty.
        icc: The ICC profile of `pixels`, or empty.
        chunks: ``(kind, body)`` of PNG chunks that only a PNG can keep: how colours are meant
            (gAMA, cHRM, cICP and the like), density, texts.
        notes: Sentences on what of the file was left out or changed.
    """

    pixels: np.ndarray
    exif: bytes = b""
    icc: bytes = b""
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def load_image(path):
    """Read a picture file as an array, as it is: (H, W, 3) uint8 for a common photograph.

    Args:
        path: PNG, JPEG, TIFF, WebP, BMP, GIF, AVIF or another of `READABLE`.

    Returns:
        (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGB and alpha, upright;
        uint8, or uint16 for 10- to 16-bit files, or float32 in 0..255 for files of floats.

    Raises:
        ValueError: It is no picture, is damaged, or is larger than `MAX_MEGAPIXELS`.
        OSError: It cannot be opened.
    """
    return read_picture(path).pixels


def read_rgb8(path):
    """Read any picture file as (H, W, 3) uint8 RGB, upright; more bits are rounded to 8.

    Raises:
        ValueError: As in `load_image`.
        OSError: It cannot be opened.
    """
    return rgb8(load_image(path))


def read_picture(path, *, max_megapixels=MAX_MEGAPIXELS):
    """Read a picture file with its EXIF block and ICC profile.

    Args:
        path: The file; or, of a store, an object with ``open(mode)``, which prints as its address.
        max_megapixels: Refuse what is larger, or would take more than 4 bytes for each pixel of
            the limit: a small file can hold a picture that fills memory.

    Raises:
        ValueError: It is no picture, is damaged, holds NaN, or is too large.
        OSError: It cannot be opened.
    """
    with _named(path):
        with _opened(path) as file:
            data = file.read()
        picture, orientation = _decoded(data, max_megapixels)
        turn = _UPRIGHT.get(orientation, lambda p: p)
        picture.pixels = np.ascontiguousarray(turn(picture.pixels))
        _check_profile(picture)
        return picture


def picture_size(path):
    """Return (height, width) of a picture file, upright, without decoding it.

    Raises:
        ValueError: It is no picture.
        OSError: It cannot be opened.
    """
    with _named(path), _opened(path) as file:
        kind = _kind(file)
        if kind == "PNG":
            header = png.Header(file, pixels=False)
            height, width = header.height, header.width
            orientation = exif.kept(header.exif, xmp=header.xmp)[1]
        elif kind == "TIFF":
            with tiff.opened(file) as page:
                height, width, orientation = page.height, page.width, page.orientation
        elif header := netpbm.header(_start(file)):
            height, width, orientation = *header[:2], 1
        else:
            with pillow.opened(file) as image:
                width, height = image.size
                block, xmp = pillow.metadata(image)
                orientation = exif.kept(block, xmp=xmp)[1]
        return (width, height) if orientation >= 5 else (height, width)


@contextlib.contextmanager
def _named(path):
    """Add the file's name to a sentence on it."""
    try:
        yield
    except PictureError as error:
        raw = Path(str(path)).suffix.lower() in _RAW_SUFFIXES
        raise ValueError(f"{path} {tiff.RAW_SENTENCE if raw else error}") from error
    except OSError:
        raise
    except Exception as error:  # between two decoders, as in `decoding`; memory may end anywhere
        raise ValueError(f"{path} cannot be read ({type(error).__name__}: {error})") from error


def _opened(path):
    """Open a regular file: reading a pipe or device might never end."""
    if not isinstance(path, (str, os.PathLike)):  # in a store
        return path.open("rb")
    path = Path(path)
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a folder is an OSError
        raise PictureError("is a pipe, socket or device, not a file")
    return path.open("rb")


def _kind(file):
    start = file.read(8)
    if not start:
        raise PictureError("is empty")
    return "PNG" if png.is_png(start) else "TIFF" if tiff.is_tiff(start) else ""


def _start(file):
    file.seek(0)
    return file.read(1000)


def _decoded(data, max_megapixels):
    """The `Picture` as stored, and its orientation."""
    file = io.BytesIO(data)
    kind = _kind(file)
    if kind == "PNG":
        return _from_png(file, max_megapixels)
    if kind == "TIFF":
        return _from_tiff(file, data, max_megapixels)
    if header := netpbm.header(data):
        height, width, channels, *_ = header
        _check_size(width, height, channels, max_megapixels)
        return Picture(netpbm.decode(data, *header)), 1
    with pillow.opened(file, max_megapixels) as image:
        _check_size(*image.size, 1, max_megapixels)
        found = pillow.decode(image, data)
    block, orientation, notes = exif.kept(found.exif, xmp=found.xmp)
    return Picture(found.pixels, block, found.icc, notes=found.notes + notes), orientation


def _check_size(width, height, bytes_a_pixel, max_megapixels):
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise PictureError(
            f"has {megapixels:.0f} megapixels, which are more than the limit of "
            f"{max_megapixels:g}; raise it if the picture is meant to be that large"
        )
    if megapixels * bytes_a_pixel > max_megapixels * _BYTES_A_PIXEL:
        raise PictureError(
            f"has {megapixels:.0f} megapixels of {bytes_a_pixel} bytes, which take more memory "
            f"than the limit of {max_megapixels:g} megapixels allows ({_BYTES_A_PIXEL} bytes "
            "each); raise it if the picture is meant to be that large"
        )


def _from_png(file, max_megapixels):
    header = png.Header(file)
    _check_size(header.width, header.height, header.bytes_a_pixel, max_megapixels)
    block, orientation, notes = exif.kept(header.exif, xmp=header.xmp)
    picture = Picture(png.decode(header), block, header.icc, header.copied)
    picture.notes += header.notes + notes + pillow.first_of(header.frames)
    return picture, orientation


def _from_tiff(file, data, max_megapixels):
    with tiff.opened(file) as page:
        _check_size(page.width, page.height, page.bytes_a_pixel, max_megapixels)
        block, _, notes = exif.kept(data, page.offset)
        notes += pillow.first_of(page.count)
        notes += ["has a mask as another page, which is left out"] * page.has_mask
        if page.simple:
            return Picture(page.decode(notes), block, page.icc, notes=notes), page.orientation
        number, orientation, size = page.number, page.orientation, (page.width, page.height)
    if number is None:
        raise PictureError("is a TIFF whose picture lies below a thumbnail, in unusual colours")
    with pillow.opened(file, max_megapixels) as image:
        found = pillow.decode(image, data, number, size)
    picture = Picture(found.pixels, block, found.icc, notes=notes + found.notes)
    return picture, orientation


def _check_profile(picture):
    """Leave out a profile that colour management could not read or that is not of these colours."""
    if not picture.icc:
        return
    colours = 1 if picture.pixels.ndim == 2 or picture.pixels.shape[2] == 2 else 3
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
        fits = _PROFILE_SPACES.get(picture.icc[16:20]) == colours
    except (OSError, TypeError, ValueError):
        fits = False
    if not fits:
        picture.icc = b""
        picture.notes.append(
            f"its colour profile is broken or not of {'grey' if colours == 1 else 'RGB'}: left out"
        )


def rgb8(pixels):
    """Turn any picture of `data.pictures.read` into (H, W, 3) uint8, without its alpha."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.shape[2] in (2, 4):
        pixels = pixels[..., :-1]
    if pixels.dtype == np.uint16:
        pixels = to_8_bits(pixels)
    elif pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)


def in_srgb(picture):
    """Turn a `Picture` into (H, W, 3) uint8 of sRGB, as its colour profile says."""
    rgb = rgb8(picture.pixels)
    if not picture.icc:
        return rgb
    grey = picture.pixels.ndim == 2 or picture.pixels.shape[2] < 3
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
    converted = ImageCms.profileToProfile(
        Image.fromarray(rgb[..., 0] if grey else rgb),
        profile,
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )
    return np.asarray(converted)


def to_8_bits(pixels):
    """Round uint16 to uint8."""
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
