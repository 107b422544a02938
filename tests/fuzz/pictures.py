"""Mutated pictures of every format, and the pictures that once failed, mutated again."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms

from data.pictures.read import Picture, picture_size, read_picture
from data.pictures.write import encode

CASES = Path(__file__).parent.parent / "golden" / "cases" / "pictures"
BESIDE = {}  # files that others name
NAME = "pictures"
BATCH = 200  # inputs a child
SECONDS = 10  # for one
EXPECTED = ("picture", "sentence")

_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 4096, 32767, 65535, 0x7FFFFFFF, 0xFFFFFFFF)


_FORMATS = {".tif": ".tiff", ".jpg": ".jpeg", ".jfif": ".jpeg", ".dng": ".tiff", ".pfm": ".ppm"}


def corpus():
    """Yield ``(format, file ending, bytes)`` of small sound pictures, and of the cases."""
    for ending, data in _files():
        yield _FORMATS.get(ending, ending), ending, data


def chosen(corpus, number):
    """The file of which a number's is a damaged copy: all in turn."""
    return corpus[number % len(corpus)]


def _files():
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 4)).astype(np.uint8)
    noise[4:12] = 77  # so that something is compressed
    yield from _our_own(noise)
    yield from _of_pillow(noise)
    yield from _tiffs(noise)
    for file in sorted(CASES.iterdir()):
        yield file.suffix, file.read_bytes()


def _our_own(noise):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    exif.get_ifd(0x8769)[0x829A] = (1, 50)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for ending in (".png", ".tif", ".jpg", ".webp", ".bmp"):
        for pixels in (noise, noise[..., :3], noise[..., 0], noise[..., :2].astype("u2") * 257):
            file = io.BytesIO()
            encode(file, ending, Picture(pixels, exif.tobytes(), icc), 90)
            yield ending, file.getvalue()


def _of_pillow(noise):
    rgb, grey = Image.fromarray(noise[..., :3]), Image.fromarray(noise[..., 0])
    palette = rgb.quantize(16)
    frames = {"save_all": True, "append_images": [grey.convert("RGB")]}
    for kind, image, options in (
        *(
            (kind, rgb, {})
            for kind in ("AVIF", "JPEG2000", "PPM", "TGA", "PCX", "SGI", "DDS", "QOI")
        ),
        ("JPEG", rgb.convert("CMYK"), {}),
        ("JPEG", rgb, {"progressive": True}),
        ("PNG", palette, {"transparency": 3}),
        ("PNG", rgb, {"interlace": 1}),
        ("GIF", palette, {}),
        *((kind, rgb, frames) for kind in ("GIF", "WEBP", "PNG", "TIFF")),
        ("WEBP", Image.fromarray(noise), {"lossless": True}),
        ("BMP", palette, {}),
        ("TIFF", palette, {"compression": "packbits"}),
        ("TIFF", rgb.convert("CMYK"), {"compression": "tiff_lzw"}),
        ("TIFF", rgb.convert("1"), {"compression": "group4"}),
        ("TIFF", rgb, {"compression": "jpeg"}),
        ("ICO", rgb, {}),
    ):
        file = io.BytesIO()
        image.save(file, kind, **options)
        yield "." + kind.lower(), file.getvalue()


def _tiffs(noise):
    deep = noise[..., :3].astype(np.uint16) * 257
    for pixels, options in (
        *((deep, {"compression": kind}) for kind in ("lzw", "zlib", "lzma", "zstd", "packbits")),
        (deep, {"predictor": True, "compression": "lzw"}),
        (deep, {"tile": (16, 16), "bigtiff": True}),
        (np.moveaxis(deep, -1, 0), {"planarconfig": "separate", "rowsperstrip": 7}),
        (deep[..., 0] >> 4, {"bitspersample": 12, "photometric": "minisblack"}),
        ((noise[..., :3] / 255).astype(np.float32), {"predictor": True, "compression": "zlib"}),
        (noise[..., 0] / 255, {"photometric": "miniswhite"}),
        (noise, {"extrasamples": ["assocalpha"], "byteorder": ">"}),
    ):
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, **{"photometric": "rgb", **options})
        yield ".tif", file.getvalue()


def damaged(_kind, data, rng):
    """Return a file's bytes with some changed; all formats alike."""
    return mutated(data, rng)


def mutated(data, rng):
    """Return a file's bytes with some of them changed, lost, doubled or zeroed."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if len(data) < 2:
            break
        # headers are where it matters
        end = len(data) if rng.random() < 0.5 else min(len(data), 400)
        at = int(rng.integers(0, end))
        change = rng.integers(0, 7)
        if change == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif change == 1:
            data[at] = int(rng.integers(256))
        elif change in (2, 3):
            number, size = int(rng.choice(_NUMBERS)), int(rng.choice([2, 4]))
            order = rng.choice(["little", "big"])
            data[at : at + size] = (number & (256**size - 1)).to_bytes(size, order)
        elif change == 4:
            del data[at : at + int(rng.integers(1, 64))]
        elif change == 5:
            data[at:at] = data[at : at + int(rng.integers(1, 64))]
        else:
            del data[max(1, int(rng.integers(len(data)))) :]
    return _with_sums(data) if data[:4] == b"\x89PNG" and rng.random() < 0.8 else bytes(data)


def _with_sums(data):
    """A PNG with right checksums, without which no decoder would look further."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        struct.pack_into(">I", data, at + 8 + length, zlib.crc32(data[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(data)


def attempt(path):
    """Read a picture and its size: "picture", "sentence", or what else happened."""
    with open(os.devnull, "wb") as nowhere:  # libtiff prints
        os.dup2(nowhere.fileno(), 2)
    try:
        picture = read_picture(path)
        if picture_size(path) != picture.pixels.shape[:2]:
            return "two sizes for one picture"
        pixels = picture.pixels
        known = pixels.dtype in (np.uint8, np.uint16, np.float32) and pixels.size
        shaped = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (2, 3, 4))
        return "picture" if known and shaped else f"array {pixels.shape} {pixels.dtype}"
    except ValueError as error:
        text = str(error)
        return "sentence" if str(path) in text and "\n" not in text else f"unnamed: {text[:99]!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:99]!r}"
