"""Picture files out: what each format can hold, and files that appear whole or not at all."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from data.pictures import png, tiff
from data.pictures.read import Picture, to_8_bits
from data.pictures.whole_file import whole_file

WRITABLE = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})

_LONGEST_PX = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}
_JPEG_OPTIONS = {"subsampling": 0}  # full colour: half of it would undo part of the network's work
_JPEG_EXIF_BYTES = 65533  # of one segment, without its length
_JPEG_ICC_BYTES = 255 * 65519  # in as many segments as can be numbered
_COLOUR_CHUNKS = (b"cICP", b"gAMA", b"cHRM")


def check_writable(path, height, width):
    """Raise `ValueError` if `path`'s format is not known or cannot hold so large a picture."""
    suffix = Path(str(path)).suffix.lower()
    if suffix not in WRITABLE:
        raise ValueError(f"cannot write {path}: its name must end in {', '.join(sorted(WRITABLE))}")
    longest = _LONGEST_PX.get(suffix)
    if longest and max(height, width) > longest:
        raise ValueError(
            f"{path}: {suffix[1:]} holds at most {longest} px a side, not {width} × {height}; "
            "write a PNG or TIFF"
        )


def check_quality(quality):
    """Raise `ValueError` unless a quality is 1..100."""
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1..100, got {quality}")


def encode(file, suffix, picture, quality):
    """Write a picture in the format of a file name's ending.

    Args:
        file: A binary file open for writing and reading, at its begin.
        suffix: For example ".png".
        picture: The `Picture`; its notes tell what is lost.
        quality: Of JPEG and WebP, 1..100.
    """
    suffix = suffix.lower()
    pixels = _fit(picture, suffix)
    if suffix == ".png":
        png.write(file, pixels, picture.exif, picture.icc, picture.chunks)
        return
    if any(kind in _COLOUR_CHUNKS for kind, _ in picture.chunks) and not picture.icc:
        picture.notes.append(
            f"says how its colours are meant (gAMA, cHRM or cICP), which {suffix[1:]} cannot hold"
        )
    if suffix in (".tif", ".tiff"):
        tiff.write(file, pixels, picture.exif, picture.icc)
    else:
        _encode_by_pillow(file, suffix, pixels, picture, quality)


def _encode_by_pillow(file, suffix, pixels, picture, quality):
    buffer = io.BytesIO()  # Pillow hides why it could not write to a file
    if suffix == ".bmp":
        if picture.exif or picture.icc:
            picture.notes.append("bmp holds no EXIF and no colour profile: left out")
        Image.fromarray(pixels).save(buffer, "BMP")
    else:
        name, special = ("WebP", {"method": 4}) if suffix == ".webp" else ("JPEG", _JPEG_OPTIONS)
        tags = {"icc_profile": picture.icc, "exif": picture.exif}
        if name == "JPEG":
            _fit_segments(tags, picture.notes)
        Image.fromarray(pixels).save(buffer, name, quality=quality, **tags, **special)
    file.write(buffer.getbuffer())


def _fit_segments(tags, notes):
    for key, most, name in (
        ("exif", _JPEG_EXIF_BYTES, "EXIF"),
        ("icc_profile", _JPEG_ICC_BYTES, "colour profile"),
    ):
        if len(tags[key]) > most:
            size = len(tags[key])
            notes.append(f"jpg holds at most {most} bytes of {name}, not {size}: left out")
            tags[key] = b""


def _fit(picture, suffix):
    """Pixels as the format can hold them, with a note on what is lost."""
    pixels = picture.pixels
    if suffix not in (".tif", ".tiff") and pixels.dtype == np.float32:
        picture.notes.append(f"{suffix[1:]} holds no floats: rounded")
        pixels = np.rint(np.clip(pixels, 0, 255) * 257).astype(np.uint16)
    if suffix in (".png", ".tif", ".tiff"):
        return pixels
    if pixels.dtype == np.uint16:
        picture.notes.append(f"{suffix[1:]} holds 8 bits a sample: rounded")
        pixels = to_8_bits(pixels)
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


def checked_pixels(image):
    """Return an array as one of the kinds that pictures have.

    Args:
        image: (H, W) or (H, W, 1 | 2 | 3 | 4); uint8, uint16, floats in 0..255, or bool.

    Returns:
        (H, W) or (H, W, 2 | 3 | 4); uint8, uint16 or float32.

    Raises:
        ValueError: It has another shape or number type, or holds NaN.
    """
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in (1, 2, 3, 4) or not pixels.size:
        raise ValueError(
            "a picture must be (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or "
            f"(H, W, 4) RGB and alpha, got {np.shape(image)}"
        )
    if pixels.dtype == bool:
        return pixels * np.uint8(255)
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all():
            raise ValueError("a picture must hold finite numbers, got NaN or infinity")
        return pixels.astype(np.float32, copy=False)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    raise ValueError(
        "a picture must be uint8, uint16 or floats in 0..255 "
        f"(astype tells which is meant), got {pixels.dtype}"
    )


def save_image(path, image, *, quality=95):
    """Write an array as a picture file; the name's ending chooses the format.

    Args:
        path: ``*.png``, ``.jpg``, ``.tif``, ``.webp`` or ``.bmp``. Only PNG and TIFF keep 16 bits,
            only TIFF keeps floats (as 0..1); others are rounded to what the format can hold.
        image: An array as `load_image` gives it: uint8, uint16, or floats in 0..255.
        quality: Of JPEG and WebP, 1..100.

    Raises:
        ValueError: No such format, no such kind of array, or it is too large for the format.
        OSError: It cannot be written.
    """
    write_picture(path, Picture(image), quality=quality)


def write_picture(path, picture, *, quality=95):
    """Write a picture file; it appears whole or not at all.

    Args:
        path: Where; the name's ending chooses the format, see `save_image`.
        picture: The `Picture`. What the format cannot hold is told in `picture.notes`.
        quality: Of JPEG and WebP, 1..100.

    Raises:
        ValueError: No such format, no such kind of array, or it is too large for the format.
        OSError: It cannot be written.
    """
    path = Path(path)
    picture.pixels = checked_pixels(picture.pixels)
    check_writable(path, *picture.pixels.shape[:2])
    check_quality(quality)
    with whole_file(path) as file:
        encode(file, path.suffix, picture, quality)
