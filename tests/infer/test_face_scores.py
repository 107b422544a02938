"""The command ``evaluate`` with a network for faces: fusion beside the general network alone."""

import json

import numpy as np
import pytest

from data.pictures.write import save_image
from infer.__main__ import main
from model.dlibface import dlib_face
from model.lpips import lpips
from tests.infer.test_face_commands import FACES, GENERAL, finds, weights

__all__ = ["finds", "weights"]  # fixtures


def evaluate(weights, hr, *arguments):
    models = ["--model", weights / "general.weights.h5", "--hr", hr]
    return main([str(argument) for argument in ["evaluate", *models, *arguments]])


@pytest.mark.slow
def test_evaluate_scores_fusion_beside_the_general_network(weights, finds, tmp_path, capsys):
    finds += FACES
    lpips("squeeze").save_weights(tmp_path / "lpips.weights.h5")
    dlib_face().save_weights(tmp_path / "face.weights.h5")
    folder = tmp_path / "hr"
    folder.mkdir()
    random = np.random.default_rng(5)
    for name in ("a", "b"):
        pixels = random.integers(0, 256, (122, 166, 3)).astype(np.uint8)
        save_image(folder / f"{name}.png", pixels)
    measures = ["--lpips", tmp_path / "lpips.weights.h5"]
    measures += ["--face-features", tmp_path / "face.weights.h5", "--json", tmp_path / "a.json"]
    both = ["--face-model", weights / "face.weights.h5", "--least-px", 5]
    assert evaluate(weights, folder, *both, *measures) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["2", "pictures", "PSNR", "Y", "SSIM", "Y", "PSNR", "RGB", "LPIPS"]
    assert lines[5].split() == ["4", "faces", "PSNR", "RGB", "similarity"]  # too small for LPIPS
    assert [line.split()[0] for line in lines[2:5]] == ["bicubic", "general", "fusion"]
    scores = json.loads((tmp_path / "a.json").read_text())
    mean = scores["mean"]["fusion"]
    faces = scores["pictures"]["a.png"]["fusion"]["faces"]
    assert all(0 < face["similarity"] <= 1 for face in faces)
    assert mean["picture"]["psnr_y_db"] == pytest.approx(float(lines[4].split()[1]), abs=0.01)
    alone = [scores["mean"][who]["faces"]["psnr_rgb_db"] for who in ("general", "fusion")]
    assert alone[0] != alone[1]

    same = ["--face-model", weights / "general.weights.h5", "--least-px", 5]
    assert evaluate(weights, folder, *same) == 0
    general, fusion = (line.split()[1:] for line in capsys.readouterr().out.splitlines()[3:5])
    assert general == fusion


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--face-features", "x"], "--face-features scores fusion; give --face-model too"),
        (["--face-model", "x", "--record", "set"], "--record keeps the scores of one network"),
        (["--face-model", "x", "--self-ensemble"], "has no --self-ensemble"),
        (["--face-model", "x"], "no weights named 'x'"),
    ],
)
def test_evaluate_refuses_in_one_line(weights, tmp_path, capsys, arguments, message):
    assert evaluate(weights, tmp_path, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_missing_face_weights_say_how_to_get_them(weights, finds, tmp_path, capsys, monkeypatch):
    assert not finds
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    models = ["--face-model", weights / "face.weights.h5", "--face-features"]
    assert evaluate(weights, tmp_path, *models, "vggface2-senet50") == 2
    assert "`python -m infer weights get vggface2-senet50`" in capsys.readouterr().err
    assert evaluate(weights, tmp_path, *models, weights / "general.weights.h5") == 2
    assert "face features are of vggface or dlib_face" in capsys.readouterr().err


def test_without_a_name_the_general_network_is_that_of_faces(
    weights, finds, tmp_path, monkeypatch, capsys
):
    named, folder = [], tmp_path / "hr"
    folder.mkdir()
    save_image(folder / "a.png", np.zeros((40, 60, 3), np.uint8))

    def load(name):
        named.append(name)
        return GENERAL

    monkeypatch.setattr("infer.commands.options.load", load)
    words = ["evaluate", "--hr", folder, "--face-model", weights / "face.weights.h5"]
    words += ["--json", tmp_path / "a.json"]
    assert main([str(word) for word in words]) == 0
    assert (
        named[0] == "wdsr-b-32-x4-gan" and "network: wdsr-b-32-x4-gan." in capsys.readouterr().out
    )
    assert json.loads((tmp_path / "a.json").read_text())["model"] == "wdsr-b-32-x4-gan"
