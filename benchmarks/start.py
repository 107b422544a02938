"""What the start of `upscale` costs: processor seconds and memory of a whole command.

    python benchmarks/start.py [--against REVISION] [--rounds 5]

Fifty pictures of 20 to 48 px a side by ``upscale``, beside ``import tensorflow`` alone, and beside
the same command of another revision; in turns. Medians, the processor time of all threads, and the
most memory that the process had; of that, what TensorFlow's libraries map from disk can be shared.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from revisions import checked_out

_HERE = Path(__file__).resolve().parent.parent


def main():
    """Print a line for each command."""
    parser = argparse.ArgumentParser(description="What the start of upscale costs.")
    parser.add_argument("--against", metavar="REVISION", help="of this library")
    parser.add_argument("--rounds", type=int, default=5, help="the median counts (default 5)")
    parser.add_argument("--model", default="wdsr-b-32-x4")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_pictures(folder / "in")
        trees = {"here": _HERE}
        if options.against:
            trees[options.against[:9]] = stack.enter_context(checked_out(options.against))
        words = ["-m", "infer", "upscale", str(folder / "in"), "--model", options.model, "-o"]
        commands = {"import tensorflow": (["-c", "import tensorflow"], _HERE)}
        commands |= {
            f"upscale, {side}": ([*words, str(folder / side)], tree) for side, tree in trees.items()
        }
        rounds = [
            {name: cost(*command, folder) for name, command in commands.items()}
            for _ in range(options.rounds)
        ]
    for name in commands:
        cpu_s, peak_mb = (statistics.median(r[name][i] for r in rounds) for i in (0, 1))
        ratio = statistics.median(r[name][0] / r["upscale, here"][0] for r in rounds)
        print(f"{name:20}{cpu_s:7.2f} processor seconds{ratio:6.2f} ×{peak_mb:6.0f} MB at most")


def write_pictures(folder, count=50):
    """Write smooth pictures of all small sizes."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8))
        width, height = random.integers(20, 48, 2)
        pixels.resize((int(width), int(height)), Image.Resampling.BICUBIC).save(
            folder / f"{number}.png"
        )


def cost(words, tree, folder):
    """Processor seconds and peak MB of a Python command with its library in `tree`."""
    process = subprocess.Popen(
        [sys.executable, *words, *(["--overwrite"] if "-o" in words else [])],
        env=os.environ | {"PYTHONPATH": str(tree), "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"failed: {' '.join(words)}")
    if "-o" in words:
        for file in Path(words[-1]).iterdir():  # else the next run would skip what is done
            file.unlink()
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
