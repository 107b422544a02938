"""The command ``train text``: from fonts and photographs to a network for text."""

import importlib.util
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import tensorflow as tf

from data.pictures.write import save_image
from model.wdsr import wdsr_b
from tests.conftest import start_anew
from train.__main__ import main
from train.text import TextTrainer, level_lines, reading_loss
from weights.load import load_model

FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


def train_text(folder, out, *more):
    """Run the command on one grey photograph with a tiny network; returns its exit status."""
    (folder / "photos").mkdir(exist_ok=True)
    save_image(folder / "photos" / "a.png", np.full((60, 70, 3), 180, np.uint8))
    words = ["text", "--hr", folder / "photos", "--fonts", FONT, "--texts", 2, "--font-px", 12, 20]
    words += ["--num-res-blocks", 1, "--num-filters", 4, "--hr-crop-px", 32, "--batch-size", 2]
    words += ["--damage", "mild", "--caches-dir", folder / "c", "--out", out, *more]
    return main([str(word) for word in words])


def test_text_is_drawn_and_trained_on(tmp_path, capsys):
    out = tmp_path / "text.weights.h5"
    more = ["--valid-hr", tmp_path / "photos", "--steps", 2, "--checkpoint-dir", tmp_path / "run"]
    assert train_text(tmp_path, out, *more) == 0
    assert "psnr_rgb_db" in capsys.readouterr().out
    network = load_model(out)
    assert network.name.startswith("wdsr") and network.built_by.arguments["scale"] == 4


def test_refuses_fonts_that_are_none(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    save_image(tmp_path / "photos" / "a.png", np.full((60, 70, 3), 180, np.uint8))
    words = ["text", "--hr", tmp_path / "photos", "--fonts", tmp_path / "photos", "--steps", 1]
    words += ["--checkpoint-dir", tmp_path / "run", "--out", tmp_path / "a.weights.h5"]
    assert main([str(word) for word in words]) == 2
    assert "no font with Latin letters in" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(word) for word in [*words, "--lr", tmp_path / "photos"]])


@pytest.mark.slow
def test_the_recogniser_is_trained_with_and_resumes_exactly(tmp_path, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("rapidocr_onnxruntime")
    read = ["--recogniser-weight", "0.5", "--evaluate-every", "1"]
    outs = [tmp_path / f"{name}.weights.h5" for name in "ab"]
    for steps, out in ((2, outs[0]), (1, outs[1]), (2, outs[1])):
        start_anew(1)
        folder = tmp_path / f"run-{out.name[0]}"
        extend = ["--extend"] if steps == 2 and folder.exists() else []
        run = ["--steps", steps, "--learning-rate", "1e-3", "--schedule", "constant", *extend]
        assert train_text(tmp_path, out, *read, *run, "--checkpoint-dir", folder) == 0
    assert "reading_loss" in capsys.readouterr().out
    for a, b in zip(*(load_model(out).get_weights() for out in outs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_onnx_the_reading_loss_tells_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    out = tmp_path / "a.weights.h5"
    assert train_text(tmp_path, out, "--recogniser-weight", "1", "--steps", "1") == 2
    error = capsys.readouterr().err
    assert "pip install 'whole-pictures[text]'" in error and error.count("\n") == 1


@pytest.mark.parametrize("angle_deg", [0, 20, 180])
def test_lines_become_level(angle_deg):
    turn = np.radians(angle_deg)
    along = np.array([np.cos(turn), np.sin(turn)])
    down = np.array([-along[1], along[0]])
    start = np.array([60, 50]) - 40 * along - 12 * down  # 80 × 24 px around (60, 50)
    line = start + np.array([0 * down, 80 * along, 80 * along + 24 * down, 24 * down])
    y, x = np.mgrid[:101, :121]
    picture = np.stack([(x - 60) * c[0] + (y - 50) * c[1] for c in (along, down, along)], -1) + 100
    level = level_lines(tf.constant(picture[None], tf.float32), line[None]).numpy()[0]
    assert level.shape == (48, 192, 3)
    rows, columns = np.mgrid[:48, :160] / 2  # px of the line, whose height is doubled
    right, below = (side.sum() / 2 for side in (along, down))  # half a pixel of the picture
    across, downwards = columns - 39.75 - right, rows - 11.75 - below
    expected = np.stack([across, downwards, across], axis=-1) + 100
    np.testing.assert_allclose(127.5 * (level[:, :160] + 1), expected, atol=0.3)
    assert not level[:, 160:].any()


class Stripes:
    """Stands for a recogniser: mean colours of six columns."""

    def __call__(self, lines):
        return tf.reduce_mean(tf.reshape(lines, (-1, 48, 6, 32, 3)), axis=(1, 3))

    def get_config(self):
        return {}


def test_the_reading_loss_asks_for_the_same_text_where_a_line_is():
    hr = tf.random.stateless_uniform((2, 32, 40, 3), [1, 2], 0, 255)
    line = [[4, 6], [36, 6], [36, 22], [4, 22]]
    lines = tf.constant([line, [[0, 0]] * 4])
    assert float(reading_loss(Stripes(), hr, hr, lines)) == pytest.approx(0, abs=1e-5)
    sr = tf.Variable(hr * [0.5, 1.0, 1.0])
    with tf.GradientTape() as tape:
        loss = reading_loss(Stripes(), hr, sr, lines)
    slope = tape.gradient(loss, sr).numpy()
    assert float(loss) > 0 and np.isfinite(slope).all()
    assert slope[0, 6:22, 4:36].any() and not slope[0, 24:].any() and not slope[1].any()
    true, made = (tf.nn.softmax(Stripes()(level_lines(x, lines)[:1])).numpy() for x in (hr, sr))
    distances = np.square(np.sqrt(true) - np.sqrt(made)).sum(axis=2) / 2
    assert float(loss) == pytest.approx(distances.sum() / 2, rel=1e-3)


def test_a_reading_loss_needs_lines(tmp_path):
    network = wdsr_b(4, num_filters=2, num_res_blocks=1)
    trainer = TextTrainer(network, tmp_path, 1e-3, recogniser=Stripes(), weight=1.0, report=str)
    with pytest.raises(ValueError, match="needs batches of .lr, hr, lines., got .lr, hr."):
        trainer.losses(tf.zeros((1, 8, 8, 3)), tf.zeros((1, 32, 32, 3)))
