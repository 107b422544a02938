"""Several replicas: two logical CPUs in one process, and two processes over loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from model.edsr import edsr
from tests.conftest import start_anew
from train import EdsrTrainer, TrainerOptions
from train.distribute import distributed, make_strategy

ROOT = Path(__file__).parents[2]
BATCH = 5  # uneven shares: 2 and 3

TWO_CPUS = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.train.test_distribute import train
from train.distribute import make_strategy
strategy = make_strategy("mirrored")
assert strategy.num_replicas_in_sync == 2
train(strategy, sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
"""

WORKER = """
import sys
import tensorflow as tf
from tests.train.test_distribute import train
from train.distribute import make_strategy
tf.config.threading.set_inter_op_parallelism_threads(0)  # operations that wait for another worker
train(make_strategy("multi-worker"), sys.argv[1], int(sys.argv[2]))
"""


def pictures():
    """Endless batches of five pairs, all different; as any data set, without shares of its own."""
    random = np.random.default_rng(2)
    hr = np.clip(np.cumsum(random.integers(-9, 10, (6, BATCH, 28, 20, 3)), 2) + 128, 0, 255)
    hr = hr.astype(np.uint8)
    return tf.data.Dataset.from_tensor_slices((hr[:, :, ::4, ::4], hr)).repeat()


def train(strategy, folder, steps, optimizer="adam"):
    """Train a small network up to `steps`, and write its weights beside the run."""
    start_anew(1)
    options = TrainerOptions(optimizer=optimizer, strategy=strategy, ema_decay=0.9, clip_norm=1.0)
    with strategy.scope():
        model = edsr(4, num_filters=4, num_res_blocks=1)
        trainer = EdsrTrainer(model, folder, 1e-3, options=options, report=str)
    data = pictures()
    trainer.train(data, data.take(1), steps, evaluate_every=2)
    task = json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 0}}'))["task"]["index"]
    np.savez(Path(folder, f"weights-{task}.npz"), *trainer.model.get_weights())


def weights(folder, task=0):
    with np.load(Path(folder, f"weights-{task}.npz")) as file:
        return [file[name] for name in file.files]


class Python:
    """A Python process, whose errors go to a file."""

    def __init__(self, code, folder, *arguments, **environment):
        self.errors = Path(tempfile.mkstemp(dir=folder.parent)[1])
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, str(folder), *map(str, arguments)],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
                stderr=errors,
            )

    def status(self):
        """Wait for the end."""
        try:
            return self.process.wait(240)
        finally:
            self.process.kill()


def two_workers(folder, steps):
    """Start two workers on this machine."""
    with socket.socket() as a, socket.socket() as b:
        for s in (a, b):
            s.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{s.getsockname()[1]}" for s in (a, b)]}
    return [
        Python(
            WORKER,
            folder,
            steps,
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}),
        )
        for i in (0, 1)
    ]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """Weights after six steps of one replica."""
    folder = tmp_path_factory.mktemp("one")
    train(tf.distribute.get_strategy(), folder, 6)
    return weights(folder)


def assert_equal_within_float(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_two_replicas_equal_one_and_a_run_goes_from_one_to_two_and_back(one_process, tmp_path):
    whole = Python(TWO_CPUS, tmp_path / "whole", 6)
    train(tf.distribute.get_strategy(), tmp_path / "mixed", 2)
    assert whole.status() == 0, whole.errors.read_text()
    middle = Python(TWO_CPUS, tmp_path / "mixed", 4)
    assert middle.status() == 0, middle.errors.read_text()
    train(tf.distribute.get_strategy(), tmp_path / "mixed", 6)
    assert_equal_within_float(weights(tmp_path / "whole"), one_process)
    assert_equal_within_float(weights(tmp_path / "mixed"), one_process)


@pytest.mark.slow
def test_two_replicas_equal_one_with_muon_too(tmp_path):
    two = Python(TWO_CPUS, tmp_path / "two", 6, "muon")
    (tmp_path / "one").mkdir()
    train(tf.distribute.get_strategy(), tmp_path / "one", 6, "muon")
    assert two.status() == 0, two.errors.read_text()
    assert_equal_within_float(weights(tmp_path / "two"), weights(tmp_path / "one"))


@pytest.mark.slow
def test_two_processes_have_equal_weights_and_those_of_one(one_process, tmp_path):
    for worker in two_workers(tmp_path, 6):
        assert worker.status() == 0, worker.errors.read_text()
    chief, other = weights(tmp_path, 0), weights(tmp_path, 1)
    for a, b in zip(chief, other, strict=True):
        np.testing.assert_array_equal(a, b)
    assert_equal_within_float(chief, one_process)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6]  # written once, by the chief
    assert len(json.loads((tmp_path / "run.json").read_text())["sessions"]) == 1


@pytest.mark.slow
def test_a_worker_that_dies_stops_the_others_with_a_message_and_a_restart_goes_on(tmp_path):
    chief, other = two_workers(tmp_path, 100_000)
    log = tmp_path / "metrics.jsonl"
    deadline = time.monotonic() + 200
    while not log.exists() or log.read_text().count("\n") < 2:
        assert chief.process.poll() is None, chief.errors.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    other.process.kill()
    assert (other.status(), chief.status()) == (-signal.SIGKILL, 1)
    assert "another worker stopped" in chief.errors.read_text()
    done = json.loads(log.read_text().splitlines()[-1])["step"]
    for worker in two_workers(tmp_path, done + 4):
        assert worker.status() == 0, worker.errors.read_text()
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == [*range(2, done + 5, 2)]


def test_shares_of_a_seekable_data_set_are_loaded_by_themselves():
    asked = []

    class Batches:
        def start_at(self, step, part):
            asked.append((step, part))
            return pictures()

    distributed(Batches(), 7, tf.distribute.get_strategy())
    assert asked == [(7, (0, 1))]


def test_a_network_from_outside_the_strategy_is_refused(tmp_path):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    model = edsr(4, num_filters=4, num_res_blocks=1)
    with pytest.raises(ValueError, match="built outside the strategy: build it inside"):
        EdsrTrainer(model, tmp_path, options=TrainerOptions(strategy=strategy), report=str)
    with pytest.raises(ValueError, match="'mirrored' or 'multi-worker', got 'ring'"):
        make_strategy("ring")
