"""The command ``faces``: what it prints, writes and refuses."""

import re

import numpy as np
import pytest

from data.pictures.read import load_image
from data.pictures.write import save_image
from infer.__main__ import main
from infer.detect import Detection
from infer.fusion import Fusion, Specialist
from infer.fusion_masks import MaskOptions
from infer.upscaler import Upscaler, upscale
from model.dlibface import dlib_face
from model.edsr import edsr
from model.precision import in_half
from model.wdsr import wdsr_b
from model.weight_file import write_note
from tests.infer.test_detect import drawn_girl, smiley
from weights.load import load_model

GENERAL, FACE = edsr(2, 5, 1), edsr(2, 4, 2)
FACES = [Detection(50, 40, 20, 30, 0.987), Detection(120, 80, 20.4, 30, 0.95)]


def picture(*channels, dtype=np.uint8):
    values = np.random.default_rng(5).uniform(0, np.iinfo(dtype).max, (61, 83, *channels))
    return values.astype(dtype)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Options that name the two networks, and a face network of another scale."""
    folder = tmp_path_factory.mktemp("weights")
    GENERAL.save_weights(folder / "general.weights.h5")
    FACE.save_weights(folder / "face.weights.h5")
    edsr(3, 4, 1).save_weights(folder / "x3.weights.h5")
    return folder


def run(weights, *arguments, face="face"):
    models = ["--model", weights / "general.weights.h5", "--face-model"]
    arguments = [
        "faces",
        "--overwrite",
        *arguments,
        *models,
        weights / f"{face}.weights.h5",
        "--least-px",
        5,
    ]
    return main([str(argument) for argument in arguments])


@pytest.fixture
def finds(monkeypatch):
    """What a stand-in for MTCNN finds in every picture: to be filled by the test."""
    boxes = []
    monkeypatch.setattr("infer.detect.Mtcnn", lambda least_px: lambda searched: boxes)
    monkeypatch.setattr("infer.detect.confirmed", lambda detect: detect)
    return boxes


def test_command_prints_the_faces_and_writes_picture_and_mask(weights, finds, tmp_path, capsys):
    finds += FACES
    save_image(tmp_path / "a.png", picture(3))
    files = [tmp_path / "a.png", "-o", tmp_path / "out.png", "--save-mask", tmp_path / "mask.png"]
    assert run(weights, *files) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}/a.png: 2 faces found\n"
        "  0: 20 × 30 px at (50, 40), confidence 0.987\n"
        "  1: 20 × 30 px at (120, 80), confidence 0.950\n"
    )
    specialist = Specialist(Upscaler(FACE), lambda _: FACES)
    fuse = Fusion(Upscaler(GENERAL), [specialist], MaskOptions(least_px=5))
    made = fuse(picture(3))
    difference = load_image(tmp_path / "out.png").astype(int) - made.pixels
    assert np.abs(difference).max() <= 1
    np.testing.assert_array_equal(load_image(tmp_path / "mask.png"), np.rint(255 * made.mask))
    assert run(weights, *files, "--faces", "1") == 0
    mask = load_image(tmp_path / "mask.png")
    assert mask[90, 130] == 255 and mask[50, 60] == 0


def test_masks_spare_what_is_there(weights, finds, tmp_path, capsys):
    finds += FACES
    (tmp_path / "in").mkdir()
    save_image(tmp_path / "in" / "a.png", picture(3))
    (tmp_path / "mine.png").write_text("precious")
    models = ["--model", weights / "general.weights.h5", "--face-model"]
    models += [weights / "face.weights.h5"]
    for source, out, mask, sentence in (
        ("in/a.png", "out.png", "mine.png", "mine.png is there already"),
        ("in", "out", "mine.png", "masks of several pictures need a folder to go to, got"),
        ("in", "out", "out", "masks would take the names of pictures in"),
    ):
        files = [tmp_path / source, "-o", tmp_path / out, "--save-mask", tmp_path / mask]
        assert main([str(word) for word in ["faces", *files, *models]]) == 2
        assert sentence in capsys.readouterr().err
    assert (tmp_path / "mine.png").read_text() == "precious"


def test_command_says_that_there_is_no_face(weights, finds, tmp_path, capsys):
    assert not finds
    save_image(tmp_path / "a.png", picture(3))
    assert run(weights, tmp_path / "a.png", "-o", tmp_path / "out.png") == 0
    assert "no face found, so the result is the general network's" in capsys.readouterr().out
    difference = load_image(tmp_path / "out.png").astype(int) - upscale(GENERAL, picture(3))
    assert np.abs(difference).max() <= 1


def test_cartoons_are_exactly_the_general_networks(tmp_path, capsys):
    """With MTCNN itself."""
    edsr(4, 3, 1).save_weights(tmp_path / "face.weights.h5")  # would spoil whatever it is used for
    (tmp_path / "in").mkdir()
    save_image(tmp_path / "in" / "girl.png", drawn_girl(64))
    save_image(tmp_path / "in" / "smiley.png", smiley(100))
    pictures = [tmp_path / "in", "--model", "wdsr-b-32-x4"]
    commands = [
        ["faces", *pictures, "-o", tmp_path / "a", "--face-model", tmp_path / "face.weights.h5"],
        ["upscale", *pictures, "-o", tmp_path / "b"],
    ]
    for command in commands:
        assert main([str(argument) for argument in command]) == 0
    assert capsys.readouterr().out.count("no face found, so the result is the general") == 2
    for name in ("girl.png", "smiley.png"):
        fused, plain = (load_image(tmp_path / folder / name) for folder in "ab")
        np.testing.assert_array_equal(fused, plain)


def test_command_takes_folders_and_skips_what_is_done(weights, finds, tmp_path, capsys):
    finds += FACES
    (tmp_path / "in").mkdir()
    save_image(tmp_path / "in" / "grey.png", picture())
    save_image(tmp_path / "in" / "deep.png", picture(3, dtype=np.uint16))
    folders = [tmp_path / "in", "-o", tmp_path / "out", "--save-mask", tmp_path / "masks"]
    assert run(weights, *folders) == 0
    assert "2 done, 0 skipped" in capsys.readouterr().out
    assert load_image(tmp_path / "out" / "deep.png").dtype == np.uint16
    assert load_image(tmp_path / "out" / "grey.png").shape == (122, 166)
    assert sorted(f.name for f in (tmp_path / "masks").iterdir()) == ["deep.png", "grey.png"]
    assert run(weights, *folders) == 0
    assert "0 done, 2 skipped" in capsys.readouterr().out
    assert run(weights, *folders, "--match-colour") == 0
    assert "2 done, 0 skipped" in capsys.readouterr().out


def test_command_refuses_in_one_line(weights, finds, tmp_path, capsys):
    finds += FACES
    save_image(tmp_path / "a.png", picture(3))
    save_image(tmp_path / "b.png", picture(3))
    one = [tmp_path / "a.png", "-o", tmp_path / "out.png"]
    both = [tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out"]
    cases = [
        (run(weights, *one, face="x3"), "both networks must have one scale, got ×2"),
        (run(weights, *one, face="nowhere"), "no weights named"),
        (run(weights, *one, "--faces", "2"), "there is no face 2; found were 0 to 1"),
        (run(weights, *both, "--faces", "0"), "--faces chooses in one picture, got 2"),
        (run(weights, *one, "--least-confidence", "2"), "least_confidence must be in 0..1"),
    ]
    lines = capsys.readouterr().err.splitlines()
    assert [status for status, _ in cases] == [2] * len(cases)
    for (_, message), line in zip(cases, lines, strict=True):
        assert line.startswith("error: ") and message in line


def test_command_without_a_bundled_face_network_says_what_to_give(
    weights, finds, tmp_path, capsys, monkeypatch
):
    assert not finds
    monkeypatch.setattr("infer.commands.specialists.FACE_NETWORK", "not there")
    save_image(tmp_path / "a.png", picture(3))
    files = [tmp_path / "a.png", "-o", tmp_path / "out.png"]
    arguments = ["faces", *files, "--model", weights / "general.weights.h5"]
    assert main([str(argument) for argument in arguments]) == 2
    assert "no network for faces is bundled: give --face-model" in capsys.readouterr().err


def test_without_names_the_command_takes_two_bundled_sharp_networks(finds, tmp_path, monkeypatch):
    named = []

    def load(name):
        named.append(name)
        return GENERAL

    monkeypatch.setattr("infer.commands.options.load", load)
    save_image(tmp_path / "a.png", picture(3))
    files = [str(tmp_path / "a.png"), "-o", str(tmp_path / "out.png")]
    files += ["--overwrite"]
    assert not finds and main(["faces", *files]) == 0
    assert named == ["wdsr-b-32-x4-gan", "wdsr-b-32-x4-faces-gan"]


def test_faces_that_are_too_small_are_told_and_left(weights, finds, tmp_path, capsys):
    finds += [*FACES, Detection(5, 5, 90, 85, 0.99)]
    save_image(tmp_path / "a.png", picture(3))
    files = ["--overwrite", tmp_path / "a.png", "-o", tmp_path / "out.png", "--least-px", 25]
    models = ["--model", weights / "general.weights.h5"]
    models += ["--face-model", weights / "face.weights.h5"]
    assert main([str(word) for word in ["faces", *files, *models]]) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}/a.png: 1 face found\n"
        "  0: 90 × 85 px at (5, 5), confidence 0.990\n"
        "  left to the general network: 20 × 30 px at (120, 80), confidence 0.950\n"
        "  left to the general network: 20 × 30 px at (50, 40), confidence 0.987\n"
    )


@pytest.mark.slow
def test_fidelity_is_between_two_networks_and_likeness_is_printed(
    finds, tmp_path, capsys, monkeypatch
):
    """With small networks under the names of the bundled ones."""
    face = "wdsr-b-32-x4-faces"
    networks = {name: edsr(4, 3, 1) for name in (face, f"{face}-gan")}
    networks["wdsr-b-32-x4"] = edsr(4, 4, 1)
    monkeypatch.setattr("infer.commands.options.load", lambda name: networks[name])
    finds += [Detection(80, 60, 60, 70, 0.99)]
    dlib_face().save_weights(tmp_path / "features.weights.h5")
    image = picture(3)[:50, :60]
    save_image(tmp_path / "a.png", image)

    def made(*arguments, name=f"{face}-gan"):
        words = ["faces", "--overwrite", tmp_path / "a.png", "-o", tmp_path / "out.png"]
        words += ["--model", "wdsr-b-32-x4", "--face-model", name, *arguments]
        assert main([str(word) for word in words]) == 0
        return load_image(tmp_path / "out.png").astype(int)

    gentlest, sharpest = made(name=face), made()
    assert np.abs(sharpest - gentlest).max() > 9
    assert np.abs(made("--fidelity", 0) - gentlest).max() <= 1
    halfway = made("--fidelity", 0.5)
    assert np.abs(halfway - gentlest).max() > 1 and np.abs(halfway - sharpest).max() > 1
    capsys.readouterr()
    made("--likeness", tmp_path / "features.weights.h5")
    assert re.search(r"confidence 0.990, likeness \d\.\d{4}\n", capsys.readouterr().out)
    least = ("--likeness", tmp_path / "features.weights.h5", "--least-likeness", 1)
    assert np.abs(made(*least) - gentlest).max() <= 1
    assert ", 4 steps gentler, below the least\n" in capsys.readouterr().out


def test_fidelity_needs_a_pair_and_the_least_likeness_a_judge(weights, finds, tmp_path, capsys):
    save_image(tmp_path / "a.png", picture(3))
    files = [tmp_path / "a.png", "-o", tmp_path / "out.png"]
    for more, message in (
        (["--fidelity", "0.5"], "has none: --face-model wdsr-b-32-x4-faces-gan has"),
        (["--least-likeness", "0.9"], "--least-likeness needs --likeness"),
    ):
        assert run(weights, *files, *more) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["--full-precision"]])
def test_both_networks_compute_in_the_precision_that_upscale_would_take(
    finds, tmp_path, monkeypatch, words
):
    monkeypatch.setattr("infer.variants.half_type", lambda: "bfloat16")
    networks = []
    for name in ("general", "face"):
        file = tmp_path / f"{name}.weights.h5"
        wdsr_b(2, 8, num_res_blocks=2).save_weights(file)
        write_note(file, {"half_loss_db": 0.001})
        network = load_model(file)
        networks.append(network if words else in_half(network, "bfloat16", in_place=True))
        network.freeze()
    finds += FACES
    save_image(tmp_path / "a.png", picture(3))
    models = ["--model", tmp_path / "general.weights.h5", "--face-model"]
    models += [tmp_path / "face.weights.h5", "--least-px", 5]
    files = [tmp_path / "a.png", "-o", tmp_path / "out.png"]
    assert main([str(word) for word in ["faces", *files, *models, *words]]) == 0
    general, face = map(Upscaler, networks)
    made = Fusion(general, [Specialist(face, lambda _: FACES)], MaskOptions(least_px=5))(picture(3))
    np.testing.assert_array_equal(load_image(tmp_path / "out.png"), made.pixels)
