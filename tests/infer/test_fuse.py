"""Specialists of any kind: masks of any direction, faulty detectors, and the command ``fuse``."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from data.pictures.read import load_image
from data.pictures.write import save_image
from infer.__main__ import main
from infer.detect import Detection
from infer.fusion import Fusion, Specialist
from infer.fusion_masks import MaskOptions, TurnedMask
from infer.upscaler import Upscaler, upscale
from model.edsr import edsr

GENERAL, SPECIAL, OTHER = edsr(2, 5, 1), edsr(2, 4, 2), edsr(2, 3, 1)
DOCS = Path(__file__).parents[2] / "docs" / "faces.md"
SIGN = (slice(20, 50), slice(40, 60))  # of the picture below, a red sign: top 20, left 40 px


def photograph():
    """A grey wall with one red sign."""
    picture = np.full((61, 83, 3), 110, np.uint8)
    picture[SIGN] = (220, 20, 30)
    return picture


def nearest():
    """A network that repeats each pixel, so that detectors see what they would in a photograph."""
    network = edsr(2, 3, 1)
    for layer in network.layers:
        if layer.weights:
            kernel, bias = (np.zeros(weight.shape) for weight in layer.weights)
            for out in range(kernel.shape[3]):
                kernel[1, 1, out % 3, out] = 1
            layer.set_weights([kernel, bias])
    body = [layer for layer in network.layers if layer.weights][1:4]
    for layer in body:
        layer.set_weights([np.zeros(weight.shape) for weight in layer.weights])
    return network


def fusion(*detectors, options=None):
    networks = (SPECIAL, OTHER)
    specialists = [
        Specialist(Upscaler(network), detect, name)
        for network, detect, name in zip(networks, detectors, ("sign", "plate"), strict=False)
    ]
    return Fusion(Upscaler(GENERAL), specialists, options or MaskOptions(least_px=5))


@pytest.mark.parametrize("angle_deg", [0, 30, -75, 180])
def test_a_turned_mask_is_a_turned_box_blurred(angle_deg):
    box, sigma = Detection(50, 60, 70, 20, angle_deg=angle_deg), 0.15 * 20
    mask = TurnedMask(box, 150, 170, MaskOptions(padding=0.5, softness=0.15))
    grown = Detection(50 - 10, 60 - 10, 70 + 20, 20 + 20, angle_deg=angle_deg)
    drawn = np.zeros((150 * 8, 170 * 8), np.uint8)
    cv2.fillPoly(drawn, [np.rint(8 * grown.corners() - 0.5).astype(int)], 255)
    drawn = cv2.resize(drawn, (170, 150), interpolation=cv2.INTER_AREA) / 255
    whole = np.zeros((150, 170))
    there = mask.support
    whole[there.y0 : there.y1, there.x0 : there.x1] = mask.weights()
    np.testing.assert_allclose(whole, gaussian_filter(drawn, sigma), atol=0.03)
    assert (whole[drawn == 1] > 0).all() and whole.min() == 0 and whole.max() == 1


def test_corners_of_a_turned_box_go_clockwise_from_its_own_upper_left():
    box = Detection(10, 30, 40, 20, angle_deg=90)  # its text runs downwards
    np.testing.assert_allclose(box.corners(), [(40, 20), (40, 60), (20, 60), (20, 20)], atol=1e-9)
    upright = box.upright()
    assert (upright.left, upright.top, upright.width, upright.height) == (20, 20, 20, 40)


def test_a_turned_box_is_fused_and_nothing_else_is():
    image, box = photograph(), Detection(50, 60, 70, 20, angle_deg=30)
    turned = Specialist(Upscaler(SPECIAL), lambda _: [box], "line", TurnedMask)
    made = Fusion(Upscaler(GENERAL), [turned], MaskOptions(least_px=5))(image)
    general, special = upscale(GENERAL, image), upscale(SPECIAL, image)
    np.testing.assert_array_equal(made.pixels[made.mask == 0], general[made.mask == 0])
    assert made.mask[70, 85] == 1
    np.testing.assert_allclose(made.pixels[70, 85], special[70, 85], atol=1)
    outside = Specialist(
        Upscaler(SPECIAL), lambda _: [Detection(400, 0, 9, 9, angle_deg=3)], "line", TurnedMask
    )
    made = Fusion(Upscaler(GENERAL), [outside], MaskOptions(least_px=5))(image)
    np.testing.assert_array_equal(made.pixels, general)


def test_boxes_may_be_plain_numbers():
    made = fusion(lambda _: [(80, 40, 40, 60), np.array([5, 5, 20, 20, 0.95])])(photograph())
    assert made.found == [
        Detection(5, 5, 20, 20, 0.95, label="sign"),
        Detection(80, 40, 40, 60, 1.0, label="sign"),
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_detector_may_look_at_what_its_own_network_makes(dtype):
    seen, image = [], photograph()
    look = Specialist(Upscaler(SPECIAL), lambda p: seen.append(p.copy()) or [], in_own=True)
    Fusion(Upscaler(GENERAL), [look])(image.astype(dtype) * (257 if dtype == np.uint16 else 1))
    np.testing.assert_allclose(seen[0], upscale(SPECIAL, image), atol=dtype == np.uint16)
    assert (seen[0] != upscale(GENERAL, image)).mean() > 0.5


def _fails(_):
    raise KeyError("no such layer")


@pytest.mark.parametrize(
    ("detect", "message"),
    [
        (_fails, r"sign: the detector failed on 166 × 122 px: KeyError: 'no such layer'"),
        (lambda _: [Detection(float("nan"), 0, 9, 9)], "sign: a detector must give .* finite"),
        (lambda _: [(1, 2, 3)], r"sign: a detector must give .* got \(1, 2, 3\)"),
        (lambda _: 5, "sign: the detector failed on 166 × 122 px: TypeError"),
    ],
)
def test_a_faulty_detector_is_named(detect, message):
    with pytest.raises(ValueError, match=message):
        fusion(detect)(photograph())


def test_small_finds_are_left_to_the_general_network_and_told():
    made = fusion(lambda _: [(80, 40, 40, 60), (5, 5, 20, 9)], options=MaskOptions(least_px=10))(
        photograph()
    )
    assert [box.height for box in made.found] == [60]
    assert [box.height for box in made.left] == [9]
    np.testing.assert_array_equal(
        made.pixels[5:14, 5:25], upscale(GENERAL, photograph())[5:14, 5:25]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with networks, a picture, and the detector that the docs show."""
    folder = tmp_path_factory.mktemp("fuse")
    for name, network in (("plain", nearest()), ("special", SPECIAL), ("other", OTHER)):
        network.save_weights(folder / f"{name}.weights.h5")
    edsr(3, 4, 1).save_weights(folder / "x3.weights.h5")
    save_image(folder / "a.png", photograph())
    (code,) = re.findall(r"```python\n(# signs\.py\n.*?)```", DOCS.read_text(), re.DOTALL)
    (folder / "signs.py").write_text(code)
    (folder / "two.py").write_text(
        "def all(picture):\n    return [(70, 30, 60, 80)]\n\n\ndef nan(picture):\n"
        "    return [(float('nan'), 0, 9, 9)]\n\n\nnumber = 5\n"
    )
    return folder


def run(folder, monkeypatch, *specialists, out="out.png", model="plain.weights.h5"):
    monkeypatch.chdir(folder)
    words = [word for text in specialists for word in ("--specialist", text)]
    words += ["--model", model] if model else []
    return main(["fuse", "a.png", "-o", out, "--least-px", "5", "--overwrite", *words])


def test_the_documented_detector_finds_signs(folder, monkeypatch, capsys):
    assert run(folder, monkeypatch, "sign=signs.py:find,special.weights.h5") == 0
    assert capsys.readouterr().out.startswith("a.png: 1 sign found\n  0: ")
    made = load_image(folder / "out.png").astype(int)
    general = upscale(nearest(), photograph())
    special = upscale(SPECIAL, photograph())
    assert np.abs(made[60:80, 90:110] - special[60:80, 90:110]).max() <= 1
    assert np.abs(made[:10] - general[:10]).max() <= 1


def test_of_two_specialists_the_later_one_lies_on_top(folder, monkeypatch, capsys):
    both = ["sign=signs:find,special.weights.h5", "area=two:all,other.weights.h5"]
    centre = (slice(60, 80), slice(90, 110))
    for order, network in ((both, OTHER), (both[::-1], SPECIAL)):
        assert run(folder, monkeypatch, *order) == 0
        made = load_image(folder / "out.png").astype(int)
        assert np.abs(made[centre] - upscale(network, photograph())[centre]).max() <= 1
    out = capsys.readouterr().out
    assert "a.png: 1 sign, 1 area found\n" in out and "  1: area, 60 × 80 px at (70, 30)" in out


@pytest.mark.parametrize(
    ("specialists", "message"),
    [
        (["sign=two.py:nan,special.weights.h5"], "sign: a detector must give"),
        (["sign=two.py:none,special.weights.h5"], "no detector two.py:none: module 'two'"),
        (["sign=nowhere:find,special.weights.h5"], "no detector nowhere:find: No module named"),
        (["sign=two.py:number,special.weights.h5"], "must be a function of a picture, got two.py"),
        (["sign=two.py:all,x3.weights.h5"], "one scale, got ×2 (general) and ×3 (sign)"),
        (["sign=two.py:all,absent"], "no weights named 'absent'"),
        (["sign=two.py:all,special.weights.h5"] * 2, "each specialist may be given once"),
    ],
)
def test_refuses_in_one_line(folder, monkeypatch, capsys, specialists, message):
    assert run(folder, monkeypatch, *specialists) in (1, 2)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("text", ["cats", "cats,x.h5", "sign=signs.py:find", "sign=find,x.h5"])
def test_an_unknown_specialist_lists_what_there_is(folder, monkeypatch, capsys, text):
    with pytest.raises(SystemExit) as stopped:
        run(folder, monkeypatch, text)
    assert stopped.value.code == 2
    assert "must be faces, text or NAME=MODULE:FUNCTION,WEIGHTS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("specialists", "general"),
    [
        (["sign=signs.py:find,wdsr-b-8-x4"], "wdsr-b-32-x4"),
        (["sign=signs.py:find,wdsr-b-8-x4", "faces"], "wdsr-b-32-x4-gan"),
    ],
)
def test_where_no_faces_are_looked_for_the_general_network_invents_nothing(
    folder, monkeypatch, capsys, specialists, general
):
    assert run(folder, monkeypatch, *specialists, model=None) == 0
    assert f"{general} for a.png " in capsys.readouterr().err


def test_text_without_a_bundled_network_says_what_to_give(folder, monkeypatch, capsys):
    monkeypatch.setattr("infer.commands.specialists.TEXT_NETWORK", "not there")
    assert run(folder, monkeypatch, "text") == 2
    assert "no network for text is bundled: give text,FILE" in capsys.readouterr().err
