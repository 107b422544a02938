"""Text: error rates by hand, lines found where they were written, and a missing package."""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from data.pictures.write import save_image
from infer.__main__ import main
from infer.fusion import Fusion
from infer.text import Text, character_error_rate, specialist
from infer.upscaler import Upscaler, upscale
from model.edsr import edsr


def page(angle_deg=0):
    """Two words on white, and where they are."""
    picture = np.full((160, 320, 3), 245, np.uint8)
    cv2.putText(picture, "HARBOUR 42", (40, 95), cv2.FONT_HERSHEY_DUPLEX, 1.3, (20, 30, 60), 2)
    turn = cv2.getRotationMatrix2D((160, 80), -angle_deg, 1)
    return cv2.warpAffine(picture, turn, (320, 160), borderValue=(245, 245, 245))


@pytest.mark.parametrize(
    ("true", "read", "rate"),
    [
        ("harbour", "harbour", 0),
        ("harbour 42", "harbour42", 0),
        ("harbour", "harbor", 1 / 7),
        ("tea", "lea", 1 / 3),
        ("ab", "xxxxx", 5 / 2),
        ("tea", "", 1),
        (["tea", "harbour"], ["te", "harbours"], 2 / 10),
    ],
)
def test_character_error_rate(true, read, rate):
    assert character_error_rate(true, read) == pytest.approx(rate)


def test_an_error_rate_needs_letters():
    with pytest.raises(ValueError, match="at least one true letter"):
        character_error_rate(" ", "a")


def test_a_missing_package_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    edsr(2, 4, 1).save_weights(tmp_path / "net.weights.h5")
    save_image(tmp_path / "a.png", page())
    files = [tmp_path / "a.png", "-o", tmp_path / "b.png", "--model", tmp_path / "net.weights.h5"]
    words = ["fuse", *files, "--specialist", f"text,{tmp_path / 'net.weights.h5'}"]
    assert main([str(word) for word in words]) == 1
    error = capsys.readouterr().err
    assert "pip install 'whole-pictures[text]'" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "found", "left"),
    [
        ([], 2, 0),
        (["--least-px", 50], 1, 1),
        (["--least-confidence", 0.7], 1, 0),
        (["--least-px", 5, "--least-confidence", 0.1], 3, 0),
    ],
)
def test_the_least_size_and_confidence_are_of_text_too(
    tmp_path, monkeypatch, capsys, words, found, left
):
    """With a stand-in for the recogniser; without the options lines of 12 px and 0.4 are used."""
    lines = [(20, 10, 60, 0.9), (80, 20, 30, 0.6), (120, 30, 10, 0.3)]  # top, left, height, sure
    results = [
        [[(x, y), (x + 150, y), (x + 150, y + h), (x, y + h)], "words", sure]
        for y, x, h, sure in lines
    ]
    engine = SimpleNamespace(RapidOCR=lambda **_: lambda *_, **__: (results, None))
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", engine)
    edsr(2, 4, 1).save_weights(tmp_path / "net.weights.h5")
    save_image(tmp_path / "a.png", page()[:80, :160])
    files = [tmp_path / "a.png", "-o", tmp_path / "b.png", "--model", tmp_path / "net.weights.h5"]
    words = ["fuse", *files, "--specialist", f"text,{tmp_path / 'net.weights.h5'}", *words]
    assert main([str(word) for word in words]) == 0
    out = capsys.readouterr().out
    assert f" {found} text line" in out and out.count("left to the general network") == left


@pytest.mark.parametrize("angle_deg", [0, 12])
def test_lines_are_found_turned_and_read(angle_deg):
    pytest.importorskip("rapidocr_onnxruntime")
    text, picture = Text(), page(angle_deg)
    (line,) = text.find(picture)
    assert line.angle_deg == pytest.approx(angle_deg, abs=3) and line.confidence > 0.8
    assert 200 < line.width < 290 and 25 < line.height < 60
    assert character_error_rate("HARBOUR 42", text.read(picture, line.corners())) < 0.15
    assert text.find(np.full((90, 90, 3), 200, np.uint8)) == []


def test_text_is_fused_and_the_rest_is_the_general_networks():
    pytest.importorskip("rapidocr_onnxruntime")
    from tests.infer.test_fuse import nearest

    image = cv2.resize(page(5), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    special = nearest()
    last = [layer for layer in special.layers if layer.weights][-1]
    last.set_weights([0.9 * weight for weight in last.get_weights()])
    made = Fusion(Upscaler(nearest()), [specialist(Upscaler(special))])(image)
    assert [box.label for box in made.found] == ["text line"]
    general = upscale(nearest(), image)
    np.testing.assert_array_equal(made.pixels[made.mask == 0], general[made.mask == 0])
    there = made.mask == 1
    assert 4000 < there.sum() < 25000
    np.testing.assert_allclose(made.pixels[there], upscale(special, image)[there], atol=1)
