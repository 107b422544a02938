"""What a picture in automatic tiles costs over one run of it, for memory and margins of all sizes.

    python benchmarks/tile_work.py [--size 1024 768] [--free-gb 4 8 16] [--margins 32 64 128 349]

RRDBNet (the paper's, ×4), which is only laid out and not run: the pixels that all runs of the plan
read, over those of the picture. With ``--model FILE`` the margin is the one that is measured for it
at its first use of tiles.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from infer import tiles, upscaler
from model.esrgan import rrdb_net
from weights.builders import laid_out
from weights.load import load_model

GB = 2**30


def main():
    """Print a line for each amount of memory and margin."""
    parser = argparse.ArgumentParser(description="What a picture in tiles costs over one run.")
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 768), help="width and height")
    parser.add_argument("--free-gb", type=float, nargs="+", default=[4, 8, 16])
    parser.add_argument("--margins", type=int, nargs="+", default=[32, 64, 128, 349], help="px")
    parser.add_argument("--model", help="name or file (default: RRDBNet without weights)")
    options = parser.parse_args()
    model = load_model(options.model) if options.model else laid_out(rrdb_net, {"scale": 4})
    network, size = upscaler.Upscaler(model), tuple(options.size[::-1])
    print(f"receptive field {network.reach.radius_px} px, {size[1]}×{size[0]} px")
    print(f"{'free GB':>8}{'margin px':>11}{'tiles':>7}{'side px':>9}{'work of one run':>17}")
    for free_gb in options.free_gb:
        upscaler.free_bytes = lambda free=free_gb: int(free * GB)
        for margin in [None] if options.model else options.margins:
            grid = network.plan(size, overlap_px=margin, picture_bytes=3 * size[0] * size[1])
            print(
                f"{free_gb:8g}{grid.margin:11}{tiles.count(grid):7}{min(grid.tile, max(size)):9}"
                f"{tiles.work(grid):17.3f}"
            )


if __name__ == "__main__":
    main()
