"""Peak memory and speed of random windows from stores of 1 GB and of 100 GB.

    python benchmarks/store.py [--gigabytes 1 100] [--windows 1000000]

The stores are sparse files of zeros in a temporary folder, so that they take no room on the disk:
of pictures of 184×184 px, a million in 100 GB, and of photographs of 2040×1356 px, of which a
twentieth of the windows is read, each being eleven times as many bytes. Each store is read in a
process of its own, so that peaks do not mix. Last come the cost of reading windows instead of
mapping the file, while all of it is in the page cache, and that of a loader without a store, which
decodes a picture for each window.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from data import store as store_module
from data.pictures.read import read_rgb8
from data.store import PictureStore
from data.store_writer import DONE, INDEX

SIZES = ((184, 184, 1), (1356, 2040, 20))
"""Height and width of pictures, and what share of the windows is read from them."""

RUN = "import sys; from benchmarks.store import one; one(*sys.argv[1:])"


def main():
    """Print one line a store."""
    parser = argparse.ArgumentParser(description="Memory and speed of windows from large stores.")
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[1, 100])
    parser.add_argument("--windows", type=int, default=1_000_000)
    parser.add_argument("--window-px", type=int, default=96)
    options = parser.parse_args()
    print(f"{'GB':>5} {'pictures':>18} {'windows':>9} {'rise in MB':>11} {'windows/s':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for gigabytes in options.gigabytes:
            for height, width, share in SIZES:
                store = Path(folder, f"{gigabytes:g}-{width}")
                make_sparse(store, round(gigabytes * 1e9 / (3 * height * width)), height, width)
                numbers = [str(options.windows // share), str(options.window_px)]
                subprocess.run([sys.executable, "-c", RUN, str(store), *numbers], check=True)
        cached = Path(folder, "cached")
        make_sparse(cached, 121, 1356, 2040)
        print(f"read / mapped, 1 GB in cache: {read_over_mapped(cached, options.window_px):.2f}")
        print(f"decoding a 2040×1356 PNG for each: {decoding_rate(folder):.0f} windows/s")


def make_sparse(store, count, height, width):
    """Write a finished store of `count` black pictures that takes no room."""
    index = np.zeros(count, INDEX)
    index["height"], index["width"], index["state"] = height, width, DONE
    index["offset"] = np.arange(count, dtype=np.int64) * 3 * height * width
    store.mkdir()
    np.save(store / "index.npy", index)
    with (store / "pixels.u8").open("wb") as pixels:
        pixels.truncate(count * 3 * height * width)
    facts = {
        "digest": "0" * 64,
        "pictures": count,
        "left_out": 0,
        "bytes": count * 3 * height * width,
    }
    (store / "store.json").write_text(json.dumps(facts))


def one(directory, windows, window_px):
    """Read random windows of one store and print its line."""
    directory, windows = Path(directory), int(windows)
    before = _peak_bytes()
    store = PictureStore(directory)
    rate = windows_per_s(store, windows, int(window_px), seed=0)
    rise = (_peak_bytes() - before) / 1e6
    height, width = store.sizes[0]
    pictures = f"{len(store):,} {height}×{width}"
    gigabytes = directory.name.split("-")[0]
    print(f"{gigabytes:>5} {pictures:>18} {windows:>9,} {rise:>11.0f} {rate:>10,.0f}", flush=True)


def windows_per_s(store, windows, px, seed):
    """Read random windows, copying each; returns how many a second."""
    random, kept = np.random.default_rng(seed), np.empty((px, px, 3), np.uint8)
    started = time.perf_counter()
    for start in range(0, windows, 10_000):
        count = min(10_000, windows - start)
        numbers = random.integers(len(store), size=count)
        corners = random.integers(store.sizes[numbers] - px + 1)
        for number, (top, left) in zip(numbers.tolist(), corners.tolist(), strict=True):
            kept[:] = store.window(number, top, left, px, px)
    return windows / (time.perf_counter() - started)


def read_over_mapped(directory, px, rounds=9):
    """Median of the speed of reading windows over that of a mapped file, in turns."""
    stores = []
    for limit in (0, 1 << 40):
        store_module._MAPPED_BYTES = limit
        stores.append(PictureStore(directory))
        windows_per_s(stores[-1], 5000, px, seed=1)
    rates = [[windows_per_s(store, 1000, px, seed) for store in stores] for seed in range(rounds)]
    return np.median([read / mapped for read, mapped in rates])


def _peak_bytes():
    """Most memory the process had: pages of mapped files count, the page cache does not."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return psutil.Process().memory_info().rss


def decoding_rate(folder, pictures=12):
    """PNG pictures of 2040×1356 px decoded a second, by one thread."""
    low = np.random.default_rng(0).integers(0, 256, (113, 170, 3), dtype=np.uint8)
    file = Path(folder, "picture.png")
    Image.fromarray(low).resize((2040, 1356), Image.Resampling.BICUBIC).save(file)
    started = time.perf_counter()
    for _ in range(pictures):
        read_rgb8(file)
    return pictures / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
