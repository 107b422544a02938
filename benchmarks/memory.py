"""Peak memory and speed of `upscale` against picture size.

    python benchmarks/memory.py [--model NAME_OR_FILE] [--scale 4] [--megapixels 0.5 1 2 12]

Each size runs in a process of its own, so that peaks do not mix. Without --model a tiny EDSR is
used: the time is then that of tiles, not of a network. `limit` is the output's bytes + 1.5 GB;
`files` is what of the peak is TensorFlow's libraries, mapped from disk, which all processes share;
`start` is what is there before the first pixel, files included.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

RUN = "import sys; from benchmarks.memory import one; one(*sys.argv[1:])"


def main():
    """Print one line a size."""
    parser = argparse.ArgumentParser(description="Peak memory of upscale against picture size.")
    parser.add_argument("--model", default="", help="name or file; default: a tiny EDSR")
    parser.add_argument("--scale", type=int, default=4, help="of the tiny EDSR (default 4)")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.5, 1, 2, 4, 12])
    options = parser.parse_args()
    print(
        f"{'in':>13} {'out':>13} {'seconds':>8} {'in MP/s':>8} {'peak GB':>8} {'limit GB':>9} "
        f"{'start GB':>9} {'files GB':>9}"
    )
    for megapixels in options.megapixels:
        width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
        arguments = [options.model, str(options.scale), str(width), str(round(width * 3 / 4))]
        subprocess.run([sys.executable, "-c", RUN, *arguments], check=True)


def one(model, scale, width, height):
    """Run one size and print its line."""
    from data.quiet_start import load_tensorflow

    load_tensorflow()
    import numpy as np

    from infer.upscaler import Upscaler
    from infer.variants import half_if_safe
    from model.edsr import edsr
    from weights.load import load_model

    network = half_if_safe(load_model(model) if model else edsr(int(scale), 8, 2), in_place=True)
    network.freeze()
    network = Upscaler(network)
    at_start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    image = np.random.default_rng(0).integers(0, 256, (int(height), int(width), 3), np.uint8)
    start = time.perf_counter()
    sr = network(image, tile="auto")
    elapsed_s = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    lines = Path("/proc/self/status").read_text().splitlines()
    mapped = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))
    sizes = f"{width + 'x' + height:>13} {f'{sr.shape[1]}x{sr.shape[0]}':>13}"
    speed = f"{elapsed_s:8.1f} {image.size / 3e6 / elapsed_s:8.3f}"
    print(
        f"{sizes} {speed} {peak / 1e9:8.2f} {(sr.nbytes + 1.5e9) / 1e9:9.2f} "
        f"{at_start / 1e9:9.2f} {mapped / 1e9:9.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
