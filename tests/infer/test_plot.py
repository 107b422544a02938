"""Pictures side by side, with a part enlarged."""

import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from infer.detect import Detection
from infer.plot import (
    as_jpeg,
    comparison,
    error_map,
    error_maps,
    neighbour_steps,
    side_by_side,
    texture_distance,
    texture_histogram,
    with_boxes,
)


@pytest.fixture(autouse=True)
def _seeded():
    """Instead of conftest's: nothing here needs Keras."""
    matplotlib.use("Agg")


def drawn(axes):
    return np.asarray(axes.images[0].get_array())


def test_parts_of_a_comparison_are_drawn_in_whole_pixels(tmp_path):
    random = np.random.default_rng(0)
    parts = {
        (name, "26.4 dB"): random.integers(0, 256, (13, 18, 3), dtype=np.uint8)
        for name in ("input", "ours", "original")
    }
    rows = {("Enlarge", "upscale"): parts, ("Faces", ""): parts}
    figure = comparison(rows, note="all of it", width_px=54)
    figure.savefig(tmp_path / "a.png", dpi=72)
    with Image.open(tmp_path / "a.png") as file:
        page = np.asarray(file.convert("RGB"))
    for axes, part in zip(figure.axes, [*parts.values()] * 2, strict=True):
        box = axes.get_position()
        left, top = round(box.x0 * page.shape[1]), round((1 - box.y1) * page.shape[0])
        there = page[top : top + 39, left : left + 54]
        np.testing.assert_array_equal(there, part.repeat(3, axis=0).repeat(3, axis=1))
    written = [text.get_text() for text in figure.texts]
    assert written[:2] == ["Enlarge", "upscale"] and written[-1] == "all of it"
    assert [text.get_weight() for text in figure.texts if text.get_text() == "ours"] == ["bold"] * 2


def test_pictures_and_their_parts_are_drawn_in_order():
    random = np.random.default_rng(0)
    pictures = {name: random.integers(0, 256, (13, 17, 3), dtype=np.uint8) for name in "abc"}
    figure = side_by_side(pictures, (2, 5, 7))
    for column, (name, picture) in enumerate(pictures.items()):
        whole, part = figure.axes[column], figure.axes[3 + column]
        assert whole.get_title() == name
        np.testing.assert_array_equal(drawn(whole), picture)
        np.testing.assert_array_equal(drawn(part), picture[2:9, 5:12])
        (frame,) = whole.patches
        assert frame.get_bbox().bounds == (5, 2, 7, 7)
    assert len(side_by_side(pictures).axes) == 3


def test_any_mode_and_depth_can_be_drawn():
    grey = np.arange(6, dtype=np.uint16).reshape(2, 3) * 257
    figure = side_by_side({"16 bits": grey, "floats": np.full((2, 3, 3), 300.0)})
    np.testing.assert_array_equal(drawn(figure.axes[0]), grey // 257)
    assert (drawn(figure.axes[1]) == 255).all()


def test_sizes_must_agree():
    with pytest.raises(ValueError, match=r"one size, got \[\(2, 3\), \(3, 2\)\]"):
        side_by_side({"a": np.zeros((2, 3)), "b": np.zeros((3, 2))})


def test_error_maps_have_a_scale():
    random = np.random.default_rng(0)
    a, b, truth = random.integers(0, 256, (3, 13, 17, 3), dtype=np.uint8)
    *maps, bar = error_maps({"a": a, "b": b}, truth, largest=32).axes
    assert [axes.get_title() for axes in maps] == ["a", "b"]
    np.testing.assert_array_equal(drawn(maps[1]), error_map(b, truth, largest=32))
    assert bar.get_ylabel() == "difference, grey levels" and bar.get_ylim() == (0, 32)
    own, _ = error_maps({"a": a}, {"a": a}).axes
    np.testing.assert_array_equal(drawn(own), error_map(a, a))


def test_a_file_becomes_a_small_jpeg(tmp_path):
    ramp = np.add.outer(np.arange(61), np.arange(53)).astype(np.uint8)[..., None].repeat(3, axis=2)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    jpeg = Image.open(io.BytesIO(as_jpeg(tmp_path / "ramp.png")))
    assert jpeg.format == "JPEG"
    np.testing.assert_allclose(np.asarray(jpeg), ramp, atol=4)


def test_boxes_are_drawn_where_they_are_into_a_copy():
    picture = np.zeros((101, 151, 3), np.uint8)
    drawn = with_boxes(picture, [Detection(30.4, 40, 50, 47), Detection(100, 60, 20, 23)])
    assert not picture.any()
    for y, x in ((60, 30), (86, 50), (40, 79), (60, 110), (82, 119)):
        assert tuple(drawn[y, x]) == (255, 230, 0)
    assert not drawn[46:80, 37:73].any() and not drawn[90:].any()


def test_textures_are_compared_wherever_they_lie():
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (13, 17, 3), dtype=np.uint8)
    assert len(neighbour_steps(picture)) == 12 * 17 + 13 * 16
    assert texture_distance(picture, picture.swapaxes(0, 1)) == 0
    assert texture_distance(picture, picture / 2) > 1
    np.testing.assert_array_equal(neighbour_steps(np.uint8([[3, 250]])), [247])


def test_a_histogram_has_the_share_of_every_step():
    flat = np.full((7, 5, 3), 9, np.uint8)
    columns = flat + 4 * (np.arange(5) % 2).astype(np.uint8)[:, None]
    (axes,) = texture_histogram({"flat": flat, "columns": columns}).axes
    for line, steps in zip(
        axes.lines, ({0: 1}, {-4: 14 / 58, 0: 30 / 58, 4: 14 / 58}), strict=True
    ):
        drawn_steps = {int(x): y for x, y in zip(*line.get_data(), strict=True) if y}
        assert drawn_steps == pytest.approx(steps)
    assert [text.get_text() for text in axes.get_legend().texts] == ["flat", "columns"]
