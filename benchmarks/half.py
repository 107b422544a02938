"""Half precision beside float32, here and in OpenVINO: time of one pass.

    python benchmarks/half.py [--networks wdsr-b-32-x4 …] [--rounds 7] [--threads 2]

A picture of 320×176 px, in turns, in one process; medians of processor time. OpenVINO (optional:
``pip install openvino onnx tf2onnx``) takes the exported network. Exporting a Restormer takes
minutes: ``--no-openvino`` leaves that out.
"""

import argparse
import importlib.util
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from infer.export import export
from model.precision import in_half
from weights.load import load_model

NETWORKS = ["wdsr-b-32-x4", "edsr-16-x4", "restormer-small-deblur"]


def main():
    """Print a line for each network and side."""
    parser = argparse.ArgumentParser(description="Half precision beside float32, and OpenVINO.")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, metavar="NAME_OR_FILE")
    parser.add_argument("--rounds", type=int, default=7, help="the median counts (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="of computation (default 2)")
    parser.add_argument("--no-openvino", action="store_true")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    picture = np.random.default_rng(0).uniform(0, 255, (1, 176, 320, 3)).astype(np.float32)
    for name in options.networks:
        runs = {"float32": ours(load_model(name)), "bfloat16": ours(half(name))}
        if not options.no_openvino and importlib.util.find_spec("openvino"):
            runs |= openvinos(name, options.threads)
        for run in runs.values():
            run(picture)  # traces and compiles
        rounds = [
            {side: seconds(r, picture) for side, r in runs.items()} for _ in range(options.rounds)
        ]
        for side in runs:
            ms = 1000 * statistics.median(r[side] for r in rounds)
            ratio = statistics.median(r[side] / r["float32"] for r in rounds)
            print(f"{name:24}{side:20}{ms:8.0f} ms{ratio:7.2f} ×", flush=True)


def half(name):
    """The network in bfloat16."""
    return in_half(load_model(name), "bfloat16", in_place=True)


def ours(model):
    """The network as the command line runs it."""
    model.freeze()
    model.traced(tf.zeros((1, 32, 32, 3)))
    return lambda picture: model.traced(picture).numpy()


def openvinos(name, threads):
    """The exported network in OpenVINO, in both precisions."""
    import openvino

    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        export(load_model(name), Path(folder, "network.onnx"), "onnx")
        for hint in ("f32", "bf16"):
            settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
            compiled = openvino.compile_model(Path(folder, "network.onnx"), "CPU", settings)
            runs[f"OpenVINO, {hint}"] = lambda picture, run=compiled: next(
                iter(run(picture).values())
            )
    return runs


def seconds(run, picture):
    """Processor seconds of one pass."""
    start = time.process_time()
    run(picture)
    return time.process_time() - start


if __name__ == "__main__":
    main()
