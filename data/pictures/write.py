"""Picture files out: what each format can hold, and files that appear whole or not at all."""

from pathlib import Path

import numpy as np
from PIL import Image

from data.pictures import png, tiff
from data.pictures.read import Picture
from data.pictures.whole_file import whole_file

WRITABLE = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})

_LONGEST_PX = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}
_JPEG_OPTIONS = {"subsampling": 0}  # full colour: half of it would undo part of the network's work


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


def check_quality(quality):
    """Raise `ValueError` unless a quality is 1..100."""
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1..100, got {quality}")


def encode(file, suffix, picture, quality):
    """Write a picture to an open binary file in the format of a file name's ending."""
    suffix = suffix.lower()
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
        picture.notes.append(f"{suffix[1:]} holds no floats: rounded")
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


def save_image(path, image, *, quality=95):
    """Write an array as a picture file; the name's ending chooses the format.

    Args:
        path: ``*.png``, ``.jpg``, ``.tif``, ``.webp`` or ``.bmp``. Only PNG and TIFF keep 16 bits,
            only TIFF keeps floats (as 0..1); others are rounded to what the format can hold.
        image: An array as `load_image` gives it.
        quality: Of JPEG and WebP, 1..100.
    """
    write_picture(path, Picture(np.asarray(image)), quality=quality)


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
    check_quality(quality)
    with whole_file(path) as file:
        encode(file, path.suffix, picture, quality)
