"""Picture files at the limits: sizes, kinds of array, names, metadata, pages, full disks."""

import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from data.pictures import tiff
from data.pictures.read import Picture, load_image, picture_size, read_picture
from data.pictures.write import save_image, write_picture
from tests.data.test_pictures import exif_block, pixels, png_bomb, srgb_profile

KINDS_OF_ARRAY = [  # number type, value put in, value that a PNG then holds
    ("float64", 100.25, round(100.25 * 257)),
    ("float16", 100.25, round(100.25 * 257)),
    ("bool", True, 255),
    (">u2", 1000, 1000),
]


@pytest.mark.parametrize(("dtype", "value", "expected"), KINDS_OF_ARRAY)
def test_other_number_types_are_converted(tmp_path, dtype, value, expected):
    save_image(tmp_path / "a.png", np.full((5, 7, 3), value, dtype))
    assert set(load_image(tmp_path / "a.png").ravel()) == {expected}


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "uint32", "int8", "complex64", "U1"])
def test_numbers_whose_range_nobody_knows_are_refused(tmp_path, dtype):
    with pytest.raises(ValueError, match=f"must be uint8, uint16 or floats.*{np.dtype(dtype)}"):
        save_image(tmp_path / "a.tif", np.ones((5, 7), dtype))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(0, 7, 3), (7,), (5, 7, 5), (2, 5, 7, 3), (5, 7, 0)])
def test_arrays_that_are_no_pictures_are_refused(tmp_path, shape):
    with pytest.raises(ValueError, match=r"a picture must be \(H, W\) grey.*got \("):
        save_image(tmp_path / "a.png", np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="finite"):
        save_image(tmp_path / "a.png", np.full((5, 7), np.nan))


def test_one_channel_is_grey(tmp_path):
    save_image(tmp_path / "a.png", pixels((5, 7, 1)))
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), pixels((5, 7, 1))[..., 0])


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif"])
def test_names_of_255_bytes_can_be_written(tmp_path, ending):
    name = "é" * ((255 - len(ending)) // 2) + ending
    save_image(tmp_path / name, pixels((5, 7, 3)))
    assert load_image(tmp_path / name).shape == (5, 7, 3)


def test_large_metadata_fit_or_are_told(tmp_path):
    picture = Picture(pixels((5, 7, 3)), exif_block(), srgb_profile())
    exif = Image.Exif()
    exif[0x010E] = "long" * 20000
    picture.exif = exif.tobytes()
    for ending in (".png", ".tif", ".webp"):
        write_picture(tmp_path / f"a{ending}", picture)
        assert b"longlong" in read_picture(tmp_path / f"a{ending}").exif and not picture.notes
    write_picture(tmp_path / "a.jpg", picture)
    assert "jpg holds at most 65533 bytes of EXIF" in picture.notes[0]
    assert read_picture(tmp_path / "a.jpg").icc == srgb_profile()


@pytest.mark.parametrize("ending", [".png", ".tif", ".jpg", ".webp", ".bmp"])
def test_what_cannot_be_written_whole_is_named_and_leaves_nothing(tmp_path, ending):
    """A limit on the size of files stands for a full disk: writing fails in the same place."""
    script = (
        "import resource, signal, sys, numpy as np\n"
        "from data.pictures.write import save_image\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "noise = np.random.default_rng(1).integers(0, 256, (400, 500, 3)).astype(np.uint8)\n"
        "try:\n    save_image(sys.argv[1], noise)\n"
        "except OSError as error:\n    print(type(error).__name__, error.filename)\n"
    )
    file = tmp_path / f"a{ending}"
    ran = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == f"OSError {file}" and not ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_tiff_above_pillows_limit_opens_where_the_limit_allows(tmp_path):
    side = 13400
    rows = zlib.compress(bytes(side * side), 1)
    tifffile.imwrite(
        tmp_path / "a.tif",
        iter([rows]),
        shape=(side, side),
        dtype=np.uint8,
        rowsperstrip=side,
        compression="zlib",
    )
    with pytest.raises(ValueError, match="180 megapixels, which are more than the limit of 100"):
        read_picture(tmp_path / "a.tif", max_megapixels=100)
    assert read_picture(tmp_path / "a.tif").pixels.shape == (side, side)


def test_pillows_limit_is_lifted_while_any_thread_needs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in "ab":
        save_image(tmp_path / f"{name}.bmp", pixels((50, 60, 3)))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(load_image, [tmp_path / f"{name}.bmp" for name in "ab"] * 40))
    assert {f.shape for f in found} == {(50, 60, 3)}
    assert Image.MAX_IMAGE_PIXELS == 100


def test_deep_samples_count_against_the_limit(tmp_path):
    save_image(tmp_path / "a.png", pixels((40, 50, 4), "uint16"))
    with pytest.raises(ValueError, match=r"8 bytes, which take more memory than the limit"):
        read_picture(tmp_path / "a.png", max_megapixels=0.002)
    assert read_picture(tmp_path / "a.png", max_megapixels=0.004).pixels.shape == (40, 50, 4)


def test_a_png_that_could_not_hold_its_pixels_is_cut_short(tmp_path):
    (tmp_path / "a.png").write_bytes(png_bomb(15000, 15000))
    with pytest.raises(ValueError, match="cut short: .* bytes cannot hold 225000000 bytes"):
        load_image(tmp_path / "a.png")


def test_the_first_page_that_is_no_thumbnail_is_read(tmp_path):
    photo = pixels((37, 53, 3))
    for deep in (False, True):
        stored = photo.astype(np.uint16) * 257 if deep else photo
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(stored[::4, ::4], subfiletype=1, photometric="rgb")
            file.write(stored, photometric="rgb")
        picture = read_picture(tmp_path / "a.tif")
        np.testing.assert_array_equal(picture.pixels, stored)
        assert not picture.notes
        assert picture_size(tmp_path / "a.tif") == (37, 53)
        with tifffile.TiffWriter(tmp_path / "b.tif") as file:
            file.write(stored[::4, ::4], subfiletype=1, photometric="rgb", subifds=1)
            file.write(stored, photometric="rgb")
        np.testing.assert_array_equal(load_image(tmp_path / "b.tif"), stored)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_samples_are_scaled_to_16_bits(tmp_path, bits):
    stored = np.arange(2**bits, dtype=np.uint16)[: 37 * 26].reshape(37, 26)
    stored[0, :2] = 0, 2**bits - 1
    tifffile.imwrite(tmp_path / "a.tif", stored, bitspersample=bits)
    found = load_image(tmp_path / "a.tif")
    assert tuple(found[0, :2]) == (0, 65535)
    np.testing.assert_array_equal(found, np.rint(stored * (65535 / (2**bits - 1))))


@pytest.mark.parametrize("deep", [False, True])
def test_alpha_bands_mean_what_extrasamples_tells(tmp_path, deep):
    stored = pixels((37, 53, 4), "uint16" if deep else "uint8")
    for kind, note in (("unassalpha", 0), ("unspecified", 1)):
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=[kind])
        picture = read_picture(tmp_path / "a.tif")
        np.testing.assert_array_equal(picture.pixels, stored[..., : 4 - note])
        assert len(picture.notes) == note


def test_a_bigtiff_keeps_exif(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "_LARGEST_CLASSIC", 1000)
    write_picture(tmp_path / "a.tif", Picture(pixels((37, 53, 3)), exif_block(), srgb_profile()))
    assert (tmp_path / "a.tif").read_bytes()[:4] == b"II+\0"
    again = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(again.pixels, pixels((37, 53, 3)))
    exif = Image.Exif()
    exif.load(again.exif)
    assert exif[0x010F] == "Maker" and exif.get_ifd(0x8825)[1] == "N"
    with Image.open(tmp_path / "a.tif") as other:
        assert other.getexif()[0x010F] == "Maker"


def test_texts_of_a_png_are_copied(tmp_path):
    info = PngInfo()
    info.add_text("Author", "Zoë")
    info.add_text("Long", "x" * 2_000_000, zip=True)
    Image.fromarray(pixels((5, 7))).save(tmp_path / "a.png", pnginfo=info, dpi=(300, 300))
    picture = read_picture(tmp_path / "a.png")
    assert picture.notes == ["its text 'Long' is over 1 MB and was left out"]
    write_picture(tmp_path / "b.png", picture)
    with Image.open(tmp_path / "b.png") as found:
        assert found.text == {"Author": "Zoë"} and round(found.info["dpi"][0]) == 300
