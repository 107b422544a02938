"""Pictures side by side, with a part enlarged."""

import matplotlib
import numpy as np
import pytest

from infer.plot import side_by_side


@pytest.fixture(autouse=True)
def _seeded():
    """Instead of conftest's: nothing here needs Keras."""
    matplotlib.use("Agg")


def drawn(axes):
    return np.asarray(axes.images[0].get_array())


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
