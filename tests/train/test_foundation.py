"""Foundation training, fine-tuning and the study, at the smallest sizes."""

import argparse
import csv
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data.tasks import DamagedPictures, clean_store, rotation
from model.lpips import lpips
from model.restoration import keep_known_pixels, restore, restored
from model.restormer import restormer
from model.weight_file import read_note
from tests.conftest import start_anew
from train.__main__ import main
from train.commands.run import metrics
from train.foundation import (
    FoundationTrainer,
    adamw,
    cosine,
    fine_tune,
    mean_scores,
    progressive_stages,
)
from train.options import TrainerOptions
from train.studies.fine_tuning import Study

SMALLEST = {
    "dim": 4,
    "num_blocks": (1, 0, 0, 0),
    "num_refinement_blocks": 0,
    "heads": (1, 1, 1, 2),
    "mask_aware": True,
}
NAMES = ("gaussian-noise", "inpainting")


@pytest.fixture
def store(tmp_path):
    """Three smooth pictures, 48×56 px."""
    rows, columns = np.mgrid[:48, :56]
    (tmp_path / "clean").mkdir()
    for i in range(3):
        waves = [np.sin(rows / (5 + i + c)) + np.cos(columns / (7 - c)) for c in range(3)]
        pixels = (np.stack(waves, 2) * 60 + 128).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "clean" / f"{i}.png")
    return clean_store([tmp_path / "clean"], tmp_path / "caches", report=str)


def train_ds(store, stages=((0, 16, 2), (5, 24, 1))):
    return rotation([DamagedPictures(name, store) for name in NAMES], stages, every=2)


def valid_ds(store):
    return {name: DamagedPictures(name, store, 1).whole_pictures() for name in NAMES}


def trainer(directory, rate=1e-3):
    return FoundationTrainer(restormer(**SMALLEST), directory, rate, report=str)


def datasets(store, task, train_size, valid_size):
    training = DamagedPictures(task, store, train_size).dataset(1, 16)
    return training, DamagedPictures(task, store, valid_size, seed=1).whole_pictures()


def test_only_damaged_pixels_count_where_there_are_some(tmp_path):
    """The second picture of two has damage: its real pixels are kept anyway, and teach nothing."""
    run = trainer(tmp_path)
    random = np.random.default_rng(6)
    damaged, clean = random.uniform(0, 255, (2, 2, 16, 16, 3)).astype(np.float32)
    valid = np.ones((2, 16, 16, 1), np.float32)
    valid[1, 4:9, 3:12] = 0
    off = np.abs(clean - run.model([damaged, valid]).numpy()) / 255
    expected = np.concatenate([off[0].ravel(), off[1][valid[1, ..., 0] == 0].ravel()]).mean()
    (loss,) = run.losses(*map(tf.constant, (damaged, clean, valid)))
    assert float(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_resumes_in_the_middle_of_a_turn_bit_for_bit(store, tmp_path):
    start_anew(1)
    whole = trainer(tmp_path / "whole")
    whole.train(train_ds(store), None, 7, evaluate_every=4)
    start_anew(1)
    trainer(tmp_path / "parts").train(train_ds(store), None, 3, evaluate_every=4)
    start_anew(2)
    resumed = trainer(tmp_path / "parts")
    assert resumed.step == 3  # the second task has had one step of its two
    resumed.train(train_ds(store), None, 7, evaluate_every=4)
    for part in ("model", "optimizer"):
        pairs = zip(
            getattr(resumed.checkpoint, part).variables,
            getattr(whole.checkpoint, part).variables,
            strict=True,
        )
        for ours, theirs in pairs:
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_learns_and_shows_every_task(store, tmp_path):
    run = trainer(tmp_path, 3e-3)
    run.train(train_ds(store, [(0, 24, 2)]), valid_ds(store), 60, evaluate_every=20)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[2]["loss"] < 0.8 * lines[0]["loss"]
    assert lines[2]["gaussian-noise/psnr_rgb_db"] > lines[0]["gaussian-noise/psnr_rgb_db"]
    per_task = [lines[2][f"{name}/psnr_rgb_db"] for name in NAMES]
    assert lines[2]["psnr_rgb_db"] == pytest.approx(np.mean(per_task))
    assert 0 < lines[2]["inpainting/ssim_rgb"] <= 1
    sheet = np.asarray(Image.open(tmp_path / "pictures" / "step-0000060.png"))
    assert sheet.shape == (2 * 192, 3 * 192, 3)
    assert np.asarray(Image.open(tmp_path / "curves.png")).std() > 5


def test_the_papers_stages_and_smaller_ones():
    stages = progressive_stages(300_000)
    assert stages[0] == (0, 128, 64) and stages[1] == (92_000, 160, 40)
    assert stages[-1] == (276_000, 384, 8)
    small = progressive_stages(3000, px_factor=0.4, batch_factor=1 / 32)
    assert small[0] == (0, 48, 2) and small[-1] == (2760, 152, 1)


def test_learning_rate_and_optimizer_of_the_paper(tmp_path):
    rate = cosine(3e-4, 1e-6, 1000)
    assert [float(rate(step)) for step in (0, 500, 1000)] == pytest.approx(
        [3e-4, 1.505e-4, 1e-6], rel=1e-4
    )
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[1.0], [1.0]])])
    optimizer = adamw(1e-2)
    optimizer.apply([tf.constant([[0.006], [0.008]])], model.trainable_variables)
    np.testing.assert_allclose(model.get_weights()[0], 1 - 1e-2 - 1e-2 * 1e-4, rtol=1e-5)
    assert FoundationTrainer(restormer(**SMALLEST), tmp_path, report=str).options.clip_norm == 0.01


@pytest.mark.slow
def test_fine_tuning_lowers_the_loss_and_needs_no_masks(store, tmp_path):
    model = restormer(**(SMALLEST | {"mask_aware": False}))
    run = fine_tune(
        model,
        "gaussian-noise",
        2,
        30,
        datasets=lambda *arguments: datasets(store, *arguments),
        checkpoint_dir=tmp_path,
        valid_size=1,
        learning_rate=3e-3,
        evaluate_every=10,
        report=str,
    )
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert run.step == 30 and lines[-1]["loss"] < lines[0]["loss"]
    damaged, clean, valid = (part.numpy() for part in next(iter(valid_ds(store)["inpainting"])))
    kept = restored(model, damaged, valid).numpy()[valid[..., 0] == 1]
    np.testing.assert_array_equal(kept, clean[valid[..., 0] == 1])


def test_refuses_more_pictures_than_there_are_and_no_steps(store, tmp_path):
    options = {"datasets": lambda *a: datasets(store, *a), "checkpoint_dir": tmp_path}
    with pytest.raises(ValueError, match="aliasing asks for 80 pictures, but there are 3"):
        fine_tune(restormer(**SMALLEST), "aliasing", 80, 5, **options)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        fine_tune(restormer(**SMALLEST), "aliasing", 1, 0, **options)
    with pytest.raises(ValueError, match="the data set is empty"):
        mean_scores(lambda damaged, _: damaged, [], {})


@pytest.mark.slow
def test_study_goes_on_after_an_interruption_and_writes_tables_and_figures(store, tmp_path):
    interrupted = [True]

    def load_model():
        start_anew(3)
        return restormer(**SMALLEST)

    def once_interrupted(task, train_size, valid_size):
        if train_size == 2 and interrupted:
            raise KeyboardInterrupt(interrupted.pop())
        return datasets(store, task, train_size, valid_size)

    options = {"sizes": ((1, 1), (2, 1)), "sizes_steps": 2, "steps": (2,), "steps_size": (2, 1)}
    options |= {"options": TrainerOptions(precision="mixed_bfloat16")}
    sentences = []
    study = Study(
        load_model, once_interrupted, tmp_path, tasks=NAMES[1:], report=sentences.append, **options
    )
    with pytest.raises(KeyboardInterrupt):
        study.run()
    assert sentences[-1] == "finished inpainting-1-2"
    sentences.clear()
    study.run()
    assert sentences[0] == "inpainting-1-2 is there"
    assert [s for s in sentences if "finished" in s] == ["finished inpainting-2-2"]
    with (tmp_path / "table-2-inpainting.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["train"], row["steps"]) for row in rows] == [("1", "2"), ("2", "2")]
    assert float(rows[1]["psnr_rgb_db fine-tuned"]) > 0
    markdown = (tmp_path / "table-1.md").read_text()
    assert "| inpainting | 2 | 1 | 2 |" in markdown and "**" in markdown
    for name in ("figure-2-inpainting.png", "table-6.png", "table-7.png"):
        assert np.asarray(Image.open(tmp_path / name)).std() > 5


def test_restore_keeps_known_pixels_and_refuses_masks_that_do_not_fit():
    model = restormer(**SMALLEST)
    pictures = np.random.default_rng(1).integers(0, 256, (1, 9, 11, 3), dtype=np.uint8)
    valid = np.ones((1, 9, 11, 1), np.uint8)
    valid[0, 2:5, 3:7] = 0
    kept = restore(model, pictures, valid).numpy()
    free = restore(model, pictures, valid, keep_known=False).numpy()
    np.testing.assert_array_equal(kept, keep_known_pixels(free, pictures, valid))
    np.testing.assert_array_equal(kept[valid[..., 0] == 1], pictures[valid[..., 0] == 1])
    assert (free != kept).any()
    all_real = restore(model, pictures, np.ones_like(valid), keep_known=False)
    np.testing.assert_array_equal(restore(model, pictures), all_real)
    with pytest.raises(
        ValueError, match=r"must have the shape \(1, 9, 11, 1\), got \(1, 11, 9, 1\)"
    ):
        restore(model, pictures, valid.transpose(0, 2, 1, 3))
    with pytest.raises(ValueError, match="knows no masks; build it with mask_aware=True"):
        restore(restormer(**(SMALLEST | {"mask_aware": False})), pictures, valid)


def command(store_dir, tmp_path, *words):
    clean = ["--clean", str(store_dir), "--valid-clean", str(store_dir)]
    return main([*words, *clean, "--caches-dir", str(tmp_path / "caches")])


@pytest.mark.slow
def test_command_lines_from_foundation_to_study(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("model.restormer.restormer_lite", lambda mask_aware: restormer(**SMALLEST))
    clean, out = tmp_path / "clean", tmp_path / "weights"
    for name in ("a_real.png", "a_mean.png"):
        (tmp_path / "polyu").mkdir(exist_ok=True)
        shutil.copy(clean / "0.png", tmp_path / "polyu" / name)
    run_dir = ["--checkpoint-dir", str(tmp_path / "run")]
    mix = ["--mix", "aliasing=3", "--valid-mix", "aliasing=1", "--real", f"polyu={tmp_path}/polyu"]
    small = ["--px-factor", "0.1", "--batch-factor", "0.02", "--rotate-every", "1"]
    small += ["--turns", "aliasing=2"]
    size = ["--dim", "8", "--num-blocks", "1", "0", "0", "0", "--loss", "frequency"]
    words = [
        "foundation",
        "--steps",
        "3",
        *size,
        *mix,
        *small,
        *run_dir,
        "--out",
        f"{out}/f.weights.h5",
    ]
    assert command(clean, tmp_path, *words) == 0
    note = read_note(out / "f.weights.h5")
    assert note["training"]["steps"] == 3 and note["arguments"]["dim"] == 8
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [source["task"] for source in facts["data"]["sources"][:1]] == ["aliasing"]
    assert facts["data"]["turns"] == [2, 1]
    assert facts["recipe"]["loss"] == {"function": "frequency_loss", "weight": 0.1}
    few = ["--model", f"{out}/f.weights.h5", "--crop-px", "16", "--batch-size", "1"]
    sizes = ["--task", "aliasing", "--train-size", "2", "--valid-size", "1", "--steps", "2"]
    tuned = ["--out", f"{out}/t.weights.h5", "--checkpoint-dir", str(tmp_path / "tuning")]
    assert command(clean, tmp_path, "fine-tune", *few, *sizes, *tuned) == 0
    assert (out / "t.weights.h5").exists()
    series = ["--sizes", "1:1", "--sizes-steps", "1", "--steps", "1", "--steps-size", "1:1"]
    series += ["--tasks", "aliasing"]
    monkeypatch.setattr(
        "train.studies.fine_tuning.fine_tune",
        lambda *_, checkpoint_dir, **__: checkpoint_dir.mkdir(parents=True),
    )
    words = ["study", *few, *series, "--out", str(tmp_path / "study")]
    assert command(clean, tmp_path, *words) == 0
    assert (tmp_path / "study" / "table-7.png").exists()
    assert "restored" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--mix", "denoise=3"], "a mix is TASK=NUMBER, with all or gaussian-noise"),
        (["--mix", "all=many"], "got 'all=many'"),
        (["--real", "polyu"], "real pairs are LAYOUT=DIR"),
        (["--turns", "aliasing"], "turns are KIND=NUMBER"),
        (["--mix", "aliasing=1", "--turns", "jpeg=2"], "turns of jpeg, but there are only"),
        ([], "gaussian-noise asks for 400 pictures, but there are 3"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(
    store, tmp_path, capsys, monkeypatch, words, sentence
):
    monkeypatch.setattr("model.restormer.restormer_lite", lambda mask_aware: restormer(**SMALLEST))
    words = ["foundation", "--out", f"{tmp_path}/f.weights.h5", *words]
    assert command(tmp_path / "clean", tmp_path, *words) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_lpips_is_measured_where_a_network_for_it_is_named(tmp_path):
    lpips("squeeze").save_weights(tmp_path / "lpips.weights.h5")
    measured = metrics(argparse.Namespace(lpips=tmp_path / "lpips.weights.h5"))
    clean = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    assert list(measured) == ["psnr_rgb_db", "ssim_rgb", "lpips"]
    assert measured["lpips"](clean, clean) == 0
    assert measured["lpips"](clean, 255 - clean) > 0
    assert list(metrics(argparse.Namespace(lpips=None))) == ["psnr_rgb_db", "ssim_rgb"]
