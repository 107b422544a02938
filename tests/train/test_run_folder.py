"""The folder of a run: names, damaged or missing files, one owner, signals, where it resumes."""

import json
import os
import signal
import threading
import time

import filelock
import numpy as np
import pytest
import tensorflow as tf

from model.edsr import edsr
from tests.conftest import start_anew
from train import Trainer, TrainerOptions
from train.losses import l1_loss
from train.schedules import Trapezoid


def batches():
    """Endless batches, all different."""
    random = np.random.default_rng(2)
    hr = random.integers(0, 256, (5, 2, 14, 22, 3), np.uint8)
    return tf.data.Dataset.from_tensor_slices((hr[:, :, ::2, ::2], hr)).repeat()


def trainer(directory, rate=1e-3, said=None, **options):
    start_anew(1)
    model = edsr(2, num_filters=4, num_res_blocks=1)
    report = str if said is None else said.append
    options = TrainerOptions(**options)
    return Trainer(model, l1_loss, rate, directory, options=options, report=report)


def train(directory, steps, rate=1e-3, **options):
    run = trainer(directory, rate, **options)
    run.train(batches(), steps=steps, evaluate_every=2)
    return run


def assert_equal(ours, theirs):
    for part in ("model", "optimizer"):
        pairs = zip(
            getattr(ours.checkpoint, part).variables,
            getattr(theirs.checkpoint, part).variables,
            strict=True,
        )
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)


def test_a_name_that_is_a_pattern_is_refused_at_the_start(tmp_path):
    with pytest.raises(ValueError, match=r"none of \[ \] \* \? .* got .*run \[x2\]"):
        trainer(tmp_path / "run [x2]")


@pytest.mark.parametrize("content", [None, "", "garbage", "cut"])
def test_checkpoints_are_found_without_tensorflows_state_file(content, tmp_path):
    whole = train(tmp_path / "whole", 4)
    train(tmp_path / "run", 2)
    state = tmp_path / "run" / "last" / "checkpoint"
    if content == "cut":
        content = state.read_text()[:20]
    state.unlink() if content is None else state.write_text(content)
    resumed = trainer(tmp_path / "run")
    assert resumed.step == 2
    resumed.train(batches(), steps=4, evaluate_every=2)
    assert_equal(resumed, whole)
    assert [p.name for p in (tmp_path / "run" / "last").glob("*.index")]


@pytest.mark.parametrize("content", ["", '{"recipe": {', "[]"])
def test_a_damaged_run_json_is_named_with_the_way_out(content, tmp_path):
    train(tmp_path, 2)
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        trainer(tmp_path)
    (tmp_path / "run.json").unlink()
    assert train(tmp_path, 4).step == 4


def test_a_damaged_line_of_the_log_is_named(tmp_path):
    train(tmp_path, 4)
    log = tmp_path / "metrics.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join([lines[0][:9], *lines[1:], ""]))
    with pytest.raises(ValueError, match=r"metrics\.jsonl is damaged in line 1 .*remove that line"):
        train(tmp_path, 6)
    log.write_text("\n".join([*lines[1:], ""]))
    assert train(tmp_path, 6).step == 6


def test_a_second_start_is_refused_while_the_first_trains(tmp_path):
    run = trainer(tmp_path)
    with (
        filelock.FileLock(tmp_path / "run.lock"),
        pytest.raises(OSError, match="another process is training in .*wait for its end, or give"),
    ):
        run.train(batches(), steps=2)
    run.train(batches(), steps=2)
    assert run.step == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_last_step_and_the_run_resumes_bit_for_bit(number, tmp_path):
    whole = train(tmp_path / "whole", 60)
    run = trainer(tmp_path / "run")

    def stop():
        while run.step < 3:
            time.sleep(0.001)
        os.kill(os.getpid(), number)

    # a job in the background of a shell ignores SIGINT
    before = {n: signal.signal(n, signal.default_int_handler) for n in {signal.SIGTERM, number}}
    thread = threading.Thread(target=stop)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run.train(batches(), steps=60, evaluate_every=2)
    finally:
        thread.join()
        for each, handler in before.items():
            signal.signal(each, handler)
    assert 3 <= run.step < 60
    again = trainer(tmp_path / "run")
    assert again.step == run.step
    again.train(batches(), steps=60, evaluate_every=2)
    assert_equal(again, whole)
    logs = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("run", "whole")]
    lines = [[json.loads(line) for line in log.splitlines()] for log in logs]
    for ours, theirs in zip(*lines, strict=True):
        assert ours | {"session_s": 0} == theirs | {"session_s": 0}


class Stops:
    """Validation batches, during which the process is terminated, once."""

    def __init__(self):
        self.left = 1

    def batches(self):
        """Data set that sends the signal from the middle of an evaluation."""

        def pairs():
            yield from batches().take(1)
            if self.left:
                self.left -= 1
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.2)
            yield from batches().take(1)

        return tf.data.Dataset.from_generator(pairs, output_signature=batches().element_spec)


def test_a_run_terminated_while_it_evaluates_evaluates_once_more(tmp_path, monkeypatch):
    def scored(folder, stops):
        run = trainer(tmp_path / folder)
        run.train(batches(), stops.batches(), steps=4, evaluate_every=2, save_best_only=True)
        return run

    never = Stops()
    never.left = 0
    whole = scored("whole", never)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    stops = Stops()
    monkeypatch.setattr("train.checks._first", lambda dataset, name: next(iter(batches())))
    try:
        with pytest.raises(KeyboardInterrupt):
            scored("run", stops)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    again = scored("run", stops)
    assert_equal(again, whole)
    logs = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("run", "whole")]
    lines = [[json.loads(line) for line in log.splitlines()] for log in logs]
    for ours, theirs in zip(*lines, strict=True):
        assert ours | {"session_s": 0} == theirs | {"session_s": 0}


def steps_of_checkpoints(folder):
    return sorted(int(p.stem.split("-")[1]) for p in folder.glob("*.index"))


def test_a_trapezoid_is_prolonged_from_before_its_cool_down_bit_for_bit(tmp_path):
    short, long = (Trapezoid(1e-3, n, rise_steps=1, fall_steps=3) for n in (8, 12))
    whole = train(tmp_path / "whole", 12, long)
    train(tmp_path / "run", 8, short)
    assert steps_of_checkpoints(tmp_path / "run" / "before-cool-down") == [5]
    with pytest.raises(ValueError, match="learning_rate.steps was 8, is 12"):
        trainer(tmp_path / "run", long)
    said = []
    longer = trainer(tmp_path / "run", long, said, extend=True)
    longer.train(batches(), steps=12, evaluate_every=2)
    assert any("before-cool-down/ckpt-5, step 5" in sentence for sentence in said)
    assert_equal(longer, whole)
    logs = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("run", "whole")]
    steps = [[json.loads(line)["step"] for line in log.splitlines()] for log in logs]
    assert steps == [[2, 4, 6, 8, 10, 12]] * 2
    again = trainer(tmp_path / "run", long, extend=True)
    again.train(batches(), steps=12, evaluate_every=2)
    assert again.step == 12 and steps_of_checkpoints(tmp_path / "run" / "last")[-1] == 12


class Clock:
    """A clock of a machine on which every step of `run` takes a tenth of a second."""

    run = None

    def monotonic(self):
        return 0.1 * (self.run.step if self.run else 0)


def test_a_run_of_hours_ends_on_time_and_keeps_its_plan(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("train.pace.time", clock)
    monkeypatch.setattr("train.session.time", clock)
    said, rate, hours = [], Trapezoid(1e-3, None, rise_steps=2), 40 / 3600
    run = clock.run = trainer(tmp_path, rate, said)
    run.train(batches(), evaluate_every=1000, hours=hours)
    plan = json.loads((tmp_path / "run.json").read_text())["plan"]
    assert 0.97 * 40 < clock.monotonic() <= 40
    assert run.step == plan["steps"] and plan["cool_down_steps"] == round(0.2 * plan["steps"])
    assert any(f"{plan['steps']:,} steps in" in sentence for sentence in said)
    line = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["learning_rate"] < 1e-4
    again = clock.run = trainer(tmp_path, rate)
    again.train(batches(), evaluate_every=1000, hours=hours)
    assert again.step == plan["steps"]
    with pytest.raises(ValueError, match="is a run of .* hours, .* steps: resume with these hours"):
        trainer(tmp_path, rate).train(batches(), hours=1)
    longer = clock.run = trainer(tmp_path, rate, said, extend=True)
    longer.train(batches(), evaluate_every=1000, hours=30 / 3600)
    assert any("before-cool-down" in sentence for sentence in said)
    assert longer.step == json.loads((tmp_path / "run.json").read_text())["plan"]["steps"]


def test_a_run_of_hours_resumes_bit_for_bit_once_it_has_its_plan(tmp_path):
    rate = Trapezoid(1e-3, None, rise_steps=2)
    plan = {"hours": 1.0, "step_s": 0.1, "evaluation_s": 0.0, "steps": 8, "cool_down_steps": 3}
    runs = {}
    for name, stops in (("whole", (8,)), ("parts", (3, 6, 8))):
        train(tmp_path / name, 1, rate)
        facts = json.loads((tmp_path / name / "run.json").read_text())
        for stop in stops:
            noted = facts | {"plan": plan}
            (tmp_path / name / "run.json").write_text(json.dumps(noted))
            runs[name] = trainer(tmp_path / name, rate)
            ends = batches().take(stop).filter(lambda *_: True)
            runs[name].train(ends, evaluate_every=2, hours=1.0)
    assert runs["parts"].step == 8
    assert_equal(runs["parts"], runs["whole"])
    rates = [float(runs[name].checkpoint.optimizer.learning_rate) for name in runs]
    assert rates == [0.0, 0.0]


def test_hours_choose_the_end_alone(tmp_path):
    with pytest.raises(ValueError, match=r"chooses its own end: .*Trapezoid\(peak, steps=None\)"):
        trainer(tmp_path, Trapezoid(1e-3, 100)).train(batches(), hours=1)
