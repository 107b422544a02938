"""Where the time of a training step goes: kinds of operations and their shares.

    python benchmarks/profile_step.py [--networks wdsr esrgan …] [--precision mixed_bfloat16]
    python benchmarks/profile_step.py --inference wdsr-b-32-x4 restormer-small-deblur

Runs the trainers of ``train_step.py`` on one batch, or networks on a picture of 320×176 px, on one
thread, under TensorFlow's profiler, and prints each kind of operation that takes at least 2 % of
the time of all.
"""

import argparse
import collections
import tempfile
from pathlib import Path

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2  # not a public module
from train_step import CASES, write_pictures

from model.precision import set_precision
from train import TrainerOptions
from train.distribute import distributed
from weights.load import load_model

_STEPS = 5
_LEAST_SHARE = 0.02


def main():
    """Print a table a network."""
    parser = argparse.ArgumentParser(description="Where the time of a training step goes.")
    parser.add_argument("--networks", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--inference", nargs="+", metavar="NAME_OR_FILE", help="no training step")
    options = parser.parse_args()
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    for name in options.inference or ():
        model = load_model(name)
        set_precision(model, options.precision)
        model.freeze()
        pictures = tf.random.uniform((1, 176, 320, 3), 0, 255)
        measured = profile(lambda model=model, x=pictures: [model.traced(x) for _ in range(_STEPS)])
        print_shares(f"{name}, {options.precision}", measured)
    for name in () if options.inference else options.networks:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            write_pictures(folder / "hr")
            trainer_options = TrainerOptions(precision=options.precision, ema_decay=0.999)
            trainer, batches, _ = CASES[name](folder, folder / "run", trainer_options, None)
            batch = batches.take(1).cache().repeat()
            iterator = iter(distributed(batch, 0, trainer.strategy))
            steps = tf.constant(_STEPS, tf.int64)
            measured = profile(lambda t=trainer, i=iterator, n=steps: t.updates.run(i, n).numpy())
            print_shares(f"{name}, {options.precision}", measured)


def profile(make_steps):
    """Return a counter of operation kind → ms a step, and another of how often each runs."""
    make_steps()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        make_steps()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    ms, counts = collections.Counter(), collections.Counter()
    for plane in space.planes:
        names = {key: value.name for key, value in plane.event_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            name, colon, kind = names[event.metadata_id].rpartition(":")
            whole = kind.strip().startswith("__inference")  # the step itself, not an operation
            if colon and not whole and "::" not in name + colon + kind:
                ms[kind] += event.duration_ps / 1e9 / _STEPS
                counts[kind] += 1 / _STEPS
    return ms, counts


def print_shares(title, measured):
    """Print the kinds that take the most."""
    ms, counts = measured
    total = sum(ms.values())
    print(f"{title}: {total:.0f} ms a step")
    for kind, kind_ms in ms.most_common():
        if kind_ms < _LEAST_SHARE * total:
            break
        print(f"  {kind:45} {kind_ms:8.1f} ms {kind_ms / total:6.1%} {counts[kind]:6.0f} times")


if __name__ == "__main__":
    main()
