"""Mutated and forged weight files of every format, and those that once failed, mutated again."""

import collections
import contextlib
import io
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from tests.fuzz.pictures import mutated
from weights.load import load_model  # and with it TensorFlow, before the children are made

GOLDEN = Path(__file__).parent.parent / "golden"
NAME = "weights"
BATCH = 64  # inputs a child
SECONDS = 20  # for one
EXPECTED = ("network", "sentence")
BESIDE = {"a.bin": bytes(24)}  # numbers of a TensorFlow.js manifest
_ARGUMENTS = ("num_filters", "num_res_blocks", "heads", "num_blocks", "scale", "dim", "depth")
_VALUES = (0, -1, 1, 2, 4096, 10**9, 1e308, None, True, "4", [1], [], {}, [0] * 4, [4096] * 4)


def corpus():
    """Yield ``(format, file ending, bytes)`` of sound files in every format, and of the cases."""
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
    manifest = [{"weights": entries, "paths": list(BESIDE)}]
    yield ".json", ".json", json.dumps(manifest).encode()
    for path in sorted((GOLDEN / "cases" / "weights").iterdir()):
        yield path.suffix, path.suffix, path.read_bytes()


def chosen(corpus, number):
    """The file of which a number's is a damaged copy: formats in turn, and each one's files."""
    formats = collections.defaultdict(list)
    for entry in corpus:
        formats[entry[0]].append(entry)
    of_format = list(formats.values())[number % len(formats)]
    sound, turn = of_format[0], number // len(formats)
    return sound if turn % 2 else of_format[turn // 2 % len(of_format)]


def damaged(kind, data, rng):
    """Return a file of a format with something else claimed in it, or mutated bytes."""
    with contextlib.suppress(ValueError, KeyError, zipfile.BadZipFile):  # of cases
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
        load_model(path, allow_nan=True, report=lambda _: None)
        return "network"
    except (ValueError, OSError) as error:
        named = str(path) in str(error)
        return "sentence" if named else f"unnamed: {str(error)[:99]!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:99]!r}"
