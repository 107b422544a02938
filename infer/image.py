"""Picture files in and out, with all they hold: grey, alpha, palettes, CMYK, 16 bits, EXIF, ICC.

Pixels are numpy arrays everywhere: (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB,
(H, W, 4) RGB and alpha; uint8 or uint16 as in the file, or float32 in 0..255. Alpha is straight:
colours are not multiplied by it. EXIF orientation is applied, palettes are looked up and CMYK is
turned into sRGB, so that whoever reads the array need not know of them.
"""

import contextlib
import io
import os
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from infer import png, tiff

MAX_MEGAPIXELS = 256
"""Pictures larger than this are refused unless the caller raises the limit."""

READABLE = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif"})
WRITABLE = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})

_LONGEST_PX = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}
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
_JPEG_OPTIONS = {"subsampling": 0}  # full colour: half of it would undo part of the network's work
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


def save_image(path, image, *, quality=95):
    """Write an array as a picture file; the name's ending chooses the format.

    Args:
        path: ``*.png``, ``.jpg``, ``.tif``, ``.webp`` or ``.bmp``. Only PNG and TIFF keep 16 bits,
            only TIFF keeps floats (as 0..1); others are rounded to what the format can hold.
        image: An array as `load_image` gives it.
        quality: Of JPEG and WebP, 1..100.
    """
    write_picture(path, Picture(np.asarray(image)), quality=quality)


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
    if not data:
        raise ValueError(f"{path} is empty (zero bytes)")
    try:
        return _decode(path, data, max_megapixels)
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not a picture, or of a kind that is not supported") from error
    except (OSError, SyntaxError, struct.error, EOFError) as error:
        raise ValueError(f"{path} is damaged or cut short: {error}") from error


def _decode(path, data, max_megapixels):
    width, height = _size(data)
    if width * height > max_megapixels * 1e6:
        raise ValueError(
            f"{path} has {width * height / 1e6:.0f} megapixels, more than the limit of "
            f"{max_megapixels:g}; raise it if the picture is meant to be that large"
        )
    deep = tiff.read_deep(data) if tiff.is_tiff(data) else None
    picture, exif = _from_tiff(data, *deep) if deep else _from_pillow(data)
    turn = _UPRIGHT.get(exif.get(int(ExifTags.Base.Orientation)), lambda p: p)
    picture.pixels = np.ascontiguousarray(turn(picture.pixels))
    picture.exif = _kept_exif(exif, picture.pixels.shape)
    return picture


def _size(data):
    """Width and height from the header, without decoding."""
    if tiff.is_tiff(data):
        return tiff.read_size(data)
    with _open(data) as image:
        return image.size


@contextlib.contextmanager
def _open(data):
    """Open an encoded picture in Pillow, whose own size limit is replaced by ours."""
    with _open_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(io.BytesIO(data))
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image


def _from_tiff(data, pixels, icc):
    exif = Image.Exif()
    exif.load(data)
    return Picture(pixels, icc=icc), exif


def _from_pillow(data):
    with _open(data) as image:
        image.load()  # finds a file that is cut short; OpenCV below would not
        picture = Picture(np.empty(0), icc=image.info.get("icc_profile") or b"")
        if png.is_deep(data):
            picture.pixels = png.read_deep(data)
        else:
            picture.pixels = _pixels(image, picture)
        if getattr(image, "n_frames", 1) > 1:
            picture.notes.append(f"has {image.n_frames} frames or pages: only the first is used")
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
    return ImageCms.applyTransform(
        image, ImageCms.buildTransform(profile, target, image.mode, "RGB")
    )


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


def check_writable(path, height, width):
    """Raise `ValueError` if `path`'s format is not known or cannot hold so large a picture."""
    suffix = Path(path).suffix.lower()
    if suffix not in WRITABLE:
        raise ValueError(f"cannot write {path}: its name must end in {', '.join(sorted(WRITABLE))}")
    longest = _LONGEST_PX.get(suffix)
    if longest and max(height, width) > longest:
        raise ValueError(
            f"{path}: {suffix[1:]} holds at most {longest} px a side, not {width} × {height}; "
            "write a PNG or TIFF"
        )


def write_picture(path, picture, *, quality=95):
    """Write a picture file; it appears whole or not at all.

    Args:
        path: Where; the name's ending chooses the format, see `save_image`.
        picture: The `Picture`. What the format cannot hold is said in `picture.notes`.
        quality: Of JPEG and WebP, 1..100.

    Raises:
        ValueError: No such format, or the picture is too large for it.
        OSError: It cannot be written.
    """
    path = Path(path)
    check_writable(path, *picture.pixels.shape[:2])
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1..100, got {quality}")
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        with partial.open("wb") as file:
            _encode(file, path.suffix.lower(), picture, quality)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _encode(file, suffix, picture, quality):
    pixels = _fit(picture, suffix)
    if suffix == ".png":
        png.write(file, pixels, picture.exif, picture.icc)
    elif suffix in (".tif", ".tiff"):
        tiff.write(file, pixels, picture.exif, picture.icc)
    elif suffix == ".bmp":
        Image.fromarray(pixels).save(file, "BMP")
    else:
        name, special = ("WebP", {"method": 4}) if suffix == ".webp" else ("JPEG", _JPEG_OPTIONS)
        tags = {"icc_profile": picture.icc, "exif": picture.exif}
        Image.fromarray(pixels).save(file, name, quality=quality, **tags, **special)


def _fit(picture, suffix):
    """Pixels as the format can hold them, with a note on what is lost."""
    pixels = picture.pixels
    if suffix not in (".tif", ".tiff") and pixels.dtype == np.float32:
        pixels = np.rint(np.clip(pixels, 0, 255) * 257).astype(np.uint16)
    if suffix in (".png", ".tif", ".tiff"):
        return pixels
    if pixels.dtype == np.uint16:
        picture.notes.append(f"{suffix[1:]} holds 8 bits a sample: rounded")
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4) and suffix != ".webp":
        picture.notes.append(f"{suffix[1:]} has no transparency: put on white")
        return _on_white(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        return pixels[..., [0, 0, 0, 1]]
    return pixels


def _on_white(pixels):
    alpha = pixels[..., -1:] / np.float32(255)
    colour = np.rint(pixels[..., :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return colour[..., 0] if colour.shape[2] == 1 else colour
