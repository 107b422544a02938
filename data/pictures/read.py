"""Picture files in and out, with all they hold: grey, alpha, palettes, CMYK, 16 bits, EXIF, ICC.

Pixels are numpy arrays everywhere: (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB,
(H, W, 4) RGB and alpha; uint8 or uint16 as in the file, or float32 in 0..255. Alpha is straight:
colours are not multiplied by it. EXIF orientation is applied, palettes are looked up and CMYK is
turned into sRGB, so that whoever reads the array need not know of them.
"""

import contextlib
import io
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from data.pictures import png, tiff

MAX_MEGAPIXELS = 256
"""Pictures larger than this are refused unless the caller raises the limit."""

READABLE = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif"})

_KEPT_TAGS = (  # of IFD0; the others describe how the old file was laid out
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
)
_UPRIGHT = {  # EXIF orientation → how the stored pixels are turned to stand upright
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[:, ::-1].swapaxes(0, 1),
}
_open_lock = threading.Lock()


@dataclass
class Picture:
    """What a picture file holds.

    Attributes:
        pixels: (H, W) or (H, W, 2 | 3 | 4), see the top of this file.
        exif: The EXIF block (orientation and thumbnails taken out), starting ``Exif\\0\\0``; or
            empty.
        icc: The ICC profile of `pixels`, or empty.
        notes: Sentences on what of the file was left out or changed.
    """

    pixels: np.ndarray
    exif: bytes = b""
    icc: bytes = b""
    notes: list[str] = field(default_factory=list)


def load_image(path):
    """Read a picture file as an array, as it is: (H, W, 3) uint8 for a common photograph.

    Args:
        path: PNG, JPEG, TIFF, WebP, BMP or GIF.

    Returns:
        (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGB and alpha, upright;
        uint8, or uint16 for 16-bit files, or float32 in 0..255 for float TIFFs.

    Raises:
        ValueError: It is no picture, is cut short, or is larger than `MAX_MEGAPIXELS`.
        OSError: It cannot be read.
    """
    return read_picture(path).pixels


def read_picture(path, *, max_megapixels=MAX_MEGAPIXELS):
    """Read a picture file with its EXIF block and ICC profile.

    Args:
        path: The file.
        max_megapixels: Refuse what is larger: a small file can hold a picture that fills memory.

    Raises:
        ValueError: It is no picture, is cut short, holds NaN, or is too large.
        OSError: It cannot be read.
    """
    path = Path(path)
    data = path.read_bytes()
    with _named_errors(path):
        return _decode(data, max_megapixels)


def picture_size(path):
    """Return (height, width) of the stored pixels from a picture file's header.

    Raises:
        ValueError: It is no picture.
        OSError: It cannot be read.
    """
    with _named_errors(path), Path(path).open("rb") as file:
        width, height = _size(file)
        return height, width


@contextlib.contextmanager
def _named_errors(path):
    """Turn what decoders raise into a `ValueError` that names the file."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not a picture, or of a kind that is not supported") from error
    except (ValueError, SyntaxError, struct.error, EOFError) as error:
        raise ValueError(f"{path}: {error}") from error
    except OSError as error:
        if error.errno:  # of the file system; decoders give none
            raise
        raise ValueError(f"{path} is damaged or cut short: {error}") from error


def _decode(data, max_megapixels):
    width, height = _size(io.BytesIO(data))
    if width * height > max_megapixels * 1e6:
        raise ValueError(
            f"{width * height / 1e6:.0f} megapixels are more than the limit of "
            f"{max_megapixels:g}; raise it if the picture is meant to be that large"
        )
    deep = tiff.read_deep(data) if tiff.is_tiff(data) else None
    picture, exif = _from_tiff(data, *deep) if deep else _from_pillow(data)
    turn = _UPRIGHT.get(exif.get(ExifTags.Base.Orientation, 1), lambda p: p)
    picture.pixels = np.ascontiguousarray(turn(picture.pixels))
    picture.exif = _kept_exif(exif, picture.pixels.shape)
    return picture


def _size(file):
    """Width and height from the header, without decoding."""
    start = file.read(4)
    file.seek(0)
    if not start:
        raise ValueError("the file is empty")
    if tiff.is_tiff(start):
        return tiff.read_size(file)
    with _open(file) as image:
        return image.size


@contextlib.contextmanager
def _open(file):
    """Open a picture in Pillow, whose own size limit is replaced by ours."""
    with _open_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(file)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image


def _from_tiff(data, pixels, icc, pages):
    exif = Image.Exif()
    with contextlib.suppress(struct.error):  # a BigTIFF's tags, which Pillow does not read here
        exif.load(data)
    return Picture(pixels, icc=icc, notes=_first_of(pages)), exif


def _first_of(pages):
    return [f"has {pages} frames or pages: only the first is used"] if pages > 1 else []


def _from_pillow(data):
    with _open(io.BytesIO(data)) as image:
        image.load()  # finds a file that is cut short; OpenCV below would not
        picture = Picture(np.empty(0), icc=image.info.get("icc_profile") or b"")
        if png.is_deep(data):
            picture.pixels = png.read_deep(data)
        else:
            picture.pixels = _pixels(image, picture)
        picture.notes += _first_of(getattr(image, "n_frames", 1))
        return picture, image.getexif()


def _pixels(image, picture):
    """Pixels of a Pillow picture whose samples Pillow can hold; may change `picture.icc`."""
    if image.mode.startswith("I"):
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise ValueError("a picture of 32-bit integers is not supported")
        return pixels.astype(np.uint16)
    if image.mode in ("CMYK", "LAB"):
        image = _to_srgb(image, picture)
    transparent = "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA")
    grey = image.mode in ("1", "L", "LA", "La")
    mode = ("L" if grey else "RGB") + ("A" if transparent else "")
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _to_srgb(image, picture):
    """Convert CMYK or Lab by the profile in the file, or, without one, by Pillow's formula."""
    if image.mode == "CMYK" and not picture.icc:
        return image.convert("RGB")
    profile = (
        ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
        if picture.icc
        else ImageCms.createProfile("LAB")
    )
    picture.icc = b""
    target = ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(profile, target, image.mode, "RGB")
    converted = ImageCms.applyTransform(image, transform)
    return image.convert("RGB") if converted is None else converted


def _kept_exif(exif, shape):
    """The EXIF block of an upright picture of another size and layout."""
    kept = Image.Exif()
    for tag in _KEPT_TAGS:
        if tag in exif:
            kept[tag] = exif[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if exif.get_ifd(directory):
            kept.get_ifd(directory).update(exif.get_ifd(directory))
    details = kept.get_ifd(ExifTags.IFD.Exif)
    for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight):
        details.pop(tag, None)
    details.pop(ExifTags.IFD.MakerNote, None)  # holds offsets into the old file
    return kept.tobytes() if len(kept) else b""


def rgb8(pixels):
    """Turn any picture of `data.pictures.read` into (H, W, 3) uint8, without its alpha."""
    if pixels.dtype == np.uint16:
        pixels = pixels / 257
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.shape[2] in (2, 4):
        pixels = pixels[..., :-1]
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
