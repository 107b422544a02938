"""Picture files: every mode and depth comes back as it was; bad files get a sentence."""

import functools
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

import utils
from data.pictures import png
from data.pictures.read import Picture, load_image, picture_size, read_picture
from data.pictures.write import save_image, write_picture

SHAPES = {"L": (37, 53), "LA": (37, 53, 2), "RGB": (37, 53, 3), "RGBA": (37, 53, 4)}


def pixels(shape, dtype="uint8"):
    values = np.random.default_rng(4).random(shape) * (65535 if dtype == "uint16" else 255)
    return values.astype(dtype)


@functools.cache  # it holds the time
def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_block(orientation=1):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", orientation
    exif.get_ifd(0x8769)[0x829A] = (1, 50)  # exposure time
    exif.get_ifd(0x8769)[0xA002] = 999  # the old width
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


@pytest.mark.parametrize("mode", SHAPES)
@pytest.mark.parametrize(
    ("ending", "dtype"),
    [(".png", "uint8"), (".png", "uint16"), (".tif", "uint8"), (".tif", "uint16")]
    + [(".tif", "float32")],
)
def test_lossless_formats_keep_every_mode_and_depth(tmp_path, mode, ending, dtype):
    expected = pixels(SHAPES[mode], dtype)
    file = tmp_path / f"picture{ending}"
    save_image(file, expected)
    found = load_image(file)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, atol=0 if dtype != "float32" else 1e-4)
    assert picture_size(file) == (37, 53)


@pytest.mark.parametrize("mode", SHAPES)
def test_other_programs_read_what_is_written(tmp_path, mode):
    expected = pixels(SHAPES[mode])
    for ending in (".png", ".tif"):
        save_image(tmp_path / f"picture{ending}", expected)
        with Image.open(tmp_path / f"picture{ending}") as picture:
            assert picture.mode == mode
            np.testing.assert_array_equal(np.asarray(picture), expected)
    deep = pixels(SHAPES[mode], "uint16")
    save_image(tmp_path / "deep.tif", deep)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "deep.tif"), deep)
    save_image(tmp_path / "deep.png", deep)
    found = cv2.imread(str(tmp_path / "deep.png"), cv2.IMREAD_UNCHANGED)
    order = {"L": slice(None), "LA": [0, 0, 0, 1], "RGB": [2, 1, 0], "RGBA": [2, 1, 0, 3]}[mode]
    np.testing.assert_array_equal(found, deep[..., order])


def test_pngs_and_tiffs_are_filtered_before_they_are_compressed(tmp_path):
    ramp = np.add.outer(np.arange(211), np.arange(67)).astype(np.uint16) * 97
    for ending in (".png", ".tif"):
        save_image(tmp_path / f"ramp{ending}", ramp)
        np.testing.assert_array_equal(load_image(tmp_path / f"ramp{ending}"), ramp)
        assert (tmp_path / f"ramp{ending}").stat().st_size < ramp.nbytes / 10


@pytest.mark.parametrize("ending", [".png", ".tif", ".jpg", ".webp"])
def test_exif_and_icc_are_kept(tmp_path, ending):
    file = tmp_path / f"picture{ending}"
    write_picture(file, Picture(pixels((37, 53, 3)), exif_block(), srgb_profile()))
    first = read_picture(file)
    write_picture(file, first)
    again = read_picture(file)
    assert again.icc == srgb_profile()
    exif = Image.Exif()
    exif.load(again.exif)
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(0x8769)[0x829A] == (1, 50) and exif.get_ifd(0x8825)[1] == "N"
    assert 0xA002 not in exif.get_ifd(0x8769) and 0x0112 not in exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("mode", "ending"), [("RGB", "png"), ("L", "png"), ("I;16", "tif")])
def test_exif_orientation_is_applied(tmp_path, orientation, mode, ending):
    stored = pixels(SHAPES["RGB"] if mode == "RGB" else SHAPES["L"], "uint8")
    stored = stored.astype(np.uint16) * 257 if mode == "I;16" else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"picture.{ending}"
    Image.fromarray(stored).save(file, exif=exif)
    steps = {2: (0, 1), 3: (2, 0), 4: (2, 1), 5: (3, 1), 6: (3, 0), 7: (1, 1), 8: (1, 0)}
    turns, flip = steps.get(orientation, (0, 0))
    expected = np.rot90(stored, turns)
    expected = expected[:, ::-1] if flip else expected
    np.testing.assert_array_equal(load_image(file), expected)


def test_palettes_and_transparency(tmp_path):
    flat = np.repeat(np.arange(8, dtype=np.uint8), 9).reshape(8, 9)
    palette = Image.fromarray(flat).convert("P")
    palette.putpalette([c for i in range(256) for c in (i * 30 % 256, 255 - i % 256, 7)])
    palette.save(tmp_path / "opaque.png")
    palette.save(tmp_path / "holes.png", transparency=3)
    opaque, holes = load_image(tmp_path / "opaque.png"), load_image(tmp_path / "holes.png")
    assert opaque.shape == (8, 9, 3) and tuple(opaque[2, 0]) == (60, 253, 7)
    assert holes.shape == (8, 9, 4) and set(holes[3, :, 3]) == {0} and set(holes[4, :, 3]) == {255}
    Image.fromarray(flat).save(tmp_path / "grey.png", transparency=3)
    assert load_image(tmp_path / "grey.png").shape == (8, 9, 2)
    Image.fromarray(flat > 3).save(tmp_path / "bits.png")
    assert set(load_image(tmp_path / "bits.png").ravel()) == {0, 255}


def test_cmyk_jpeg_becomes_srgb(tmp_path):
    rgb = Image.new("RGB", (32, 24), (200, 30, 60))
    rgb.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    found = load_image(tmp_path / "cmyk.jpg")
    assert found.shape == (24, 32, 3)
    assert np.abs(found[12, 16].astype(int) - (200, 30, 60)).max() <= 6


def test_lossy_formats_say_what_they_drop(tmp_path):
    for ending, sentence in ((".jpg", "no transparency: put on white"), (".webp", "8 bits")):
        picture = Picture(np.full((19, 23, 4), 65535, np.uint16))
        picture.pixels[..., :3], picture.pixels[:9, :, 3] = 0, 0
        write_picture(tmp_path / f"p{ending}", picture)
        assert any(sentence in note for note in picture.notes)
    found = load_image(tmp_path / "p.jpg")
    assert found[:5].min() > 250 and found[-5:].max() < 5  # clear parts white, others black
    picture = Picture(np.full((5, 7), 100.25, np.float32))
    write_picture(tmp_path / "p.png", picture)
    assert picture.notes == ["png holds no floats: rounded"]
    assert set(load_image(tmp_path / "p.png").ravel()) == {round(100.25 * 257)}


def test_associated_alpha_is_divided_out(tmp_path):
    straight = np.full((6, 5, 4), (40000, 20000, 10000, 32768), np.uint16)
    multiplied = straight.copy()
    multiplied[..., :3] = np.rint(straight[..., :3] * (32768 / 65535))
    tifffile.imwrite(tmp_path / "a.tif", multiplied, photometric="rgb", extrasamples=["assocalpha"])
    assert np.abs(load_image(tmp_path / "a.tif").astype(int) - straight).max() <= 2


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiffs_of_other_programs(tmp_path, planar):
    deep = pixels((37, 53, 3), "uint16")
    stored = deep if planar == "contig" else np.moveaxis(deep, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    np.testing.assert_array_equal(load_image(tmp_path / "a.tif"), deep)
    cv2.imwrite(str(tmp_path / "lzw.tif"), deep[..., ::-1])  # OpenCV compresses by LZW
    np.testing.assert_array_equal(load_image(tmp_path / "lzw.tif"), deep)
    tifffile.imwrite(tmp_path / "white.tif", deep[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(load_image(tmp_path / "white.tif"), 65535 - deep[..., 0])


def png_bomb(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return png.SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def encoded(kind, array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def bad_files():
    photo = pixels((64, 64, 3))
    deep = io.BytesIO()
    png.write(deep, pixels((64, 64, 3), "uint16"))
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, pixels((64, 64, 3), "uint16"))
    nan = io.BytesIO()
    tifffile.imwrite(nan, np.full((5, 7), np.nan, np.float32))
    bright = io.BytesIO()
    tifffile.imwrite(bright, np.full((5, 7), 255, np.float32))
    five = io.BytesIO()
    tifffile.imwrite(five, pixels((9, 9, 5), "uint16"), photometric="rgb")
    return {
        "empty.png": (b"", "empty"),
        "text.png": (b"hello, I am no picture\n", "not a picture"),
        "cut.png": (encoded("PNG", photo)[:5000], "truncated|damaged"),
        "cut.jpg": (encoded("JPEG", photo)[:900], "truncated|damaged"),
        "cut-deep.png": (deep.getvalue()[:9000], "truncated|damaged"),
        "cut.tif": (tiff.getvalue()[:9000], "should have"),
        "head-only.tif": (tiff.getvalue()[:6], "tifffile"),
        "bomb.png": (
            png_bomb(50000, 50000),
            "has 2500 megapixels, which are more than the limit of 256",
        ),
        "nan.tif": (nan.getvalue(), "holds 35 values that are NaN or infinite"),
        "bright.tif": (bright.getvalue(), "holds floats of 255..255; they must hold 0..1"),
        "five.tif": (five.getvalue(), "not supported"),
    }


@pytest.mark.parametrize("name", bad_files())
def test_bad_files_get_a_sentence_with_their_name(tmp_path, name):
    data, sentence = bad_files()[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=sentence) as error:
        load_image(tmp_path / name)
    assert name in str(error.value)


def test_the_limit_can_be_raised_and_lowered(tmp_path):
    save_image(tmp_path / "a.png", pixels((40, 50)))
    with pytest.raises(ValueError, match="more than the limit of 0.001"):
        read_picture(tmp_path / "a.png", max_megapixels=0.001)
    assert read_picture(tmp_path / "a.png", max_megapixels=0.002).pixels.shape == (40, 50)


@pytest.mark.parametrize("ending", ["gif", "tif", "webp"])
def test_of_many_frames_the_first_is_used_and_that_is_said(tmp_path, ending):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue", "green")]
    file = tmp_path / f"frames.{ending}"
    frames[0].save(file, save_all=True, append_images=frames[1:], lossless=True)
    picture = read_picture(file)
    assert picture.notes == ["has 3 frames or pages: only the first is used"]
    assert tuple(picture.pixels[0, 0][:3]) == (255, 0, 0)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="must end in .bmp, .jpeg, .jpg, .png"):
        save_image(tmp_path / "a.gif", pixels((5, 7)))
    with pytest.raises(ValueError, match="webp holds at most 16383 px a side, not 7 × 20000"):
        save_image(tmp_path / "a.webp", np.zeros((20000, 7), np.uint8))
    with pytest.raises(ValueError, match=r"quality must be 1..100, got 0"):
        save_image(tmp_path / "a.jpg", pixels((5, 7)), quality=0)
    with pytest.raises(FileNotFoundError):
        save_image(tmp_path / "no folder" / "a.png", pixels((5, 7)))
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([(), (2,), (3,), (4,)]),
    dtype=st.sampled_from(["uint8", "uint16"]),
    ending=st.sampled_from([".png", ".tif"]),
)
def test_any_picture_survives(tmp_path_factory, height, width, channels, dtype, ending):
    file = tmp_path_factory.mktemp("any") / f"a{ending}"
    expected = pixels((height, width, *channels), dtype)
    save_image(file, expected)
    np.testing.assert_array_equal(load_image(file), expected)


def test_the_names_notebooks_import(tmp_path):
    save_image(tmp_path / "a.png", pixels((11, 13, 3)))
    lr = utils.load_image(tmp_path / "a.png")
    assert lr.shape == (11, 13, 3) and lr.dtype == np.uint8
    utils.plot_sample(lr, lr.repeat(4, axis=0).repeat(4, axis=1))
    import matplotlib.pyplot as plt

    assert [ax.get_title() for ax in plt.gcf().axes] == ["LR", "SR (x4)"]
    plt.close("all")


def test_error_map_is_blue_where_equal_and_red_where_not():
    from infer.plot import error_map

    a, b = np.zeros((5, 7, 3), np.uint8), np.zeros((5, 7, 3), np.uint8)
    b[2, 3] = 64
    drawn = error_map(a, b)
    assert drawn.shape == (5, 7, 3)
    assert tuple(drawn[0, 0]) == (0, 0, 127) and tuple(drawn[2, 3]) == (127, 0, 0)
    with pytest.raises(ValueError, match="same shape"):
        error_map(a, b[1:])
