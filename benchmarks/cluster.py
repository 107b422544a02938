"""Many small pictures on a local Ray cluster whose workers are killed: nothing missing, all alike.

    python benchmarks/cluster.py --pictures 2000 --kills 3

Makes the pictures once by the local command and once by ``--engine ray`` while workers get SIGKILL,
compares all results by SHA-256, and the records, and prints the times. One picture is broken.
"""

import argparse
import collections
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).parents[1]


def main():
    """Run both and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", help="weights (default: an untrained EDSR of one block)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model or _network(folder)
        _make_pictures(folder / "in", options.pictures)
        local_s = _run(folder, "local", model)
        ray = ["--engine", "ray", "--concurrency", str(options.workers)]
        ray_s = _run(folder, "ray", model, *ray, kills=options.kills)
        _compare(folder, options.pictures)
        print(f"local {local_s:.1f} s, ray {ray_s:.1f} s with {options.kills} kills")


def _network(folder):
    from model.edsr import edsr

    edsr(2, 4, 1).save_weights(folder / "x2.weights.h5")
    return folder / "x2.weights.h5"


def _make_pictures(folder, count):
    """Noise of 200 sizes, and a file that is no picture."""
    from data.pictures.write import save_image

    folder.mkdir()
    values = np.random.default_rng(1)
    for number in range(count):
        size = (17 + number % 20, 19 + number % 200 // 20)
        pixels = values.integers(0, 256, (*size, 3)).astype(np.uint8)
        save_image(folder / f"{number:05}.png", pixels)
    (folder / "broken.png").write_text("no picture")


def _run(folder, name, model, *options, kills=0):
    command = [sys.executable, "-m", "infer", "upscale", folder / "in", "-o", folder / name]
    command += ["--model", model, *options]
    began = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], cwd=ROOT)
    out, killed = folder / name, 0
    while process.poll() is None:
        time.sleep(1)
        made = sum(1 for _ in out.glob("*.png")) if out.exists() else 0
        if killed < kills and made > (killed + 0.5) * sum(1 for _ in folder.glob("in/*")) / kills:
            workers = [p for p in psutil.process_iter(["cmdline"]) if _is_worker(p, process.pid)]
            if workers:
                os.kill(random.choice(workers).pid, signal.SIGKILL)
                killed += 1
                print(f"killed a worker after {made} pictures", flush=True)
    print(f"{name}: exit status {process.returncode}, {killed} killed", flush=True)
    return time.monotonic() - began


def _is_worker(process, driver):
    words = " ".join(process.info["cmdline"] or [])
    try:
        return "MapWorker" in words and driver in [p.pid for p in process.parents()]
    except psutil.NoSuchProcess:
        return False


def _compare(folder, count):
    digests = [
        {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in (folder / name).glob("*.png")}
        for name in ("local", "ray")
    ]
    different = sum(digests[0].get(name) != digest for name, digest in digests[1].items())
    print(f"{len(digests[0])} and {len(digests[1])} of {count} made, {different} differ")
    lines = [
        [json.loads(line) for line in (folder / name / ".infer.jsonl").read_text().splitlines()]
        for name in ("local", "ray")
    ]
    twice = sum(n > 1 for n in collections.Counter(line["target"] for line in lines[1]).values())
    known = [
        {(a["target"], *a["source"], a["key"], a["result"][0]) for a in each} for each in lines
    ]
    print(f"records equal: {known[0] == known[1]}; made twice: {twice}")
    left = [f.name for f in (folder / "ray").iterdir() if f.name not in digests[1]]
    print(f"beside the pictures: {left}")


if __name__ == "__main__":
    main()
