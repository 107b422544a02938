"""Drawn text: the same again from its number, lines where they are told to be, usable fonts."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest

from data.degrade import imresize
from data.pictures.write import save_image
from data.rendered_text import LETTERS, RenderedText, font_families

FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
DEJAVU = [FONTS / "DejaVuSans.ttf", FONTS / "DejaVuSerif.ttf"]


@pytest.fixture
def backgrounds(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(2)
    for name in "ab":
        small = random.integers(0, 256, (7, 9, 3), dtype=np.uint8)
        save_image(folder / f"{name}.png", imresize(small, size=(110, 130)))
    return folder


def texts(backgrounds, tmp_path, **options):
    options = {"count": 3, "side_px": 128, "px": (20, 30), "words": ["harbour", "Tea"]} | options
    return RenderedText(backgrounds, DEJAVU, caches_dir=tmp_path / "caches", **options)


def test_a_picture_is_a_function_of_its_number(backgrounds, tmp_path):
    source, again = (texts(backgrounds, tmp_path, seed=4) for _ in range(2))
    first, lines = source.drawn(0)
    assert first.shape == (128, 128, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again.drawn(0)[0])
    assert [line.text for line in lines] == [line.text for line in again.drawn(0)[1]]
    assert (first != source.drawn(1)[0]).any()
    assert (first != texts(backgrounds, tmp_path, seed=5).drawn(0)[0]).any()


def test_lines_hold_the_words_and_lie_inside(backgrounds, tmp_path):
    source = texts(backgrounds, tmp_path, side_px=256)
    lines = [line for number in range(6) for line in source.drawn(number)[1]]
    assert len(lines) > 10
    for line in lines:
        words = [word.strip(".,:;!?-").lower() for word in line.text.split()]
        assert all(
            w in ("harbour", "tea") or w.rstrip("%").replace(".", "").isdigit() for w in words
        )
        assert line.corners.min() >= 0 and line.corners.max() <= 256
        across, down = line.corners[1] - line.corners[0], line.corners[3] - line.corners[0]
        assert abs(across @ down) < 1e-6 * (across @ across)
        assert 20 < np.hypot(*down) < 2 * 30


def test_pairs_are_of_the_pictures_and_their_reduction(backgrounds, tmp_path):
    source = texts(backgrounds, tmp_path)
    lr, hr = source.pairs[2]
    np.testing.assert_array_equal(hr, source.drawn(2)[0])
    np.testing.assert_array_equal(lr, imresize(hr, 1 / 4))
    batch = next(iter(source.dataset(2, hr_crop_px=48, damage="mild")))
    assert [tuple(part.shape) for part in batch] == [(2, 12, 12, 3), (2, 48, 48, 3)]


def test_fonts_without_latin_letters_are_left_out():
    names = {Path(file).name for family in font_families([FONTS]) for file in family}
    assert "DejaVuSerif-Bold.ttf" in names and len(LETTERS) == 62
    assert not any(name.startswith(("STIXSiz", "STIXNonUni")) for name in names)


def test_refuses_what_cannot_be_drawn(backgrounds, tmp_path):
    (tmp_path / "empty").mkdir()
    for options, error, message in (
        ({"px": (30, 20)}, ValueError, "px must be two sizes of at least 4"),
        ({"side_px": 25}, ValueError, "side_px not below them"),
        ({"words": []}, ValueError, "words must hold at least one word"),
    ):
        with pytest.raises(error, match=message):
            texts(backgrounds, tmp_path, **options)
    with pytest.raises(FileNotFoundError, match="no font with Latin letters in .*empty"):
        RenderedText(backgrounds, [tmp_path / "empty"])


def test_a_reader_reads_what_is_said_to_be_written(backgrounds, tmp_path):
    pytest.importorskip("rapidocr_onnxruntime")
    from infer.text import Text, character_error_rate

    reader = Text()
    source = texts(backgrounds, tmp_path, side_px=320, px=(36, 44))
    pairs = []
    for number in range(3):
        picture, lines = source.drawn(number)
        pairs += [(line.text, reader.read(picture, line.corners)) for line in lines]
    assert len(pairs) >= 8 and character_error_rate(*zip(*pairs, strict=True)) < 0.15
