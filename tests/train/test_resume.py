"""A run that is killed again and again ends with the numbers of one that never was."""

import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from data import ImageFolder
from model.edsr import edsr
from model.srgan import discriminator
from tests.conftest import start_anew
from train import EdsrTrainer, SrganTrainer, Trainer, TrainerOptions

STEPS, KILLS = 56, 20
ALL_STATE = TrainerOptions(ema_decay=0.9, clip_norm=1.0, accumulate=2, precision="mixed_float16")


def mean_colour_loss(hr, sr):
    """A content loss without VGG: squared difference of mean colours."""
    return tf.reduce_mean(tf.square(tf.reduce_mean(hr, (1, 2)) - tf.reduce_mean(sr, (1, 2)))) / 99


def small_edsr():
    return edsr(4, num_filters=4, num_res_blocks=1)


def gan(folder, options=ALL_STATE):
    return SrganTrainer(
        small_edsr(),
        discriminator(num_filters=2),
        mean_colour_loss,
        1e-3,
        folder,
        options=options,
        report=str,
    )


def run(folder):
    """Train a GAN with every kind of state, a checkpoint after each step; not traced, for speed."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.run_functions_eagerly(True)
    start_anew(1)
    pictures = ImageFolder(folder.parent / "hr", scale=4, caches_dir=folder.parent / "caches")
    trainer = gan(folder)
    # GanTrainer.train has no such option: its papers' runs save every five minutes
    Trainer.train(
        trainer, pictures.dataset(2, seed=3), None, STEPS, evaluate_every=8, checkpoint_every_s=0
    )


@pytest.fixture
def hr(tmp_path):
    """Two pictures with structure to learn, in tmp_path/hr."""
    (tmp_path / "hr").mkdir()
    rows, columns = np.mgrid[:120, :136]
    for i in range(2):
        waves = [np.sin(rows / (5 + i + c)) + np.cos(columns / (7 - c)) for c in range(3)]
        pixels = tf.constant((np.stack(waves, 2) * 60 + 128).astype(np.uint8))
        tf.io.write_file(str(tmp_path / "hr" / f"{i}.png"), tf.io.encode_png(pixels))
    return ImageFolder(tmp_path / "hr", scale=4, caches_dir=tmp_path / "caches", report=str)


def saved_state(folder):
    """Every number of the last checkpoint, by name."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(folder / "last"))
    names = set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    return {name: reader.get_tensor(name) for name in names if "save_counter" not in name}


def kill_at_a_random_moment(process, folder, chance):
    """Kill after one or two more checkpoints: at once, or when the next is half written."""
    last, before = folder / "last", saved_steps(folder / "last")
    wanted = before + chance.randint(1, 2)
    while process.is_alive() and saved_steps(last) < wanted:
        time.sleep(0.001)
    in_the_middle = chance.random() < 0.6
    while process.is_alive() and in_the_middle and not unfinished(last):
        pass
    time.sleep(0 if in_the_middle else chance.random() * 0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return bool(unfinished(last))


def saved_steps(last):
    state = tf.train.get_checkpoint_state(str(last))
    return int(state.model_checkpoint_path.rsplit("-", 1)[1]) if state else 0


def unfinished(last):
    """What a checkpoint is made of before it has its name."""
    return [name for name in os.listdir(last) if "temp" in name] if last.is_dir() else []


@pytest.mark.slow
def test_killed_twenty_times_also_while_saving_a_gan_ends_bit_for_bit_the_same(hr, tmp_path):
    len(hr)  # build the store once
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.train.test_resume"])
    whole, killed, chance = tmp_path / "whole", tmp_path / "killed", random.Random(5)

    def start(folder):
        process = context.Process(target=run, args=(folder,))
        process.start()
        return process

    start(whole).join()
    while_saving = sum(kill_at_a_random_moment(start(killed), killed, chance) for _ in range(KILLS))
    assert while_saving >= 3 and saved_steps(killed / "last") < STEPS
    last = start(killed)
    last.join()
    assert last.exitcode == 0
    ours, theirs = saved_state(killed), saved_state(whole)
    assert ours.keys() == theirs.keys() and int(ours["step/.ATTRIBUTES/VARIABLE_VALUE"]) == STEPS
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    logs = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (killed, whole)]
    for our_line, their_line in zip(*logs, strict=True):
        assert json.loads(our_line) | {"session_s": 0} == json.loads(their_line) | {"session_s": 0}


@pytest.mark.slow
def test_all_state_of_a_traced_gan_resumes_bit_for_bit(hr, tmp_path):
    for folder, stops in (("whole", [5]), ("parts", [2, 3, 5])):
        for stop in stops:
            start_anew(1)
            gan(tmp_path / folder).train(hr.dataset(2, seed=3), None, stop, evaluate_every=5)
    ours, theirs = saved_state(tmp_path / "parts"), saved_state(tmp_path / "whole")
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_a_truncated_checkpoint_gives_way_to_the_one_before(hr, tmp_path):
    sentences = []
    trainer = EdsrTrainer(small_edsr(), tmp_path / "run", report=sentences.append)
    trainer.train(hr.dataset(2), steps=4, evaluate_every=2)
    data = tmp_path / "run" / "last" / "ckpt-4.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    again = EdsrTrainer(small_edsr(), tmp_path / "run", report=sentences.append)
    assert again.step == 2
    assert any("ckpt-4 cannot be read" in s and "taking the one before" in s for s in sentences)
    again.train(hr.dataset(2), steps=4, evaluate_every=2)
    assert EdsrTrainer(small_edsr(), tmp_path / "run", report=str).step == 4
    for file in itertools.chain((tmp_path / "run" / "last").glob("*.index")):
        file.write_bytes(b"")
    with pytest.raises(OSError, match="no checkpoint of .* can be read; remove them to begin anew"):
        EdsrTrainer(small_edsr(), tmp_path / "run", report=str)


def test_other_arguments_are_refused_with_what_differs_and_what_to_do(hr, tmp_path):
    EdsrTrainer(small_edsr(), tmp_path / "run", 1e-3, report=str).train(hr.dataset(2), steps=1)
    with pytest.raises(ValueError, match=r"learning_rate was 0.001, is 0.01\. Resume with what"):
        EdsrTrainer(small_edsr(), tmp_path / "run", 1e-2, report=str)
    same = EdsrTrainer(small_edsr(), tmp_path / "run", 1e-3, report=str)
    with pytest.raises(ValueError, match=r"batch_size was 2, is 3"):
        same.train(hr.dataset(3), steps=2)
    sentences, changes = [], TrainerOptions(allow_changes=True)
    changed = EdsrTrainer(
        small_edsr(), tmp_path / "run", 1e-2, options=changes, report=sentences.append
    )
    changed.train(hr.dataset(3), steps=2)
    assert changed.step == 2 and sum("resuming with the change" in s for s in sentences) == 2


def test_pictures_that_changed_under_a_run_are_refused(hr, tmp_path):
    EdsrTrainer(small_edsr(), tmp_path / "run", report=str).train(hr.dataset(2), steps=1)
    shutil.copy(tmp_path / "hr" / "0.png", tmp_path / "hr" / "2.png")
    more = ImageFolder(tmp_path / "hr", scale=4, caches_dir=tmp_path / "caches", report=str)
    again = EdsrTrainer(small_edsr(), tmp_path / "run", report=str)
    with pytest.raises(ValueError, match=r"pictures was 2, is 3; digest was .*--allow-changes"):
        again.train(more.dataset(2), steps=2)


def test_a_folder_that_cannot_be_written_to_is_said_at_once(hr, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        EdsrTrainer(small_edsr(), tmp_path / "file" / "run", report=str)
