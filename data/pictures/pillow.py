"""What Pillow decodes: JPEG, WebP, BMP, GIF, AVIF and others, and TIFFs of unusual colours.

Only kinds of file that Pillow decodes by itself are let in: its EPS reader would start another
program.
"""

import contextlib
import io
import math
from dataclasses import dataclass, field

import imagecodecs
import numpy as np
from PIL import Image, ImageCms

from data.pictures.decoders import PictureError, decoding, pillow_limit
from data.pictures.tiff import from_unit_range

_KINDS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PPM", "PSD"),
    *("QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
_STRIP_PIXELS = 1 << 22
_WIDEST_PX = 500_000  # Pillow takes time with the square of a row's bytes
_WEBP_PX = 16383  # longest side of a WebP; only an animation's canvas can claim more
_ANIMATED_MEGAPIXELS = 64  # an animation takes 17 bytes a pixel of its canvas
_SLOW_MEGAPIXELS = 4
_HEADER_BYTES = 4000  # of AVIF and JPEG 2000, in which the depth is looked for


@dataclass
class Decoded:
    """What Pillow found.

    Attributes:
        pixels: As in `data.pictures.read.Picture`, as stored.
        exif, xmp, icc: Raw EXIF block, XMP packet, profile of `pixels`; or empty.
        notes: Sentences.
    """

    pixels: np.ndarray
    exif: bytes = b""
    xmp: bytes = b""
    icc: bytes = b""
    notes: list[str] = field(default_factory=list)


@contextlib.contextmanager
def opened(file, max_megapixels=math.inf):
    """Open a picture in Pillow, without decoding it.

    Args:
        file: The open file.
        max_megapixels: The limit while it is open.

    Raises:
        PictureError: It is none.
    """
    file.seek(0)
    start = file.read(30)
    if start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X":  # Pillow allocates what it claims
        width, height = (int.from_bytes(start[at : at + 3], "little") + 1 for at in (24, 27))
        if max(width, height) > _WEBP_PX:
            raise PictureError(
                f"claims {width} × {height} px; WebP has at most {_WEBP_PX} px a side"
            )
    with contextlib.ExitStack() as stack:
        with decoding("Pillow"):
            stack.enter_context(pillow_limit(max_megapixels * 1e6))
            file.seek(0)
            image = stack.enter_context(Image.open(file, formats=_KINDS))
        if image.width > _WIDEST_PX:
            raise PictureError(f"is {image.width} px wide; Pillow is used up to {_WIDEST_PX} px")
        yield image


def metadata(image):
    """Return the raw EXIF block and XMP packet of an open picture, or empty ones."""
    block, xmp = image.info.get("exif") or b"", image.info.get("xmp") or b""
    return (x if isinstance(x, bytes) else b"" for x in (block, xmp))


def decode(image, data, page=0, size=None):
    """Decode an open picture.

    Args:
        image: From `opened`.
        data: The file.
        page: Of a TIFF.
        size: (width, height) that were compared with the limit; by default those of `image`.

    Raises:
        PictureError: It is damaged.
    """
    icc = image.info.get("icc_profile")
    found = Decoded(np.empty(0), *metadata(image), icc=icc if isinstance(icc, bytes) else b"")
    with decoding("Pillow"):
        size = size or (image.width, image.height)
        if page:
            image.seek(page)
        _check_speed(image)
        found.pixels = _still_webp(image, data) if _is_still_webp(image) else _pixels(image, found)
    if found.pixels.shape[1::-1] != size:
        raise PictureError(f"is damaged: its size is {size} and {found.pixels.shape[1::-1]}")
    if found.pixels.dtype == np.uint8 and _is_deep(image.format, data):
        found.notes.append("has more than 8 bits a sample, of which 8 are used")
    if image.format != "TIFF":
        found.notes += _frames(image)
    return found


def _check_speed(image):
    """Some of Pillow's decoders are written in Python: a second a megapixel, or two."""
    if image.width * image.height > _SLOW_MEGAPIXELS * 1e6 and any(
        tile[0] in Image.DECODERS for tile in image.tile
    ):
        raise PictureError(
            f"has more than {_SLOW_MEGAPIXELS} megapixels, too many for Pillow's slow decoder of "
            f"this kind of {image.format}; save it as PNG or TIFF"
        )


def _is_deep(kind, data):
    """Tell from the header whether samples have more bits than the 8 that Pillow gives."""
    if kind == "AVIF":
        at = data.find(b"av1C", 0, _HEADER_BYTES)
        return at >= 0 and bool(data[at + 6] & 0x40)  # high_bitdepth
    if kind == "JPEG2000":
        at = data.find(b"\xff\x51", 0, _HEADER_BYTES)  # SIZ
        return at >= 0 and data[at + 40] & 0x7F > 7
    return kind == "SGI" and data[3] == 2


def _frames(image):
    try:
        count = getattr(image, "n_frames", 1)
    except Exception:  # of the frames that are not used
        return ["has frames or pages that cannot be read: only the first is used"]
    return first_of(count)


def first_of(count):
    """The sentence on a file of many frames or pages, in a list."""
    return [f"has {count} frames or pages: only the first is used"] if count > 1 else []


def _is_still_webp(image):
    if image.format != "WEBP":
        return False
    if not image.is_animated:
        return True
    if image.width * image.height > _ANIMATED_MEGAPIXELS * 1e6:
        raise PictureError(f"is an animation of more than {_ANIMATED_MEGAPIXELS} megapixels")
    return False


def _still_webp(image, data):
    """Pixels straight from libwebp: Pillow would take them through a canvas for animations."""
    with decoding("imagecodecs"):
        pixels = imagecodecs.webp_decode(data, hasalpha=image.mode == "RGBA")
    if pixels.shape != (image.height, image.width, len(image.mode)):
        raise PictureError(f"is damaged: imagecodecs made {pixels.shape} of it")
    return pixels


def _pixels(image, found):
    """Pixels of a picture whose samples Pillow can hold; may change `found.icc` and its notes."""
    image.load()
    if image.mode == "F":
        return from_unit_range(np.asarray(image))
    if image.mode.startswith("I"):
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise PictureError("is a picture of 32-bit integers, which is not supported")
        return pixels.astype(np.uint16)
    if image.mode in ("CMYK", "LAB"):
        image = _to_srgb(image, found)
    transparent = "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA")
    grey = image.mode in ("1", "L", "LA", "La")
    return _array(image, ("L" if grey else "RGB") + ("A" if transparent else ""))


def _array(image, mode):
    """A picture as an array of a mode, some rows at a time: at once would take three copies."""
    pixels = np.empty((image.height, image.width, len(mode)), np.uint8)
    count = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, count):
        strip = image.crop((0, top, image.width, min(top + count, image.height)))
        strip = strip if strip.mode == mode else strip.convert(mode)
        pixels[top : top + count] = np.asarray(strip).reshape(-1, image.width, len(mode))
    return pixels[..., 0] if len(mode) == 1 else pixels


def _to_srgb(image, found):
    """Convert CMYK or Lab by the profile in the file, or, without one, by Pillow's formula."""
    icc, found.icc = found.icc, b""
    if image.mode == "LAB":
        return _by_profile(image, ImageCms.createProfile("LAB"))
    if icc:
        try:
            return _by_profile(image, ImageCms.ImageCmsProfile(io.BytesIO(icc)))
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            found.notes.append(
                "its colour profile does not fit CMYK or is broken: converted without"
            )
    return image.convert("RGB")


def _by_profile(image, profile):
    target = ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(profile, target, image.mode, "RGB")
    converted = ImageCms.applyTransform(image, transform)
    return image.convert("RGB") if converted is None else converted
