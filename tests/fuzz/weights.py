"""Mutated and forged weight files of every format, and those that once failed, mutated again."""

import collections
import io
import itertools
import json
import os
import tempfile
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import weights
from tests.fuzz import limited
from tests.fuzz.pictures import mutated

GOLDEN = Path(__file__).parent.parent / "golden"
EXPECTED = ("network", "sentence")

_BATCH = 60  # inputs a child
_SECONDS = 60  # for one; of processor time 20, but the machine may be busy
_ARGUMENTS = ("num_filters", "num_res_blocks", "heads", "num_blocks", "scale", "dim", "depth")
_VALUES = (0, -1, 1, 2, 4096, 10**9, 1e308, None, True, "4", [1], [], {}, [0] * 4, [4096] * 4)


def corpus():
    """Yield ``(kind, file ending, bytes)`` of sound files in every format, and of the cases."""
    from model.edsr import edsr
    from model.restormer import restormer
    from weights.tensor_file import read_tensors

    with tempfile.TemporaryDirectory() as folder:
        network = edsr(2, num_filters=4, num_res_blocks=1)
        for ending in (".h5", ".safetensors", ".keras"):
            path = Path(folder, f"a{ending}")
            (network.save if ending == ".keras" else network.save_weights)(path)
            yield ending, ending, path.read_bytes()
        small = restormer(dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1)
        small.save_weights(Path(folder, "b.safetensors"))
        yield ".safetensors", ".safetensors", Path(folder, "b.safetensors").read_bytes()
    torch = GOLDEN / "torch" / "rrdbnet-x1-nf8-nb1-gc4.pth"
    yield ".pth", ".pth", torch.read_bytes()
    old = GOLDEN / "torch" / "rrdbnet-x4-nf16-nb2-gc8-legacy.pth"
    yield "old .pth", ".pth", old.read_bytes()
    npz = io.BytesIO()
    np.savez(npz, **read_tensors(torch))
    yield ".npz", ".npz", npz.getvalue()
    yield "Keras 2 .h5", ".h5", (GOLDEN / "krasserm" / "edsr-x2.h5").read_bytes()
    entries = [{"name": "a", "shape": [2, 3], "dtype": "float32"}]
    yield ".json", ".json", json.dumps([{"weights": entries, "paths": ["a.bin"]}]).encode()
    for path in sorted((GOLDEN / "cases" / "weights").iterdir()):
        yield "cases", path.suffix, path.read_bytes()


def forged(kind, data, rng):
    """Return a file of a kind with something else claimed in it, or mutated bytes."""
    if kind == ".safetensors" and rng.random() < 0.5:
        return _forged_note(data, rng)
    if kind in (".pth", ".keras") and rng.random() < 0.7:
        return _forged_member(data, rng)
    return mutated(data, rng)


def _forged_note(data, rng):
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    note = json.loads(header["__metadata__"]["sr"])
    name, value = rng.choice(_ARGUMENTS), _VALUES[int(rng.integers(len(_VALUES)))]
    if rng.random() < 0.8:
        note["arguments"][str(name)] = value
    else:
        note[str(rng.choice(["builder", "arguments"]))] = value
    header["__metadata__"]["sr"] = json.dumps(note)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _forged_member(data, rng):
    """An archive whose pickle, description or numbers are mutated, with right checksums."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(made, "w") as target:
        members = {info.filename: source.read(info) for info in source.infolist()}
        wanted = [name for name in members if name.endswith(("data.pkl", "config.json", ".h5"))]
        changed = wanted[int(rng.integers(len(wanted)))]
        for name, content in members.items():
            target.writestr(name, mutated(content, rng) if name == changed else content)
    return made.getvalue()


def attempt(path):
    """Load a file: "network", "sentence", or what else happened."""
    with open(os.devnull, "wb") as nowhere:  # TensorFlow prints
        os.dup2(nowhere.fileno(), 2)
    try:
        weights.load_model(path, allow_nan=True, report=lambda _: None)
        return "network"
    except (ValueError, OSError) as error:
        named = str(path) in str(error)
        return "sentence" if named else f"unnamed: {str(error)[:99]!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:99]!r}"


def _listed():
    return list(corpus())


def run(seconds, seed, keep):
    """Load mutated files, each in a limited child, until the time is over.

    Args:
        seconds: How long.
        seed: The same seed makes the same files in the same order.
        keep: Folder for those that fail.

    Returns:
        Counter of outcomes; those of each format are printed.
    """
    limited.SECONDS = _SECONDS
    weights.load_model  # noqa: B018  imports TensorFlow once, before the children
    counts, of_kind = collections.Counter(), collections.defaultdict(collections.Counter)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # TensorFlow's threads end at a fork
        files = pool.submit(_listed).result()
    keep.mkdir(parents=True, exist_ok=True)
    (keep / "a.bin").write_bytes(bytes(24))
    ends = time.monotonic() + seconds
    for first in itertools.count(0, _BATCH):
        if time.monotonic() > ends:
            break
        chosen = [files[number % len(files)] for number in range(first, first + _BATCH)]
        paths = [
            _write(keep, seed, first + i, kind, ending, data)
            for i, (kind, ending, data) in enumerate(chosen)
        ]
        for path, found, (kind, _, _) in zip(
            paths, limited.outcomes(attempt, paths), chosen, strict=True
        ):
            counts[found] += 1
            of_kind[kind][found] += 1
            if found in EXPECTED:
                path.unlink()
    (keep / "a.bin").unlink()
    for kind, of in of_kind.items():
        for found, number in of.items():
            print(f"{kind}: {number} {found}")  # noqa: T201
    return counts


def _write(folder, seed, number, kind, ending, data):
    path = folder / f"w-{seed}-{number}{ending}"
    path.write_bytes(forged(kind, data, np.random.default_rng([seed, number])))
    return path
