"""Formats one by one: depths that decoders cut, pictures within pictures, slow decoders."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from data.pictures.read import load_image, picture_size, read_picture
from tests.data.test_pictures import pixels, png_bomb


@pytest.mark.parametrize("maximum", [1, 200, 255, 1023, 65535])
@pytest.mark.parametrize("kind", ["P5", "P6"])
def test_netpbm_of_any_depth(tmp_path, kind, maximum):
    shape = (37, 53) if kind == "P5" else (37, 53, 3)
    stored = np.random.default_rng(3).integers(0, maximum + 1, shape)
    body = stored.astype("u1" if maximum < 256 else ">u2").tobytes()
    (tmp_path / "a.ppm").write_bytes(f"{kind}\n# a comment\n53 37\n{maximum}\n".encode() + body)
    top = 255 if maximum < 256 else 65535
    found = load_image(tmp_path / "a.ppm")
    assert found.dtype == (np.uint8 if maximum < 256 else np.uint16)
    np.testing.assert_array_equal(found, np.rint(stored * top / maximum))
    assert picture_size(tmp_path / "a.ppm") == (37, 53)
    (tmp_path / "a.ppm").write_bytes(f"{kind}\n53 37\n{maximum}\n".encode() + body[:-9])
    with pytest.raises(ValueError, match=r"a\.ppm is (damaged, )?cut short"):
        load_image(tmp_path / "a.ppm")


@pytest.mark.parametrize(("scale", "number"), [("-1.0", "<f4"), ("1.0", ">f4")])
def test_colour_pfm(tmp_path, scale, number):
    stored = np.random.default_rng(3).random((37, 53, 3), np.float32)
    body = stored[::-1].astype(number).tobytes()
    (tmp_path / "a.pfm").write_bytes(f"PF\n53 37\n{scale}\n".encode() + body)
    np.testing.assert_allclose(load_image(tmp_path / "a.pfm"), stored * 255, atol=1e-3)
    (tmp_path / "a.pfm").write_bytes(f"PF\n53 37\n{scale}\n".encode() + b"\xff" * len(body))
    with pytest.raises(ValueError, match="NaN"):
        load_image(tmp_path / "a.pfm")


def test_bits_that_are_not_used_are_told(tmp_path):
    deep = pixels((37, 53, 3), "uint16")
    (tmp_path / "a.jp2").write_bytes(imagecodecs.jpeg2k_encode(deep, level=0))
    (tmp_path / "a.avif").write_bytes(imagecodecs.avif_encode(deep >> 6, bitspersample=10))
    for name in ("a.jp2", "a.avif"):
        assert read_picture(tmp_path / name).notes == [
            "has more than 8 bits a sample, of which 8 are used"
        ]
    Image.fromarray(pixels((37, 53, 3))).save(tmp_path / "b.avif")
    Image.fromarray(pixels((37, 53, 3))).save(tmp_path / "b.jp2")
    assert not read_picture(tmp_path / "b.avif").notes + read_picture(tmp_path / "b.jp2").notes


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(11, 13), (11, 13, 3)])
def test_transparent_colours_of_a_png(tmp_path, shape, dtype):
    stored = pixels(shape, dtype)
    stored[3:5] = clear = [9, 300 % (np.iinfo(dtype).max + 1), 77][: stored.ndim * 2 - 3]
    depth, channels = 8 * stored.itemsize, stored.reshape(11, 13, -1).shape[2]
    rows = stored.astype(f">u{stored.itemsize}").reshape(11, -1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", 13, 11, depth, 2 if channels == 3 else 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"tRNS", struct.pack(f">{channels}H", *clear))]
    chunks += [(b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b))
            for k, b in chunks
        )
    )
    found = load_image(tmp_path / "a.png")
    assert found.dtype == dtype and found.shape == (11, 13, channels + 1)
    np.testing.assert_array_equal(found[..., :-1].reshape(stored.shape), stored)
    is_clear = (stored.reshape(11, 13, -1) == clear).all(axis=2)
    np.testing.assert_array_equal(found[..., -1], np.where(is_clear, 0, np.iinfo(dtype).max))


def test_a_picture_within_a_picture_counts_against_the_limit(tmp_path):
    bomb = png_bomb(50000, 50000)
    icon = struct.pack("<HHH", 0, 1, 1) + struct.pack(
        "<BBBBHHII", 16, 16, 0, 0, 1, 32, len(bomb), 22
    )
    (tmp_path / "a.ico").write_bytes(icon + bomb)
    with pytest.raises(ValueError, match=r"a\.ico .*\(Pillow: "):
        load_image(tmp_path / "a.ico")


def test_decoders_written_in_python_are_used_for_small_pictures_only(tmp_path):
    (tmp_path / "a.qoi").write_bytes(b"qoif" + struct.pack(">IIBB", 2100, 2000, 3, 0) + bytes(99))
    with pytest.raises(ValueError, match="too many for Pillow's slow decoder"):
        load_image(tmp_path / "a.qoi")
    Image.fromarray(pixels((37, 53, 3))).save(tmp_path / "b.qoi")
    np.testing.assert_array_equal(load_image(tmp_path / "b.qoi"), pixels((37, 53, 3)))


def test_exif_of_either_byte_order_and_from_xmp(tmp_path):
    """The orientation, and the date in the byte order that is written, little-endian."""
    stored = pixels((37, 53, 3))
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2024:05:06 07:08:09"
    exif.get_ifd(0x8769)[0x829A] = (1, 50)
    for order in "<>":
        exif.endian = order
        Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
        picture = read_picture(tmp_path / "a.png")
        np.testing.assert_array_equal(picture.pixels, np.rot90(stored, -1))
        again = Image.Exif()
        again.load(picture.exif)
        assert again[0x0132] == "2024:05:06 07:08:09"
        assert again.get_ifd(0x8769)[0x829A] == (1, 50)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    Image.fromarray(stored).save(tmp_path / "b.webp", lossless=True, xmp=xmp)
    np.testing.assert_array_equal(load_image(tmp_path / "b.webp"), np.rot90(stored, -1))
    assert picture_size(tmp_path / "b.webp") == (53, 37)


def test_exif_of_a_big_endian_tiff(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels((37, 53, 3)),
        photometric="rgb",
        byteorder=">",
        resolution=(300, 300),
        resolutionunit="inch",
        extratags=[(0x8298, 2, 0, "© Zoë".encode(), True), (274, 3, 1, 3, True)],
    )
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, pixels((37, 53, 3))[::-1, ::-1])
    assert "© Zoë".encode() in picture.exif
    exif = Image.Exif()
    exif.load(picture.exif)
    assert exif[0x011A] == 300 and exif[0x0128] == 2


def test_profiles_of_other_colours_are_left_out(tmp_path):
    rgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    Image.fromarray(pixels((37, 53))).save(buffer, "JPEG", icc_profile=rgb)
    (tmp_path / "grey.jpg").write_bytes(buffer.getvalue())
    Image.fromarray(pixels((37, 53, 3))).save(tmp_path / "b.jpg", icc_profile=b"garbage" * 40)
    for name, kind in (("grey.jpg", "grey"), ("b.jpg", "RGB")):
        picture = read_picture(tmp_path / name)
        assert not picture.icc
        assert picture.notes == [f"its colour profile is broken or not of {kind}: left out"]
