"""Patch pairs a second of the training pipeline.

The set-up of the figure in docs/train.md: twelve noise pictures of 2040×1356 px, scale 4, LR 24
px, batch 16. On the same pictures the blog's loader gave 337 pairs a second on two cores.

    python benchmarks/loader.py
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from data import ImageFolder


def main():
    """Print pairs a second: median and range of several rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=1000, help="a round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(0)
        for i in range(12):
            pixels = random.integers(0, 256, (1356, 2040, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(Path(folder, f"{i}.bmp"))
        source = ImageFolder(folder, scale=4, caches_dir=Path(folder, "caches"))
        batches = iter(source.dataset(16))
        rates = [rate(batches, options.batches) for _ in range(options.rounds + 1)][1:]
    print(
        f"{np.median(rates):,.0f} pairs a second (median of {options.rounds} rounds, "
        f"{min(rates):,.0f} to {max(rates):,.0f})"
    )


def rate(batches, count):
    """Pairs a second over `count` batches."""
    start = time.perf_counter()
    pairs = sum(len(next(batches)[0]) for _ in range(count))
    return pairs / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
