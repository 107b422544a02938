"""Speed of `upscale` against the bare network, and of a cold start.

    python benchmarks/inference.py [--runs 5]

EDSR 16×64, ×4, 320×180 → 1280×720, random weights: the bare traced Keras model on a float32
batch, `Upscaler` on a uint8 picture, and the same network in PyTorch where that is installed. Then
`python -m infer upscale` on a picture of 32×32 against `python -c "import tensorflow"`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from data.pictures.write import save_image
from infer.upscaler import Upscaler
from model.edsr import edsr


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description="Speed of upscale and of a cold start.")
    parser.add_argument("--runs", type=int, default=5, help="the fastest counts (default 5)")
    runs = parser.parse_args().runs
    model = edsr(4, num_filters=64, num_res_blocks=16)
    image = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
    batch = tf.constant(image[None], tf.float32)
    bare = tf.function(lambda x: model(x, training=False), [tf.TensorSpec((None, None, None, 3))])
    network = Upscaler(model)
    rivals = {"bare Keras model": lambda: bare(batch).numpy(), "Upscaler": lambda: network(image)}
    rivals |= pytorch_edsr(image)
    seconds = fastest(rivals, runs)
    for name, elapsed_s in seconds.items():
        ratio = elapsed_s / seconds["bare Keras model"]
        print(f"{name:28}{elapsed_s:8.3f} s{ratio:8.3f} × the bare model")
    if "PyTorch" not in seconds:
        print("PyTorch is not installed")
    print_cold_start(runs)


def fastest(rivals, runs):
    """Fastest of so many runs each, taken in turn so that all see the same load."""
    best = {}
    for run in [None, *range(runs)]:  # the first one traces and is not counted
        for name, call in rivals.items():
            start = time.perf_counter()
            call()
            elapsed_s = time.perf_counter() - start
            best[name] = elapsed_s if run is None else min(elapsed_s, best[name])
    return best


def pytorch_edsr(image):
    """The same network in PyTorch; empty if that is not installed."""
    try:
        import torch
    except ImportError:
        return {}
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1)

        def forward(self, x):
            return x + self.b(torch.relu(self.a(x)))

    body = nn.Sequential(*[Block() for _ in range(16)], nn.Conv2d(64, 64, 3, padding=1))
    up = [nn.Conv2d(64, 256, 3, padding=1), nn.PixelShuffle(2)]
    up += [nn.Conv2d(64, 256, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(64, 3, 3, padding=1)]
    head, tail = nn.Conv2d(3, 64, 3, padding=1), nn.Sequential(*up)
    batch = torch.from_numpy(image.copy()).float().permute(2, 0, 1)[None]

    def run():
        with torch.inference_mode():
            x = head(batch / 127.5 - 1)
            return tail(x + body(x)).numpy()

    return {"PyTorch": run}


def print_cold_start(runs):
    """Time the command on a small picture against the import it cannot do without."""
    with tempfile.TemporaryDirectory() as folder:
        small, weights = Path(folder, "small.png"), Path(folder, "edsr.weights.h5")
        save_image(small, np.full((32, 32, 3), 128, np.uint8))
        edsr(4, num_filters=64, num_res_blocks=16).save_weights(weights)
        upscale = ["-m", "infer", "upscale", str(small), "-o", str(Path(folder, "big.png"))]
        commands = {
            'python -c "import tensorflow"': ["-c", "import tensorflow"],
            "python -m infer upscale": [*upscale, "--model", str(weights)],
        }
        seconds = fastest({name: lambda c=c: command(c) for name, c in commands.items()}, runs)
    for name, elapsed_s in seconds.items():
        print(f"{name:30}{elapsed_s:6.2f} s")


def command(arguments):
    """Run Python with these arguments."""
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    main()
