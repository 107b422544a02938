"""Small files that once failed, each for a kind: the right picture, or one sentence, quickly.

What each holds is told in ``tests/golden/README.md``. All sound ones are one photograph of 36 × 48.
"""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from data.pictures.read import load_image, picture_size, read_picture, read_rgb8
from data.pictures.write import write_picture

CASES = Path(__file__).parent.parent / "golden" / "cases" / "pictures"
PHOTOGRAPH = load_image(CASES / "colour-gamma_1.0.png")  # as read: no tag changes its numbers

READ = {  # file → shape, number type, part of its only note
    "alpha_invented-rgb_nir_16bit.tif": ((36, 48, 3), "uint16", "neither colour nor alpha"),
    "alpha_lost-grey16_trns.png": ((36, 48, 2), "uint16", None),
    "alpha_lost-grey2_trns.png": ((36, 48, 2), "uint8", None),
    "black-float_0..1.pfm": ((36, 48), "float32", None),
    "colour-chrm_adobergb.png": ((36, 48, 3), "uint8", None),
    "colour-gamma_1.0.png": ((36, 48, 3), "uint8", None),
    "exif_garbled-utf8_copyright.jpg": ((36, 48, 3), "uint8", None),
    "exif_lost-adobergb_interop.jpg": ((36, 48, 3), "uint8", None),
    "exif_lost-only_usercomment.jpg": ((36, 48, 3), "uint8", None),
    "ignored_in_folders.jfif": ((36, 48, 3), "uint8", None),
    "kills_run-12bit_rgb.tif": ((36, 48, 3), "uint16", None),
    "kills_run-cmyk_with_rgb_profile.jpg": ((36, 48, 3), "uint8", "does not fit CMYK"),
    "kills_run-exif_software_as_rational.jpg": ((36, 48, 3), "uint8", "EXIF Software"),
    "kills_run-zstd_16bit.tif": ((36, 48, 3), "uint16", None),
    "pic-PyCMSError-in-image.to-via-srgb_ImageCms.jpg": ((33, 40, 3), "uint8", "CMYK"),
    "refused-cmyk_garbage_profile.jpg": ((36, 48, 3), "uint8", "is broken"),
    "refused-exif_bad_block.png": ((36, 48, 3), "uint8", "EXIF block is broken"),
    "refused-icc_over_1mb.png": ((36, 48, 3), "uint8", "profile is over 1 MB"),
    "refused-lzw_16bit_orientation6.tif": ((48, 36, 3), "uint16", None),
    "refused-second_page_mask.tif": ((36, 48, 3), "uint8", "mask"),
    "wrong_way_round-lzw_16bit_orientation2.tif": ((36, 48, 3), "uint16", None),
}
REFUSED = {  # file → part of the sentence
    "kills_run-damaged_IndexError_1.tif": "no size",
    "kills_run-damaged_RuntimeError_4.avif": "Pillow",
    "thumbnail_used-dnglike.dng": "camera raw",
    "pic-16bit-png-118-bytes-allocates-4GB.png": "claims 4294967295 bytes, the file has 118",
    "pic-DecompressionBombError-in-image.from-via-pillow_Image.tif": "should have 613418552 bytes",
    "pic-IndexError-in-image.from-via-pillow_PngImagePlugin.png": "libvips",
    "pic-KeyError-in-tiff.pixels-via-tifffile.tif": "not supported",
    "pic-LZMAError-in-tiff.pixels-via-lzma.tif": "tifffile: LzmaError",
    "pic-OverflowError-in-tiff.read-via-size_tifffile.tif": "tifffile: OverflowError",
    "pic-TypeError-in-image.decode-via-image.tif": "no size",
    "pic-TypeError-in-tiff.check-int_and_text.tif": "tifffile: TypeError",
    "pic-TypeError-in-tiff.check-sum_of_text.tif": "tifffile: TypeError",
    "pic-TypeError-in-tiff.check-tuple_and_int.tif": "tifffile: TypeError",
    "pic-ZeroDivisionError-in-tiff.check-via-tifffile.tif": "tifffile: ZeroDivisionError",
    "pic-TypeError-in-tiff.read-via-size_tifffile.tif": "tifffile: TypeError",
    "pic-error-in-tiff.pixels-via-tiff.tif": "strips are smaller",
    "pic-webp-452-bytes-takes-74s.webp": "at most 16383 px a side",
}
OTHERS = {  # read, with notes on more than one thing or none of interest
    "kills_run-exif_xresolution_as_text.jpg",
    "pic-AttributeError-in-image.kept-via-exif_TiffImagePlugin.tif",
    "pic-TypeError-in-image.to-via-srgb_image.tif",
}


def test_every_case_is_looked_at():
    assert {file.name for file in CASES.iterdir()} == {*READ, *REFUSED, *OTHERS}


@pytest.mark.parametrize("name", READ)
def test_sound_pictures_are_read_with_a_note_on_what_is_left_out(name, recwarn):
    shape, dtype, note = READ[name]
    picture = read_picture(CASES / name)
    assert picture.pixels.shape == shape and picture.pixels.dtype == dtype
    assert picture_size(CASES / name) == shape[:2]
    assert len(picture.notes) == (note is not None) and (note or "") in "".join(picture.notes)
    if shape[0] != 33:
        seen = read_rgb8(CASES / name)[14:].mean() - PHOTOGRAPH[14:].mean()  # below clear rows
        assert shape[0] == 48 or abs(seen) < (25 if "grey2" in name else 4)
    assert not recwarn.list


@pytest.mark.parametrize("name", REFUSED)
def test_others_end_in_one_sentence_that_names_file_and_decoder(name, caplog):
    started_s = time.process_time()
    for read in (read_picture, read_rgb8):
        with pytest.raises(ValueError, match=REFUSED[name]) as error:
            read(CASES / name)
        assert name in str(error.value) and "\n" not in str(error.value)
    assert time.process_time() - started_s < 10 and not caplog.records


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_odd_metadata_does_not_cost_the_picture(name):
    picture = read_picture(CASES / name)
    assert picture.pixels.ndim in (2, 3) and picture.pixels.size
    assert all("EXIF" in note for note in picture.notes)


def test_a_file_of_camera_raw_is_refused_whatever_it_holds(tmp_path):
    (tmp_path / "a.cr3").write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=r"a\.cr3 is a camera raw file"):
        load_image(tmp_path / "a.cr3")


def test_lzw_is_turned_as_often_as_deflate(tmp_path):
    for name, number in (("refused-lzw_16bit_orientation6", 6), ("wrong_way_round-lzw_16bit", 2)):
        file = next(CASES.glob(f"{name}*"))
        stored = tifffile.imread(file)
        expected = {6: np.rot90(stored, -1), 2: stored[:, ::-1]}[number]
        np.testing.assert_array_equal(load_image(file), expected)


def test_the_fourth_band_of_no_meaning_is_dropped():
    stored = tifffile.imread(CASES / "alpha_invented-rgb_nir_16bit.tif")
    np.testing.assert_array_equal(
        load_image(CASES / "alpha_invented-rgb_nir_16bit.tif"), stored[..., :3]
    )


def test_12_bits_are_scaled_to_16():
    stored = tifffile.imread(CASES / "kills_run-12bit_rgb.tif")
    assert stored.max() < 4096
    np.testing.assert_array_equal(
        load_image(CASES / "kills_run-12bit_rgb.tif"), np.rint(stored * (65535 / 4095))
    )


def test_floats_of_0_to_1_become_0_to_255():
    with Image.open(CASES / "black-float_0..1.pfm") as stored:
        expected = np.asarray(stored) * 255
    np.testing.assert_allclose(load_image(CASES / "black-float_0..1.pfm"), expected, atol=1e-3)


@pytest.mark.parametrize(("bits", "clear"), [(16, 1234), (2, 170)])
def test_the_grey_that_trns_names_is_clear(bits, clear):
    pixels = load_image(CASES / f"alpha_lost-grey{bits}_trns.png")
    top = np.iinfo(pixels.dtype).max
    assert set(pixels[..., 1].ravel()) == {0, top}
    np.testing.assert_array_equal(pixels[..., 1] == 0, pixels[..., 0] == clear)


def kept_exif(name, tmp_path, ending):
    picture = read_picture(CASES / name)
    write_picture(tmp_path / f"out{ending}", picture)
    with Image.open(tmp_path / f"out{ending}") as written:
        exif = written.getexif()
        exif.get_ifd(ExifTags.IFD.Exif)  # read while the file is open
        return exif


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".webp"])
def test_exif_is_kept_whichever_directory_holds_it(tmp_path, ending):
    comment = kept_exif("exif_lost-only_usercomment.jpg", tmp_path, ending)
    details = comment.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.UserComment].startswith(b"UNICODE\0" + "a c".encode("utf-16-be"))
    adobe = kept_exif("exif_lost-adobergb_interop.jpg", tmp_path, ending)
    assert adobe.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] == 65535
    again = read_picture(tmp_path / f"out{ending}").exif
    assert b"R03\0" in again and b"0100" in again


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".webp"])
def test_text_of_exif_keeps_its_bytes(tmp_path, ending):
    kept_exif("exif_garbled-utf8_copyright.jpg", tmp_path, ending)
    written = (tmp_path / f"out{ending}").read_bytes()
    for text in ("© 2024 José Müller", "Straße in Zürich, 東京", "50mm ƒ/1.4"):
        assert text.encode() + b"\0" in written


def test_what_a_png_says_of_its_colours_is_copied_or_told(tmp_path):
    for name, kinds in (("colour-gamma_1.0", [b"gAMA"]), ("colour-chrm_adobergb", [b"cHRM"])):
        picture = read_picture(CASES / f"{name}.png")
        write_picture(tmp_path / "a.png", picture)
        assert not picture.notes
        again = read_picture(tmp_path / "a.png")
        assert again.chunks == picture.chunks and {k for k, _ in again.chunks} >= set(kinds)
        write_picture(tmp_path / "a.jpg", picture)
        assert "gAMA" in picture.notes[0] and "jpg cannot hold" in picture.notes[0]


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for file in (tmp_path / "pipe.png", "/dev/zero"):
        for read in (load_image, picture_size, read_rgb8):
            with pytest.raises(ValueError, match="is a pipe, socket or device"):
                read(file)


def test_a_case_is_read_under_any_name(tmp_path):
    shutil.copy(CASES / "ignored_in_folders.jfif", tmp_path / "no ending")
    np.testing.assert_array_equal(
        load_image(tmp_path / "no ending"), load_image(CASES / "ignored_in_folders.jfif")
    )
