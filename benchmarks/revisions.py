"""Times of one training step, here and in another revision or in PyTorch, in turns.

Used by ``python benchmarks/train_step.py --against REV`` and ``--peer torch``. Every network of
every side and precision is a process of its own, one thread each, which waits until it is its turn
to make a few steps; so all see the same load. Times are CPU seconds, which on a free machine are
those of the clock and on a busy one vary less.
"""

import argparse
import contextlib
import inspect
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PRECISIONS = ("float32", "mixed_bfloat16")
SMALL = {"dim": 16, "num_blocks": (2, 2, 2, 2), "num_refinement_blocks": 1}
HALF = {"dim": 24, "num_blocks": (2, 2, 2, 2), "num_refinement_blocks": 1, "unshuffle": 2}
_HERE = Path(__file__).resolve().parent.parent


def edsr_16():
    """EDSR of 16 blocks on 16 pictures of 24² px."""
    from model.edsr import edsr

    return edsr(4, num_res_blocks=16), (16, 24, 24)


def wdsr_32():
    """WDSR-B of 32 blocks on 16 pictures of 24² px."""
    from model.wdsr import wdsr_b

    return wdsr_b(4, num_res_blocks=32), (16, 24, 24)


def restormer_small(mask_aware=False):
    """The small Restormer on 4 pictures of 96² px."""
    from model.restormer import restormer

    return restormer(**SMALL, mask_aware=mask_aware), (4, 96, 96)


def restormer_small_masks():
    """The same with masks."""
    return restormer_small(mask_aware=True)


def restormer_bundled(mask_aware=False):
    """The bundled one's network: at half size where the revision knows that, else the small one."""
    from model.restormer import restormer

    size = HALF if "unshuffle" in inspect.signature(restormer).parameters else SMALL
    return restormer(**size, mask_aware=mask_aware), (4, 96, 96)


def restormer_bundled_masks():
    """The same with masks."""
    return restormer_bundled(mask_aware=True)


_ALL = (edsr_16, wdsr_32, restormer_small, restormer_small_masks)
NETWORKS = {f.__name__: f for f in (*_ALL, restormer_bundled, restormer_bundled_masks)}
PEERED = [name for name in NETWORKS if not name.endswith("masks")]  # in torch_networks.py too


@contextlib.contextmanager
def checked_out(revision):
    """Root of a working tree of a revision, removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, "other")
        git = ["git", "-C", str(_HERE), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", str(other), revision], check=True)
        try:
            yield other
        finally:
            subprocess.run([*git, "remove", "--force", str(other)], check=True)


def compare(revision, names, rounds, steps):
    """Print one line a network: CPU seconds of a step, best precision of each revision last."""
    with checked_out(revision) as other:
        sides = {revision[:9]: (__file__, other), "here": (__file__, _HERE)}
        _compare(sides, names, rounds, steps)


def compare_with_torch(names, rounds, steps):
    """Print the same beside PyTorch."""
    torch_file = Path(__file__).with_name("torch_networks.py")
    _compare({"PyTorch": (torch_file, _HERE), "here": (__file__, _HERE)}, names, rounds, steps)


def _compare(sides, names, rounds, steps):
    """Sides: heading → (file to run, root of the library it imports)."""
    print(f"{'network':22} {'precision':15} {next(iter(sides)):>9} {'here':>9} {'ratio':>6}")
    for name in names:
        _compare_network(name, sides, rounds, steps)


def _compare_network(name, sides, rounds, steps):
    cases = [(side, precision) for precision in PRECISIONS for side in sides]
    workers = {case: _start(*sides[case[0]], name, case[1]) for case in cases}
    times = {case: [] for case in cases}
    try:
        for worker in workers.values():
            _steps(worker, 1)  # traces and compiles
        for _ in range(rounds):
            for case in cases:
                times[case].append(_steps(workers[case], steps))
    finally:
        for worker in workers.values():
            worker.communicate()
    medians = {case: statistics.median(seconds) for case, seconds in times.items()}
    best = {side: min(medians[side, precision] for precision in PRECISIONS) for side in sides}
    for precision in PRECISIONS:
        _print(name, precision, *(medians[side, precision] for side in sides))
    _print(name, "best", *(best[side] for side in sides))


def _print(name, precision, other_s, here_s):
    print(
        f"{name:22} {precision:15} {other_s:9.3f} {here_s:9.3f} {other_s / here_s:6.2f}", flush=True
    )


def _start(file, tree, name, precision):
    return subprocess.Popen(
        [sys.executable, str(file), name, precision],
        env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tree,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _steps(worker, count):
    worker.stdin.write(f"{count}\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise RuntimeError(f"a process ended: {' '.join(worker.args[2:])}")
    return float(answer)


def work(networks, training_step):
    """Be one of the processes: for each number read, make that many steps and print their mean.

    Args:
        networks: Names to choose from.
        training_step: Function (name, precision) → function () that makes one step and waits.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=networks)
    parser.add_argument("precision", choices=PRECISIONS)
    options = parser.parse_args()
    step = training_step(options.name, options.precision)
    for line in sys.stdin:
        start = time.process_time()
        for _ in range(int(line)):
            step()
        print((time.process_time() - start) / int(line), flush=True)


def training_step(name, precision):
    """One step of Adam with clipped gradients, always on the same pictures."""
    import keras
    import tensorflow as tf

    from model.precision import set_precision

    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    keras.utils.set_random_seed(1)
    network, size = NETWORKS[name]()
    set_precision(network, precision)
    optimizer = keras.optimizers.Adam(1e-4)
    weights = network.trainable_variables
    optimizer.build(weights)
    random = np.random.default_rng(0)
    inputs = [tf.constant(random.uniform(0, 255, (*size, 3)), tf.float32)]
    if len(network.inputs) > 1:
        inputs.append(tf.constant(random.random((*size, 1)) > 0.1, tf.float32))
    inputs = inputs[0] if len(inputs) == 1 else inputs
    targets = tf.zeros_like(network(inputs))

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(network(inputs, training=True) - targets)) / 255
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, weights), 0.01)
        optimizer.apply(gradients, weights)
        return loss

    return lambda: step().numpy()


if __name__ == "__main__":
    work(NETWORKS, training_step)
