"""Windows around lines: a line is where it is told to be, and a batch is a function of its step."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from data.pictures.write import save_image
from data.rendered_text import Line, RenderedText
from data.text_lines import line_windows

FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


class Bars(RenderedText):
    """White bars on black in place of lines: three directions, then a picture with none."""

    def drawn(self, number):
        picture, lines = np.zeros((160, 160, 3), np.uint8), []
        for centre in ((80, 45), (80, 120)) if number < 3 else ():
            box = centre, (140, 24), (0, 9, -30)[number]
            corners = cv2.boxPoints(box)[[1, 2, 3, 0]]  # OpenCV's first one is the lower left
            cv2.fillPoly(picture, [np.rint(corners).astype(int)], (255, 255, 255))
            if corners.min() >= 0 and corners.max() <= 160:
                lines.append(Line("bar", corners))
        return picture, lines


@pytest.fixture
def bars(tmp_path):
    (tmp_path / "photos").mkdir()
    save_image(tmp_path / "photos" / "a.png", np.full((170, 170, 3), 180, np.uint8))
    options = {"words": ["bar"], "count": 4, "side_px": 160, "caches_dir": tmp_path / "caches"}
    return Bars(tmp_path / "photos", [FONT], **options)


def test_a_line_is_where_it_is_told_to_be(bars):
    none = 0
    for lr, hr, lines in line_windows(bars, 7, hr_crop_px=96, seed=2).take(6):
        assert (tuple(lr.shape), tuple(hr.shape)) == ((7, 24, 24, 3), (7, 96, 96, 3))
        for picture, corners in zip(hr.numpy(), lines.numpy().astype(float), strict=True):
            if not corners.any():
                none += 1
                continue
            inside = np.zeros((96, 96), np.uint8)
            cv2.fillPoly(inside, [corners.astype(int)], 1)
            assert picture[cv2.erode(inside, np.ones((5, 5))) > 0].min() == 255
            along, down = corners[1] - corners[0], corners[3] - corners[0]
            assert abs(np.linalg.norm(down) - 24) < 2 and along[0] > 0 and down[1] > 0
            assert 23 < np.linalg.norm(along) < 4.1 * 24
            middle, outwards = corners.mean(axis=0), down / np.linalg.norm(down)
            for place in (middle + 16 * outwards, middle - 16 * outwards):
                column, row = np.rint(place).astype(int)
                if min(column, row) >= 0 and max(column, row) < 96:
                    assert picture[row, column].max() == 0
    assert 0 < none < 30


def test_a_batch_is_a_function_of_its_step(bars):
    data = line_windows(bars, 5, hr_crop_px=64, seed=4, damage="mild")
    third = list(data.take(3))[2]
    parts = [next(iter(data.start_at(2, (index, 2)))) for index in range(2)]
    for whole, *pieces in zip(third, *parts, strict=True):
        np.testing.assert_array_equal(whole, np.concatenate(pieces))
    assert data.facts["lines"] and data.facts["damage"]
    other = next(iter(line_windows(bars, 5, hr_crop_px=64, seed=5, damage="mild")))
    assert (other[1].numpy() != third[1].numpy()).any()


def test_refuses_windows_too_large(bars):
    with pytest.raises(ValueError, match="hr_crop_px must be at most 252, got 256"):
        line_windows(bars, 2, hr_crop_px=256)
    with pytest.raises(ValueError, match="hr_crop_px must be a multiple of 4, got 62"):
        line_windows(bars, 2, hr_crop_px=62)
