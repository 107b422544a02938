"""Load any weight file, and write it anew as a file of this library.

Files are read by `weights.read`, networks recognised by `torch_networks` and `keras2_networks`.
Nothing in a file is ever run.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from model import weight_file
from model.keras2_file import leaf_shapes
from weights import keras2_networks, recognised, torch_networks
from weights.builders import builder_named
from weights.download import sha256_of
from weights.read import read
from weights.recognised import Recognised

ENDING = ".weights.h5"
_CHECK_PX = 32  # the smallest side every network takes
UNKNOWN_LICENCE = "not stated; that of the origin applies"
_OF_THE_NETWORK = ("builder", "arguments", "parameters")  # in a note; the rest is its history


def is_foreign(path):
    """Whether a file was written elsewhere, and does not say which network it is of."""
    return not read(path).note.get("builder")


def load_foreign(paths, arguments=None, *, allow_nan=False, report=print):
    """Build the network that weights from anywhere belong to, and load them.

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
    files = [read(path) for path in _paths(paths)]
    return load_files(files, arguments, allow_nan=allow_nan, report=report)


def _paths(paths):
    return [Path(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]


def load_files(files, arguments=None, *, allow_nan=False, report=print):
    """As `load_foreign`, from files that are read: a list of `WeightFile`."""
    shown = " + ".join(str(file.path) for file in files)
    try:
        found = _recognised(files, shown)
        model = recognised.build(found, shown, arguments)
    except ValueError as error:
        if str(files[0].path) in str(error):
            raise
        raise ValueError(f"{shown}: {error}") from error
    if not allow_nan:
        refuse_nan(model, shown)
    loss_db = files[0].note.get("half_loss_db")
    model.half_loss_db = loss_db if isinstance(loss_db, float) else None
    if not files[0].note.get("builder"):
        report(f"{shown}: {_decided(found, model, arguments or {})}")
    return model


def _recognised(files, shown):
    first = files[0]
    if name := first.note.get("builder"):
        builder = builder_named(name, first.path)
        return Recognised(name, builder, first.note["arguments"], file=first)
    if first.layers is not None:
        return _recognised_hdf5(first)
    tensors = {name: tensor for file in files for name, tensor in file.tensors.items()}
    found = torch_networks.recognise(tensors)
    if found is None:
        names = ", ".join(list(tensors)[:10])
        raise ValueError(f"{shown} holds no network known here: its first tensors are {names}")
    return found


def _recognised_hdf5(file):
    layers = [(name, leaf_shapes(arrays)) for name, arrays in file.layers]
    found = keras2_networks.recognise(layers)
    if found is None:
        names = ", ".join(name for name, shapes in layers if shapes)
        raise ValueError(
            f"{file.path} does not say which network it is for; build one and call its "
            "load_weights(path) instead"
            if file.keras3
            else f"{file.path} is HDF5 of no network known here: its layers with tensors are "
            f"{names}"
            if names
            else f"{file.path} is HDF5 without a network's weights"
        )
    return replace(found, file=file)


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
    """Write the weights of any file as a file of this library, and check it.

    The file notes where it came from: origin, sha256 of the sources, and licence. The check loads
    it into a new network and runs a random picture through that and through the one loaded from
    the source's layout: the outputs must be the same, bit for bit.

    Args:
        paths: As for `load_foreign`.
        out: Where to write, ``*.h5`` or ``*.safetensors``; None: beside the first source, ending in
            ``.weights.h5``.
        arguments: As for `load_foreign`.
        allow_nan: As for `load_foreign`.
        origin: Dict to note in the file, such as ``{"url": …, "licence": …}``, or None.
        report: Called with sentences on what was recognised and checked.

    Returns:
        Path of the file written.

    Raises:
        FileNotFoundError, ValueError: As for `load_foreign`.
        OSError: The file could not be written, or does not give the same output.
    """
    paths = _paths(paths)
    out = target_of(paths[0], out)
    if any(path.resolve() == out.resolve() for path in paths):
        raise ValueError(f"{out} is the source itself: name another file to write")
    files = [read(path) for path in paths]
    model = load_files(files, arguments, allow_nan=allow_nan, report=report)
    model.save_weights(out, half=_is_half(files))
    history = {k: v for k, v in files[0].note.items() if k not in _OF_THE_NETWORK}
    note = {
        "origin": [path.name for path in paths],
        "source_sha256": [sha256_of(path) for path in paths],
        "licence": UNKNOWN_LICENCE,
    }
    weight_file.write_note(out, note | history | (origin or {}))
    report(f"{out}: {_check(model, out)}")
    return out


def target_of(source, out=None):
    """Return where `convert` writes: `out`, or beside the source."""
    source = Path(source)
    stem = source.name.removesuffix(ENDING).removesuffix(source.suffix)
    return Path(out) if out else source.with_name(stem + ENDING)


def _is_half(files):
    """Whether a file of this library holds float16: it stays as small as it is."""
    types = {tensor.dtype for tensor in files[0].tensors.values()}
    return bool(files[0].note.get("builder")) and types == {np.dtype("f2")}


def _check(model, out):
    again = type(model).from_config(model.get_config())
    again.load_weights(out)
    random = np.random.default_rng(0)
    pictures = [
        random.uniform(0, 255, [1, *(n or _CHECK_PX for n in t.shape[1:])]).astype("f4")
        for t in model.inputs
    ]
    pictures = pictures[0] if len(pictures) == 1 else pictures
    outputs = [np.asarray(network(pictures, training=False)) for network in (model, again)]
    if not np.array_equal(*outputs, equal_nan=True):
        out.unlink()
        raise OSError(f"{out} did not give the same picture as its source and was removed")
    return (
        f"written and checked, {len(model.weights)} tensors, {model.count_params():,} numbers; a "
        "random picture comes out the same"
    )
