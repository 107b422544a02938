"""Weights made elsewhere: find out which network they are for, load them, write them anew.

Formats are read by `tensor_file` (PyTorch, safetensors, NumPy) and `model.weight_file` (Keras 2),
networks recognised by `torch_networks` and `keras2_networks`. Nothing in a file is ever run.
"""

import os
from pathlib import Path

import h5py
import numpy as np

from model import weight_file
from weights import keras2_networks, recognised, torch_networks
from weights.download import sha256_of
from weights.tensor_file import read_tensors

ENDING = ".weights.h5"
_CHECK_PX = 32  # the smallest side every network takes
_UNKNOWN_LICENCE = "not stated; that of the origin applies"


def is_foreign(path):
    """Whether a file is one that `load_foreign` reads, not one this library wrote."""
    return not h5py.is_hdf5(path) or not weight_file.read_note(path).get("builder")


def load_foreign(paths, arguments=None, *, allow_nan=False, report=print):
    """Build the network that weights from elsewhere belong to, and load them.

    Args:
        paths: One file, or several whose tensors belong together (LPIPS: torchvision's network and
            the linear layers).
        arguments: Builder's arguments that replace what is recognised, for what a file cannot say
            (``{"res_block_scaling": 0.1}``), or None.
        allow_nan: Whether numbers that are not finite are let through.
        report: Called with one sentence on what was recognised.

    Returns:
        The network, an `SRModel` with this library's picture contract.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: A file is damaged, refused, of no known network, or lacks tensors.
    """
    paths = [Path(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    shown = " + ".join(str(path) for path in paths)
    if missing := [path for path in paths if not path.is_file()]:
        raise FileNotFoundError(f"no weight file at {missing[0]}")
    if h5py.is_hdf5(paths[0]):
        found = _recognised_hdf5(paths[0])
        model = recognised.new_model(found, arguments)
        model.load_weights(paths[0])
    else:
        found = _recognised_tensors(paths, shown)
        model = recognised.build(found, shown, arguments)
    if not allow_nan:
        refuse_nan(model, shown)
    report(f"{shown}: {_decided(found, model, arguments or {})}")
    return model


def _recognised_hdf5(path):
    layers = weight_file.keras2_layers(path)
    found = keras2_networks.recognise(layers)
    if found is None:
        with h5py.File(path, "r") as file:
            keras3 = "layers" in file
        names = ", ".join(name for name, shapes in layers if shapes)
        raise ValueError(
            f"{path} does not say which network it is for; build one and call its "
            "load_weights(path) instead"
            if keras3
            else f"{path} is HDF5 of no network known here: its layers with tensors are {names}"
            if names
            else f"{path} is HDF5 without a network's weights"
        )
    return found


def _recognised_tensors(paths, shown):
    tensors = {}
    for path in paths:
        tensors |= read_tensors(path)
    found = torch_networks.recognise(tensors)
    if found is None:
        names = ", ".join(list(tensors)[:10])
        raise ValueError(f"{shown} holds no network known here: its first tensors are {names}")
    return found


def refuse_nan(model, shown):
    """Raise `ValueError` if a network's weights are not all finite; `shown` is the file."""
    bad = [w.path for w in model.weights if not np.isfinite(np.asarray(w)).all()]
    if bad:
        raise ValueError(
            f"{shown} has numbers that are not finite in {', '.join(bad[:10])}; --allow-nan "
            "(allow_nan=True) loads it all the same"
        )


def _decided(found, model, overrides):
    built_by = model.built_by
    arguments = ", ".join(f"{k}={v!r}" for k, v in built_by.arguments.items())
    text = f"{found.name}, {built_by.name}({arguments})"
    if found.guessed and not any(name in found.guessed for name in overrides):
        text += f"; the file does not say {found.guessed}"
    return f"{text}; {found.remark}" if found.remark else text


def convert(paths, out=None, *, arguments=None, allow_nan=False, origin=None, report=print):
    """Write weights from elsewhere as a file of this library, and check it.

    The file notes where it came from: origin, sha256 of the sources, and licence. The check loads
    it into a new network and runs a random picture through that and through the one loaded from
    the source's layout: the answers must be the same, bit for bit.

    Args:
        paths: As for `load_foreign`.
        out: Where to write, ``*.h5``; None: beside the first source, ending in ``.weights.h5``.
        arguments: As for `load_foreign`.
        allow_nan: As for `load_foreign`.
        origin: Dict to note in the file, such as ``{"url": …, "licence": …}``, or None.
        report: Called with sentences on what was recognised and checked.

    Returns:
        Path of the file written.

    Raises:
        FileNotFoundError, ValueError: As for `load_foreign`.
        OSError: The file could not be written, or does not give the same answer.
    """
    paths = [Path(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    out = target_of(paths[0], out)
    if any(path.resolve() == out.resolve() for path in paths):
        raise ValueError(f"{out} is the source itself: name another file to write")
    model = load_foreign(paths, arguments, allow_nan=allow_nan, report=report)
    model.save_weights(out)
    note = {
        "origin": [path.name for path in paths],
        "source_sha256": [sha256_of(path) for path in paths],
        "licence": _UNKNOWN_LICENCE,
    }
    weight_file.write_note(out, note | (origin or {}))
    report(f"{out}: {_check(model, out)}")
    return out


def target_of(source, out=None):
    """Return where `convert` writes: `out`, or beside the source."""
    source = Path(source)
    stem = source.name.removesuffix(ENDING).removesuffix(source.suffix)
    return Path(out) if out else source.with_name(stem + ENDING)


def _check(model, out):
    again = type(model).from_config(model.get_config())
    again.load_weights(out)
    random = np.random.default_rng(0)
    pictures = [
        random.uniform(0, 255, [1, *(n or _CHECK_PX for n in t.shape[1:])]).astype("f4")
        for t in model.inputs
    ]
    pictures = pictures[0] if len(pictures) == 1 else pictures
    answers = [np.asarray(network(pictures, training=False)) for network in (model, again)]
    if not np.array_equal(*answers, equal_nan=True):
        out.unlink()
        raise OSError(f"{out} did not give the same picture as its source and was removed")
    return (
        f"written and checked, {len(model.weights)} tensors, {model.count_params():,} numbers; a "
        "random picture comes out the same"
    )
