"""What a TensorFlow Lite network loses in half precision and in 8 bits, and its size and time.

    python benchmarks/tflite.py --hr ../shared/data/set5/HR ../shared/data/b100 --every 1 4 \\
        --calibrate ../shared/data/photos [--model wdsr-b-32-x4]

PSNR of luma with the scale as border, pictures rounded, LR by MATLAB's bicubic. Time is that of the
processor, one thread.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from data.degrade import imresize, to_uint8
from infer import tflite
from infer.__main__ import main as infer
from infer.evaluate import mean, pairs, score
from weights.load import manifest


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description="What TensorFlow Lite loses by its precisions.")
    parser.add_argument("--model", default="wdsr-b-32-x4", help="a bundled network that enlarges")
    parser.add_argument("--hr", nargs="+", required=True, help="folders of HR pictures")
    parser.add_argument(
        "--every", nargs="+", type=int, help="of each folder take every n-th picture (default 1)"
    )
    parser.add_argument("--calibrate", help="folder of pictures for int8 (default: no such row)")
    options = parser.parse_args()
    scale = manifest()[options.model]["arguments"]["scale"]
    every = options.every or [1] * len(options.hr)
    chosen = zip(options.hr, every, strict=True)
    sets = [(Path(folder).name, chosen_pairs(folder, n, scale)) for folder, n in chosen]
    heads = [f"{name}, {len(of_set)}: dB" for name, of_set in sets]
    print(f"{'':18}{'MB':>6}" + "".join(f"{head:>16}{'s':>8}" for head in heads))
    asked = {name: [name] for name in ("float32", "float16", "int8")}
    if options.calibrate:
        asked["int8, calibrated"] = ["int8", "--calibrate", options.calibrate]
    for title, precision in asked.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "network.tflite")
            command = ["export", options.model, "-o", str(path), "--format", "tflite"]
            if infer([*command, "--precision", *precision]):
                raise SystemExit(f"{title} was not written")
            cells = [f"{psnr_db:16.3f}{s:8.2f}" for psnr_db, s in scores(path, sets, scale)]
            print(f"{title:18}{path.stat().st_size / 1e6:6.2f}" + "".join(cells), flush=True)


def chosen_pairs(folder, every, scale):
    """Every n-th pair of HR and LR of a folder."""
    return list(pairs(folder, None, scale, lambda hr: imresize(hr, 1 / scale)))[::every]


def scores(path, sets, scale):
    """Yield mean PSNR and seconds of processor time for each set."""
    run = tflite.run(path, 1)
    for _, of_set in sets:
        before_s, found = time.process_time(), []
        pictures = [run(pair.lr[None].astype(np.float32))[0] for pair in of_set]
        elapsed_s = time.process_time() - before_s
        for pair, picture in zip(of_set, pictures, strict=True):
            found.append(score(to_uint8(picture), pair.hr, scale))
        yield mean(found)["psnr_y_db"], elapsed_s


if __name__ == "__main__":
    main()
