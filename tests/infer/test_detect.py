"""MTCNN against hand-made boxes, dogs and crowds; what is dropped, padded and clipped."""

import cv2
import numpy as np
import pytest

from data.pictures.read import load_image
from infer.detect import Detection, Mtcnn, confirmed, find

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


def smiley(px):
    """A drawn face: a disc, two dots and an arc."""
    page = np.full((px, px, 3), (120, 190, 250), np.uint8)
    ellipse(page, (50, 50), (40, 40), (255, 215, 40))
    for x in (36, 64):
        ellipse(page, (x, 42), (4, 7), (40, 30, 10))
    ellipse(page, (50, 52), (22, 20), (120, 20, 20), 20, 160, width=2)
    return page


def drawn_girl(px):
    """A drawn face with the proportions of a real one."""
    hair, skin, lips = (90, 50, 20), (250, 215, 185), (190, 40, 50)
    page = np.full((px, px, 3), (205, 225, 200), np.uint8)
    ellipse(page, (50, 42), (34, 36), hair)
    page[round(0.42 * px) : round(0.8 * px), round(0.2 * px) : round(0.8 * px)] = hair
    page[round(0.7 * px) : round(0.9 * px), round(0.43 * px) : round(0.57 * px)] = skin
    ellipse(page, (50, 110), (34, 26), (60, 90, 190))
    ellipse(page, (50, 52), (26, 30), skin)
    ellipse(page, (50, 28), (26, 12), hair)
    for x in (39, 61):
        ellipse(page, (x, 50), (7, 8), (255, 255, 255))
        ellipse(page, (x, 51), (4, 6), (30, 60, 120))
        ellipse(page, (x - 1, 49), (1.6, 1.6), (255, 255, 255))
        ellipse(page, (x, 41), (8, 3), (60, 30, 10), 180, 360, width=2)
    ellipse(page, (50, 59), (2, 3), (200, 150, 120), 90, 270, width=1.5)
    ellipse(page, (50, 66), (10, 7), lips, 10, 170, width=2)
    return page


def ellipse(page, centre, axes, colour, start=0, end=360, width=None):
    """Draw in place; all lengths in hundredths of the side, angles in degrees; filled or a line."""
    (x, y), (a, b) = ((round(n * len(page) / 100) for n in numbers) for numbers in (centre, axes))
    line = -1 if width is None else max(1, int(width * len(page) / 100))
    cv2.ellipse(page, (x, y), (a, b), 0, start, end, colour, line, cv2.LINE_AA)


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
        assert max(overlap(Detection(left, top, side, side), box) for box in found) > 0.4
    assert [box.left for box in found] == sorted(box.left for box in found)
    assert all(0.9 <= box.confidence <= 1 for box in found)


def test_dogs_are_no_faces(shared, mtcnn):
    assert find(mtcnn, load_image(shared / "data" / "faces" / "dogs.jpg"), least_px=20) == []


def test_drawn_faces_are_none_if_looked_at_twice():
    detect = Mtcnn()
    assert all(find(detect, smiley(px)) == [] for px in range(100, 300, 40))
    for px in (130, 190, 256):
        assert find(detect, drawn_girl(px)) != []
        assert find(confirmed(detect), drawn_girl(px)) == []


@pytest.mark.parametrize("name", LABELLED)
def test_real_faces_are_found_in_another_size_too(shared, mtcnn, name):
    photograph = load_image(shared / "data" / "faces" / name)
    twice = find(confirmed(mtcnn), photograph, least_px=20)
    assert len(twice) == len(LABELLED[name])
    for once, box in zip(find(mtcnn, photograph, least_px=20), twice, strict=True):
        assert (box.left, box.top) == (once.left, once.top) and box.confidence <= once.confidence


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
        Detection(50, 10, 40, 41, 0.95),
        Detection(-10, 5, 43, 47, 0.99),
        Detection(20, 10, 40, 41, 0.89),
        Detection(20, 10, 40, 31, 0.99),
        Detection(95, 10, 40, 41, 0.99),  # 6 px of it are in the picture
        Detection(-60, 10, 40, 41, 0.99),
    ]
    found = find(lambda picture: boxes, np.zeros((53, 101, 3), np.uint8))
    assert found == [Detection(0, 5, 33, 47, 0.99), Detection(50, 10, 40, 41, 0.95)]


def test_padding_is_a_share_of_each_side_and_ends_at_the_border():
    box = Detection(30, 10, 20, 40, 0.5).padded(0.3, height=57, width=101)
    assert box == Detection(24, 0, 32, 57, 0.5)
