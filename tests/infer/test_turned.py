"""Things on their side and upside down: found, boxed, fused and told."""

import numpy as np
import pytest

from data.pictures.read import load_image
from data.pictures.write import save_image
from infer.__main__ import main
from infer.detect import Detection, Mtcnn, confirmed, find, turned
from infer.upscaler import upscale
from model.edsr import edsr
from tests.infer.test_detect import LABELLED, drawn_girl, overlap
from tests.infer.test_fuse import nearest

SPECIAL = edsr(2, 4, 2)


def flag(quarters=0):
    """Red above blue, 20 px wide and 26 high, turned clockwise by quarters."""
    upright = np.zeros((26, 20, 3), np.uint8)
    upright[:13], upright[13:] = (220, 20, 20), (20, 20, 220)
    return np.rot90(upright, -quarters)


def wall(*flags):
    """Flags, as (quarters, top, left), on grey."""
    picture = np.full((83, 101, 3), 110, np.uint8)
    for quarters, top, left in flags:
        drawn = flag(quarters)
        picture[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return picture


def flags_upright(picture):
    """Boxes of the flags that are upright: a column that is red and below blue."""
    channels = picture.astype(int)
    red, blue = (channels[..., a] - channels[..., b] > 100 for a, b in ((0, 2), (2, 0)))
    tops = np.flatnonzero((red[:-1] & blue[1:]).any(axis=1))
    for row in tops:
        columns = np.flatnonzero(red[row] & blue[row + 1])
        width = columns[-1] - columns[0] + 1
        height = 26 * width / 20
        yield Detection(columns[0], row + 1 - height / 2, width, height, 0.95)


@pytest.mark.parametrize(("quarters", "angle_deg"), [(0, 0), (1, 90), (2, 180), (3, -90)])
def test_what_is_turned_is_found_where_it_is(quarters, angle_deg):
    (box,) = find(turned(flags_upright), wall((quarters, 17, 40)), least_px=5)
    assert (box.angle_deg, box.width, box.height) == (angle_deg, 20, 26)
    there = box.upright()
    height, width = flag(quarters).shape[:2]
    np.testing.assert_allclose(
        (there.top, there.left, there.height, there.width), (17, 40, height, width), atol=1e-9
    )


def test_others_are_looked_for_where_none_is_upright_or_always():
    both = wall((0, 3, 5), (1, 50, 60))
    assert [box.angle_deg for box in find(turned(flags_upright), both, least_px=5)] == [0]
    everything = find(turned(flags_upright, always=True), both, least_px=5)
    assert [box.angle_deg for box in everything] == [0, 90]
    unsure = turned(flags_upright, least_confidence=0.96)
    assert len(find(unsure, both, least_px=5)) == 2


def test_of_finds_in_one_place_the_likeliest_is_kept():
    looks = iter([[], [(10, 10, 20, 26)], [(13, 50, 20, 26)], []])
    sure = iter([0.92, 0.98])

    def detect(_):
        return [Detection(*box, next(sure)) for box in next(looks)]

    (box,) = turned(detect)(np.zeros((83, 101, 3), np.uint8))
    assert (box.angle_deg, box.confidence) == (180, 0.98)


@pytest.mark.parametrize(("words", "found"), [([], 1), (["--turned"], 2)])
def test_faces_that_are_turned_are_fused_and_told(tmp_path, monkeypatch, capsys, words, found):
    monkeypatch.setattr("infer.detect.Mtcnn", lambda least_px: flags_upright)
    monkeypatch.setattr("infer.detect.confirmed", lambda detect: detect)
    nearest().save_weights(tmp_path / "plain.weights.h5")
    SPECIAL.save_weights(tmp_path / "special.weights.h5")
    image = wall((1, 50, 60), *([(0, 3, 5)] if words else []))
    save_image(tmp_path / "a.png", image)
    files = [tmp_path / "a.png", "-o", tmp_path / "b.png", "--model", tmp_path / "plain.weights.h5"]
    files += ["--face-model", tmp_path / "special.weights.h5", "--least-px", 10, *words]
    assert main([str(word) for word in ["faces", *files]]) == 0
    out = capsys.readouterr().out
    assert f"{found} face{'s' if found > 1 else ''} found" in out
    assert "40 × 52 px" in out and "turned by 90°" in out
    made, special = load_image(tmp_path / "b.png").astype(int), upscale(SPECIAL, image)
    there = (slice(100, 140), slice(120, 172))  # of the turned flag, enlarged
    assert np.abs(made[there] - special[there]).max() <= 1
    assert (made[:80, 100:] == 110).all()


@pytest.mark.slow
def test_real_faces_are_found_upside_down(shared):
    name = "2008_001009.jpg"
    photograph = load_image(shared / "data" / "faces" / name)
    height, width = photograph.shape[:2]
    detect = turned(confirmed(Mtcnn()))
    found = find(detect, np.ascontiguousarray(photograph[::-1, ::-1]))
    assert [box.angle_deg for box in found] == [180] * len(LABELLED[name])
    for left, top, side in LABELLED[name]:
        there = Detection(width - left - side, height - top - side, side, side)
        assert max(overlap(there, box.upright()) for box in found) > 0.4


@pytest.mark.slow
def test_drawn_faces_are_none_in_any_direction():
    detect = turned(confirmed(Mtcnn()), always=True)
    for px in (130, 256):
        assert find(detect, drawn_girl(px)) == []
