"""MTCNN against hand-made boxes, dogs and crowds; what is dropped, padded and clipped."""

import numpy as np
import pytest

from infer.detect import Box, Mtcnn, find, padded
from infer.image import load_image

# left, top, side: boxes of dlib's examples/faces/training.xml for these two photographs. The
# photographs that testing.xml names are not in the shared folder.
LABELLED = {
    "2007_007763.jpg": [
        (194, 90, 37),
        (158, 114, 37),
        (381, 89, 44),
        (94, 198, 37),
        (178, 214, 37),
        (294, 86, 37),
        (309, 233, 44),
    ],
    "2008_001009.jpg": [(145, 79, 76), (125, 214, 90)],
}


def overlap(a, b):
    """Intersection over union of two boxes."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    common = max(width, 0) * max(height, 0)
    return common / (a.width * a.height + b.width * b.height - common)


@pytest.fixture(scope="module")
def mtcnn():
    return Mtcnn(least_px=20)


@pytest.mark.parametrize("name", LABELLED)
def test_finds_the_labelled_faces_and_no_other(shared, mtcnn, name):
    found = find(mtcnn, load_image(shared / "data" / "faces" / name), least_px=20)
    assert len(found) == len(LABELLED[name])
    for left, top, side in LABELLED[name]:
        assert max(overlap(Box(left, top, side, side), box) for box in found) > 0.4
    assert [box.left for box in found] == sorted(box.left for box in found)
    assert all(0.9 <= box.confidence <= 1 for box in found)


def test_dogs_are_no_faces(shared, mtcnn):
    assert find(mtcnn, load_image(shared / "data" / "faces" / "dogs.jpg"), least_px=20) == []


def test_a_shrunk_search_gives_boxes_in_the_pictures_own_px(shared):
    picture = load_image(shared / "data" / "faces" / "2008_001009.jpg")
    whole, shrunk = (find(Mtcnn(least_px), picture) for least_px in (20, 50))
    assert len(whole) == len(shrunk) == 2
    assert all(overlap(a, b) > 0.7 for a, b in zip(whole, shrunk, strict=True))


@pytest.mark.parametrize("size", [(7, 5), (13, 301), (61, 59)])
def test_nothing_is_found_in_noise_or_specks(mtcnn, size):
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    assert find(mtcnn, picture) == []


def test_unlikely_small_and_outer_boxes_are_dropped_and_the_others_clipped():
    boxes = [
        Box(50, 10, 40, 41, 0.95),
        Box(-10, 5, 43, 47, 0.99),
        Box(20, 10, 40, 41, 0.89),
        Box(20, 10, 40, 31, 0.99),
        Box(95, 10, 40, 41, 0.99),  # 6 px of it are in the picture
        Box(-60, 10, 40, 41, 0.99),
    ]
    found = find(lambda picture: boxes, np.zeros((53, 101, 3), np.uint8))
    assert found == [Box(0, 5, 33, 47, 0.99), Box(50, 10, 40, 41, 0.95)]


def test_padding_is_a_share_of_each_side_and_ends_at_the_border():
    box = padded(Box(30, 10, 20, 40, 0.5), height=57, width=101, padding=0.3)
    assert box == Box(24, 0, 32, 57, 0.5)
