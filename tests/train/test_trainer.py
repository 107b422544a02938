"""Trainers: exact resume, kill -9, NaN, full disk, logs, and the command line."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from data import ImageFolder
from model.edsr import edsr
from model.srgan import discriminator, sr_resnet
from model.wdsr import wdsr_b
from model.weight_file import read_note
from tests.conftest import start_anew
from train import EdsrTrainer, SrganGeneratorTrainer, SrganTrainer, Trainer, WdsrTrainer
from train.__main__ import main
from train.losses import l2_loss
from train.options import TrainerOptions
from train.schedules import Trapezoid
from weights.load import load_model

ROOT = Path(__file__).parents[2]


def small_edsr():
    return edsr(4, num_filters=4, num_res_blocks=1)


TRAINERS = {
    "edsr": lambda d: EdsrTrainer(small_edsr(), d, 1e-3, report=str),
    "wdsr": lambda d: WdsrTrainer(wdsr_b(4, num_filters=4, num_res_blocks=1), d, 1e-3, report=str),
    "srgan-generator": lambda d: SrganGeneratorTrainer(
        sr_resnet(num_filters=4, num_res_blocks=1), d, 1e-3, report=str
    ),
}


@pytest.fixture
def pictures(tmp_path):
    """Two 120×136 pictures with structure to learn."""
    folder = tmp_path / "hr"
    folder.mkdir()
    rows, columns = np.mgrid[:120, :136]
    for i in range(2):
        waves = np.stack(
            [np.sin(rows / (5 + i + c)) + np.cos(columns / (7 - c)) for c in range(3)], 2
        )
        pixels = tf.constant((waves * 60 + 128).astype(np.uint8))
        tf.io.write_file(str(folder / f"{i}.png"), tf.io.encode_png(pixels))
    return ImageFolder(folder, scale=4, caches_dir=tmp_path / "caches")


def all_state(trainer):
    """Every number a run depends on, weights first."""
    state = trainer.checkpoint
    variables = state.model.variables + state.optimizer.variables
    return [np.asarray(v) for v in variables] + [trainer.step, float(state.best_psnr)]


@pytest.mark.parametrize(
    "name",
    ["edsr", *(pytest.param(n, marks=pytest.mark.slow) for n in ("wdsr", "srgan-generator"))],
)
def test_a_resumed_run_is_bit_for_bit_an_uninterrupted_one(name, pictures, tmp_path):
    train_ds, valid_ds = pictures.dataset(2, seed=3), pictures.dataset(1, 1, False)
    start_anew(1)
    whole = TRAINERS[name](tmp_path / "whole")
    whole.train(train_ds, valid_ds, 7, evaluate_every=2)
    start_anew(1)
    ends = train_ds.take(3).filter(lambda *_: True)  # TensorFlow cannot know that it ends
    TRAINERS[name](tmp_path / "parts").train(ends, valid_ds, 7, evaluate_every=2)
    start_anew(2)  # other first weights: the checkpoint's must be taken
    resumed = TRAINERS[name](tmp_path / "parts")
    assert resumed.step == 3
    resumed.train(train_ds, valid_ds, 7, evaluate_every=2)
    for ours, theirs in zip(all_state(resumed), all_state(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_training_lowers_the_loss(pictures, tmp_path):
    trainer = Trainer(small_edsr(), l2_loss, 3e-3, tmp_path, report=str)
    trainer.train(pictures.dataset(4), pictures.dataset(1, 1, False), 60, 20)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60]
    assert lines[2]["loss"] < 0.7 * lines[0]["loss"]
    assert lines[2]["psnr_rgb_db"] > lines[0]["psnr_rgb_db"] + 2
    picture = tf.io.decode_png((tmp_path / "pictures" / "step-0000060.png").read_bytes())
    assert picture.shape == (120, 3 * 136, 3)  # LR, SR and HR side by side
    assert list((tmp_path / "tensorboard").iterdir())


def test_best_weights_are_kept_and_restored(pictures, tmp_path):
    """A rate that jumps after step 4 ruins the network; `restore` goes back."""
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([4], [1e-3, 3.0])
    trainer = EdsrTrainer(small_edsr(), tmp_path, rate, report=str)
    valid_ds = pictures.dataset(1, 1, False)
    trainer.train(pictures.dataset(2), valid_ds, steps=8, evaluate_every=4)
    last = float(trainer.evaluate(valid_ds))
    trainer.restore()
    assert trainer.step == 4 and float(trainer.evaluate(valid_ds)) > last + 1
    trainer.train(pictures.dataset(2), valid_ds, steps=9, evaluate_every=4)
    assert trainer.step == 9  # went on from the last, step 8, not from the best


def test_any_tf_data_set_resumes_exactly(pictures, tmp_path):
    plain = tf.data.Dataset.from_tensor_slices([*range(9)]).map(
        lambda i: (tf.fill((1, 6, 6, 3), 9.0 * tf.cast(i, tf.float32)), tf.zeros((1, 24, 24, 3)))
    )
    start_anew(1)
    whole = EdsrTrainer(small_edsr(), tmp_path / "whole", report=str)
    whole.train(plain, steps=6)
    start_anew(1)
    for steps in (2, 6):
        start_anew(1)
        parts = EdsrTrainer(small_edsr(), tmp_path / "parts", report=str)
        parts.train(plain, steps=steps)
    for ours, theirs in zip(all_state(parts), all_state(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_log_lines_of_a_killed_session_are_written_once(pictures, tmp_path):
    trainer = EdsrTrainer(small_edsr(), tmp_path, report=str)
    trainer.train(pictures.dataset(2), steps=2, evaluate_every=2)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 1.0}\n{"step": 6, "lo')
    trainer.train(pictures.dataset(2), steps=6, evaluate_every=2)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6] and lines[1]["loss"] != 1.0


def test_a_checkpoint_of_another_network_is_refused_and_says_which_layers_differ(
    pictures, tmp_path
):
    EdsrTrainer(small_edsr(), tmp_path, report=str).train(pictures.dataset(2), steps=1)
    other = edsr(4, num_filters=8, num_res_blocks=1)
    with pytest.raises(ValueError, match="networks.num_filters was 4, is 8"):
        EdsrTrainer(other, tmp_path, report=str)
    with pytest.raises(ValueError, match=r"kernel is \(3, 3, 3, 8\) here, \(3, 3, 3, 4\) there"):
        EdsrTrainer(other, tmp_path, options=TrainerOptions(allow_changes=True), report=str)


def test_a_full_disk_leaves_the_last_checkpoint_good(pictures, tmp_path):
    trainer = EdsrTrainer(small_edsr(), tmp_path, report=str)
    trainer.train(pictures.dataset(2), steps=2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # bytes a file may have
    try:
        with pytest.raises((OSError, tf.errors.OpError)):
            trainer.train(pictures.dataset(2), steps=4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    again = EdsrTrainer(small_edsr(), tmp_path, report=str)
    assert again.step == 2
    again.train(pictures.dataset(2), steps=4)
    assert again.step == 4


def test_content_loss_names_are_checked():
    with pytest.raises(ValueError, match="'VGG54', 'VGG22' or a function, got 'VGG33'"):
        SrganTrainer(small_edsr(), discriminator(num_filters=2), "VGG33")


def test_trapezoid_rises_stays_and_falls():
    rate = Trapezoid(2e-3, steps=1000, rise_steps=10, fall_steps=100)
    values = [float(rate(step)) for step in (0, 9, 500, 899, 925, 1000)]
    np.testing.assert_allclose(values, [2e-4, 2e-3, 2e-3, 2e-3, 1e-3, 0], rtol=1e-5, atol=1e-9)
    longer = Trapezoid(2e-3, steps=2000, rise_steps=10, fall_steps=100)
    assert float(longer(500)) == float(rate(500))
    again = Trapezoid.from_config(rate.get_config())
    assert float(again(925)) == float(rate(925))


# --- command line ------------------------------------------------------------------------------


def command(pictures_dir, folder, name="edsr", steps=30, extra=""):
    return (
        f"{name} --hr {pictures_dir} --valid-hr {pictures_dir} --scale 4 --steps {steps} "
        f"--num-filters 4 --num-res-blocks 1 --batch-size 2 --evaluate-every 5 --seed 3 "
        f"--caches-dir {folder}/caches --checkpoint-dir {folder}/run {extra} "
        f"--out {folder}/out.weights.h5"
    ).split()


def start(arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "train", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_ends_with_the_same_weights(pictures, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    hr_dir = tmp_path / "hr"
    assert start(command(hr_dir, whole)).wait(120) == 0
    log = killed / "run" / "metrics.jsonl"
    for lines in (1, 3):  # kill -9 right after the first, then after the third evaluation
        process = start(command(hr_dir, killed))
        while process.poll() is None and not (
            log.exists() and log.read_text().count("\n") >= lines
        ):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(command(hr_dir, killed)).wait(120) == 0
    networks = [load_model(folder / "out.weights.h5") for folder in (whole, killed)]
    for a, b in zip(*(network.get_weights() for network in networks), strict=True):
        np.testing.assert_array_equal(a, b)
    logs = [(folder / "run" / "metrics.jsonl").read_text() for folder in (whole, killed)]
    lines = [[json.loads(line) for line in log.splitlines()] for log in logs]
    assert all(line.pop("session_s") > 0 for line in lines[0] + lines[1])
    assert lines[0] == lines[1]


def test_trained_file_says_what_it_is(pictures, tmp_path):
    assert main(command(tmp_path / "hr", tmp_path, "wdsr-b", 2)) == 0
    note = read_note(tmp_path / "out.weights.h5")
    assert note["builder"] == "wdsr_b" and note["arguments"]["num_filters"] == 4
    assert note["training"]["steps"] == 2 and note["training"]["seed"] == 3
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["sessions"][0]["versions"]["tensorflow"] == tf.__version__
    assert main(["report", str(tmp_path / "run"), "-o", str(tmp_path / "report.png")]) == 0
    assert (tmp_path / "report.png").stat().st_size > 5000
    assert facts["data"]["pictures"] == 2 and facts["recipe"]["trainer"] == "WdsrTrainer"


def test_the_command_says_what_is_wrong(pictures, tmp_path, capsys):
    arguments = command(tmp_path / "hr", tmp_path)
    arguments[arguments.index("--scale") + 1] = "8"
    assert main(arguments) == 2
    assert "error: scale must be 2, 3 or 4 for edsr, got 8" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    arguments = command(tmp_path / "hr", tmp_path)
    arguments[-1] = str(tmp_path / "file" / "out.weights.h5")
    assert main(arguments) == 1
    assert "error: [Errno" in capsys.readouterr().err
    assert main(command(tmp_path / "absent", tmp_path)) == 2
    assert "no folder" in capsys.readouterr().err


@pytest.mark.parametrize("room", ["train", "data", "infer"])
def test_help_does_not_wait_for_tensorflow(room):
    code = (
        "import runpy, sys; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_module('{room}', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules), 'slow import'"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "usage" in result.stdout
