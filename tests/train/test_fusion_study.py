"""The fusion study and the commands of ESRGAN, with the smallest networks."""

import csv
import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from data.pictures.write import save_image
from infer.detect import Detection
from model.dlibface import dlib_face
from model.edsr import edsr
from model.lpips import lpips
from model.metrics import psnr
from model.weight_file import read_note
from tests.conftest import start_anew
from train import losses
from train.__main__ import main
from train.commands.esrgan import interpolate
from train.gan import Adversary
from train.studies.fusion import FACE_LOSS, FUSION, FusionStudy, Recipe, write_table
from weights.load import load_model


def new_networks():
    """EDSR of one block in place of RRDBNet, and a discriminator of one layer."""
    start_anew(3)
    layers = [keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()]
    return edsr(4, 2, 1), keras.Sequential([*layers, keras.layers.Dense(1)])


def read(path):
    return list(csv.reader(path.read_text().splitlines()))


def face_loss(hr, sr):
    return tf.reduce_mean(tf.abs(hr - sr))


RECIPE = Recipe(new_networks, losses.l2_loss, face_loss, 2, 3, (1e-3, 1e-2))
UNSTEADY = Adversary(weight=0.02, alone_steps=1, ramp_steps=2)


@pytest.fixture
def sets():
    """Three training sets of different pictures, and two test sets."""
    random = np.random.default_rng(4)

    def batches(count, size):
        hr = random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
        return tf.data.Dataset.from_tensor_slices((hr[:, ::4, ::4], hr)).batch(1)

    train_sets = {name: batches(2, 16).repeat() for name in ("general", "faces", "both")}
    return train_sets, {"general": batches(3, 28), "faces": batches(2, 20)}


def study(sets, directory, recipe=RECIPE, said=None):
    fused = []

    def fuse(general, face):
        fused.append([network.get_weights() for network in (general, face)])
        return lambda lr: tf.repeat(tf.repeat(lr, 4, axis=1), 4, axis=2)

    said = [] if said is None else said
    metrics = {"psnr_db": psnr, "face_similarity": lambda hr, sr: tf.ones(len(hr))}
    run = FusionStudy(recipe, *sets, fuse, metrics, directory, report=said.append)
    run.run()
    return run, fused


@pytest.mark.slow
def test_trains_scores_and_writes_every_variant_once(sets, tmp_path):
    said = []
    run, fused = study(sets, tmp_path, said=said)
    assert run.variants == ["general", "faces", "both", FACE_LOSS, FUSION]
    weights = {}
    for name in run.trained:
        model = edsr(4, 2, 1)
        model.load_weights(tmp_path / f"{name.replace(', ', '-').replace(' ', '-')}.weights.h5")
        weights[name] = np.concatenate([w.ravel() for w in model.get_weights()])
    for a in run.trained:
        for b in run.trained:
            assert (a == b) == np.array_equal(weights[a], weights[b])
    general, face = ([w.ravel() for w in part] for part in fused[0])
    np.testing.assert_array_equal(np.concatenate(general), weights["general"])
    np.testing.assert_array_equal(np.concatenate(face), weights[FACE_LOSS])

    rows = read(tmp_path / "table-1.csv")
    assert rows[0] == ["variant", "general psnr_db", "faces psnr_db", "faces face_similarity"]
    assert [row[0] for row in rows[1:]] == run.variants
    lr_hr = list(sets[1]["faces"])
    nearest = [psnr(hr, tf.repeat(tf.repeat(lr, 4, axis=1), 4, axis=2)) for lr, hr in lr_hr]
    assert float(rows[-1][2]) == pytest.approx(np.mean(nearest), rel=1e-5)
    assert (tmp_path / "figure-1.png").exists()

    before = len(said)
    table = (tmp_path / "table-1.md").read_text()
    again, _ = study(sets, tmp_path, said=said)
    assert said[before:] == [] and (tmp_path / "table-1.md").read_text() == table
    (tmp_path / "scores" / "both.json").unlink()
    again.run()
    assert said[before:] == ["scored both"] and (tmp_path / "table-1.md").read_text() == table


def test_without_a_face_loss_fusion_takes_the_plain_face_network(sets, tmp_path):
    for name in ("general", "faces", "both"):
        edsr(4, 2, 1).save_weights(tmp_path / f"{name}.weights.h5")
    recipe = Recipe(new_networks, losses.l2_loss, None, 1, 1)
    run, fused = study(sets, tmp_path, recipe)
    assert run.variants == ["general", "faces", "both", FUSION]
    model = edsr(4, 2, 1)
    model.load_weights(tmp_path / "faces.weights.h5")
    for a, b in zip(fused[0][1], model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_results_of_another_budget_are_not_taken_for_these(sets, tmp_path):
    (tmp_path / "budget.json").write_text(json.dumps(RECIPE.budget | {"gan_steps": 9}))
    with pytest.raises(ValueError, match="has results with gan_steps 9, not 3: take another fol"):
        study(sets, tmp_path)
    other = dataclasses.replace(RECIPE, gan_steps=9, adversary=UNSTEADY)
    with pytest.raises(ValueError, match="has results with adversary .*'weight': 0.005"):
        study(sets, tmp_path, other)


def test_given_rates_fall_to_zero_at_the_end():
    recipe = Recipe(new_networks, losses.l2_loss, None, 50, 100, (1e-3, 1e-2))
    for stage, peak, steps in ((0, 1e-3, 50), (1, 1e-2, 100)):
        rates = [float(recipe.rate(stage)(step)) for step in range(steps + 1)]
        assert max(rates) == pytest.approx(peak) and rates[-1] == 0
        assert rates[steps * 3 // 5] == pytest.approx(peak)
        assert rates[steps * 4 // 5] < 0.5 * peak
    assert Recipe(new_networks, losses.l2_loss, None, 1, 1).rate(0) is None


def test_the_table_marks_the_best(tmp_path):
    scores = {
        "a": {"faces": {"psnr_db": 20.0, "lpips": 0.3}},
        "b": {"faces": {"psnr_db": 21.0, "lpips": 0.4}},
    }
    write_table(tmp_path / "t", scores)
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert lines[0] == "| variant | faces psnr_db | faces lpips |"
    assert lines[2:4] == ["| a | 20.00 | **0.3000** |", "| b | **21.00** | 0.4000 |"]


def test_refuses_stages_without_steps():
    with pytest.raises(ValueError, match="both stages must have steps, got 3 and 0"):
        Recipe(new_networks, losses.l2_loss, None, 3, 0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Pictures, and a stand-in for MTCNN that finds a face in the middle of each."""
    random = np.random.default_rng(3)
    (tmp_path / "hr").mkdir()
    for i in range(2):
        low = random.integers(0, 256, (12, 14, 3)).astype(np.uint8)
        save_image(tmp_path / "hr" / f"{i}.png", low.repeat(16, axis=0).repeat(16, axis=1))

    def finds(least_px=None):
        return lambda searched: [Detection(40, 40, 80, 90)] if min(searched.shape[:2]) > 130 else []

    monkeypatch.setattr("infer.detect.Mtcnn", finds)
    lpips("squeeze").save_weights(tmp_path / "lpips.weights.h5")
    dlib_face().save_weights(tmp_path / "face.weights.h5")
    return tmp_path


def run(folder, command, *arguments):
    shared = ["--hr", folder / "hr", "--caches-dir", folder / "caches", "--hr-crop-px", 64]
    arguments = [command, *shared, "--batch-size", 2, *arguments]
    return main([str(argument) for argument in arguments])


def status(*words):
    """Exit status of a command, also of one that cannot be read."""
    try:
        return run(*words)
    except SystemExit as ended:
        return ended.code


@pytest.mark.slow
def test_commands_train_both_stages_on_faces(folder):
    network = ["--num-filters", 2, "--num-blocks", 1, "--num-growth", 2]
    first, second = folder / "psnr.weights.h5", folder / "gan.weights.h5"
    runs = ["--faces", "--steps", 1, "--evaluate-every", 1]
    data = ["--valid-hr", folder / "hr", "--checkpoint-dir", folder / "a"]
    assert run(folder, "esrgan-generator", *runs, *network, *data, "--out", first) == 0
    assert read_note(first)["training"]["ema_decay"] == 0.999
    given = ["--generator", first, "--discriminator-filters", 2, "--checkpoint-dir", folder / "b"]
    given += ["--lpips", folder / "lpips.weights.h5"]
    given += ["--face-features", folder / "face.weights.h5", "--out", second]
    assert run(folder, "esrgan", *runs, *given) == 0
    line = json.loads((folder / "b" / "metrics.jsonl").read_text().splitlines()[-1])
    assert {"generator_loss", "discriminator_loss", "content", "face"} <= line.keys()
    a, b = (load_model(file).get_weights() for file in (first, second))
    assert any((x != y).any() for x, y in zip(a, b, strict=True))
    model = load_model(second)
    interpolate(model, load_model(first), 0.25)
    for x, y, z in zip(a, b, model.get_weights(), strict=True):
        np.testing.assert_allclose(z, 0.75 * x + 0.25 * y, rtol=1e-5, atol=1e-7)
    adversary = ["--discriminator", "unet", "--alone-steps", 1, "--ramp-steps", 4, "--augment"]
    given = ["--generator", first, "--discriminator-filters", 2, "--checkpoint-dir", folder / "c"]
    given += ["--lpips", folder / "lpips.weights.h5", "--adversarial-weight", 0.25]
    assert run(folder, "esrgan", *runs, *given, *adversary, "--out", second) == 0
    noted = json.loads((folder / "c" / "run.json").read_text())["recipe"]["adversary"]
    assert noted == {"weight": 0.25, "alone_steps": 1, "ramp_steps": 4, "augment": True}
    for x, y in zip(a, load_model(second).get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)  # the discriminator had its one step alone


class Spy:
    """Stands in for the study, which is tested above, and keeps what it was given."""

    def __init__(self, *parts):
        type(self).parts = parts

    def run(self):
        """Do nothing."""


def test_command_hands_the_study_its_parts(folder, monkeypatch):
    monkeypatch.setattr("train.studies.fusion.FusionStudy", Spy)
    begin = edsr(4, 2, 1)
    begin.save_weights(folder / "begin.weights.h5")
    given = ["--valid-hr", folder / "hr", "--face-hr", folder / "hr"]
    given += ["--valid-faces", folder / "hr", "--generator", folder / "begin.weights.h5"]
    given += ["--discriminator-filters", 1, "--lpips", folder / "lpips.weights.h5"]
    given += ["--face-features", folder / "face.weights.h5", "--learning-rates", 1e-4, 2e-4]
    given += ["--pixel-weight", 1, "--adversarial-weight", 0.02, "--alone-steps", 1]
    given += ["--ramp-steps", 2, "--precision", "mixed_bfloat16"]
    given += ["--psnr-steps", 1, "--gan-steps", 2, "--out", folder / "study"]
    assert run(folder, "fusion-study", *given) == 0
    recipe, train_sets, test_sets, fuse, metrics, directory = Spy.parts
    assert (recipe.psnr_steps, recipe.gan_steps, recipe.learning_rates) == (1, 2, (1e-4, 2e-4))
    assert recipe.pixel_weight == 1 and recipe.adversary == UNSTEADY
    assert recipe.options.precision == "mixed_bfloat16"
    generator, discriminator = recipe.new_networks()
    for a, b in zip(generator.get_weights(), begin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    again = recipe.new_networks()[1].get_weights()
    for a, b in zip(discriminator.get_weights(), again, strict=True):
        np.testing.assert_array_equal(a, b)
    for batches in train_sets.values():
        lr, hr = next(iter(batches))
        assert lr.shape == (2, 16, 16, 3) and hr.shape == (2, 64, 64, 3)
    assert list(train_sets) == ["general", "faces", "both"]
    lr, hr = next(iter(test_sets["faces"]))
    assert fuse(begin, generator)(lr).shape == hr.shape
    assert list(metrics) == ["psnr_rgb_db", "ssim_rgb", "lpips", "face_similarity"]
    assert recipe.face_loss is not None and directory == folder / "study"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--faces", "--hr", "a", "b"], "faces are taken from one folder, got 2"),
        (["--discriminator", "unet", "--hr-crop-px", "60"], "must be a multiple of 8 for a U-Net"),
        (["--interpolate", "2"], "argument --interpolate: must be in 0..1, got '2'"),
        (["--lpips", "nowhere"], "no weights named 'nowhere'"),
        (["--generator", "nowhere"], "no weights named 'nowhere'"),
        (["--face-features", "begin.h5"], "face features are of vggface or dlib_face"),
    ],
)
def test_commands_refuse_in_one_line(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    edsr(4, 2, 1).save_weights(folder / "begin.h5")
    given = ["--generator", "begin.h5", "--lpips", "lpips.weights.h5", "--steps", 1]
    given += ["--discriminator-filters", 1, "--out", "x.weights.h5", *arguments]
    assert status(folder, "esrgan", *given) == 2
    error = capsys.readouterr().err.splitlines()
    assert message in error[-1] and error[-1].startswith("error: ")
