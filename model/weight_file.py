"""Weight files: Keras 3's layout with a note on the network, in HDF5 or safetensors; and Keras 2's.

The note (builder, arguments, and whatever the training wrote: data, steps, scores) is JSON, in one
attribute of an HDF5 file or in the metadata of a safetensors file. A file is compared with the
network tensor by tensor before it touches it.
"""

import hashlib
import json
import os
from pathlib import Path

import h5py
import keras
import numpy as np
from keras.src.utils import naming

from model import hdf5_file, keras2_file, safetensors_file
from model.weight_contents import read, remember

ENDINGS = (".h5", ".safetensors")
_LARGEST_HALF = 65504
_DROPPED_BITS = 3  # of float16's 10 of a fraction; bfloat16, in which networks are run, has 7
_LEAST_PACKED = 256  # numbers; below that HDF5's tables of chunks outweigh what packing saves


def save(model, path, overwrite=True, *, half=False):
    """Write `model`'s weights and its builder to `path`; see `SRModel.save_weights`."""
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ValueError(f"a weight file's name must end in {' or '.join(ENDINGS)}, got {path}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already; give overwrite=True to replace it")
    path.parent.mkdir(parents=True, exist_ok=True)
    note = {"parameters": model.count_params()}
    if model.built_by:
        note |= {"builder": model.built_by.name, "arguments": model.built_by.arguments}
    write = _write_hdf5 if path.suffix == ".h5" else _write_safetensors
    _replace(path, lambda partial: write(model, partial, note, half))


def _replace(path, write):
    """Let `write` make a file beside `path`, and put it in its place when it is complete."""
    partial = path.with_name(f".{path.name[:200]}.{os.getpid()}.weights.h5")
    try:
        write(partial)
        remember(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write_hdf5(model, path, note, half):
    keras.Model.save_weights(model, path)
    if half:
        _halve(path)
    with h5py.File(path, "r+") as file:
        file.attrs[hdf5_file.NOTE] = json.dumps(note)


def _write_safetensors(model, path, note, half):
    tensors = {
        f"{prefix}/vars/{i}": np.asarray(weight)
        for layer, prefix in _layer_paths(model)
        for i, weight in enumerate(layer.weights)
    }
    metadata = {hdf5_file.NOTE: json.dumps(note)}
    safetensors_file.write(path, _halved(tensors) if half else tensors, metadata)


def _halve(path):
    """Store the tensors of a file of float32 as float16."""
    with h5py.File(path) as file:
        nodes = {}
        file.visititems(lambda name, node: nodes.update({name: node}))
        attributes = {name: dict(node.attrs) for name, node in nodes.items()}
        tensors = {n: node[()] for n, node in nodes.items() if isinstance(node, h5py.Dataset)}
    tensors = _halved(tensors)
    with h5py.File(path, "w", libver=("v110", "v110")) as file:  # a quarter less for names
        for name, of_node in attributes.items():
            if name in tensors:
                node = _write_tensor(file, name, tensors[name])
            else:
                node = file.require_group(name)
            node.attrs.update(of_node)


def _write_tensor(file, name, tensor):
    """Make a data set; 16-bit numbers are packed."""
    packed = tensor.dtype == np.float16 and tensor.size >= _LEAST_PACKED
    options = {"compression": "gzip", "compression_opts": 9, "shuffle": True} if packed else {}
    return file.create_dataset(name, data=tensor, **options)


def _halved(tensors):
    if large := [n for n, tensor in tensors.items() if np.abs(tensor).max() > _LARGEST_HALF]:
        raise ValueError(f"numbers too large for 16 bits ({_LARGEST_HALF}): {_first_ten(large)}")
    return {name: _rounded(tensor) for name, tensor in tensors.items()}


def _rounded(tensor):
    """As float16; unless it was that before, rounded so that deflate finds zeros in it."""
    half = tensor.astype(np.float16)
    if np.array_equal(half, tensor):
        return half
    step = np.uint16(1 << _DROPPED_BITS)
    nearest = ((half.view(np.uint16) + step // 2) // step * step).view(np.float16)
    return np.where(np.isfinite(nearest), nearest, half)


def read_note(path):
    """Return what a weight file says of itself: a dict, empty for files from elsewhere."""
    return read(path, note_only=True).note


def digest(model_or_arrays):
    """Sixteen hexadecimal digits of a network's weights, or of a list of arrays."""
    arrays = getattr(model_or_arrays, "weights", model_or_arrays)
    sha = hashlib.sha256()
    for array in map(np.asarray, arrays):
        sha.update(f"{array.dtype} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def write_note(path, facts):
    """Add `facts` (a JSON-ready dict) to what a weight file says of itself."""
    path = Path(path)
    found = read(path)
    hdf5 = hdf5_file.is_hdf5(path)
    if hdf5 and not found.keras3:
        raise ValueError(f"{path} is not a file of this library: convert it first")
    text = json.dumps(found.note | facts)

    def write(partial):
        if not hdf5:
            safetensors_file.write(partial, found.tensors, {hdf5_file.NOTE: text})
            return
        with h5py.File(partial, "w", libver=("v110", "v110")) as file:
            for name, tensor in found.tensors.items():
                _write_tensor(file, name, tensor)
            file.attrs[hdf5_file.NOTE] = text

    _replace(path, write)


def load(model, path):
    """Read `path` into `model`; see `SRModel.load_weights`."""
    fill(matched(model, read(path)))


def fill(arrays_of_layers):
    """Give layers their arrays, a dict as `matched` returns it."""
    for layer, arrays in arrays_of_layers.items():
        layer.set_weights(arrays)


def matched(model, found):
    """Compare a file with a network, which needs no values yet.

    Args:
        model: The network.
        found: `WeightFile` in one of the layouts of Keras.

    Returns:
        Dict from layer to its arrays.

    Raises:
        ValueError: Tensors are missing, unexpected or of another shape; names them.
    """
    if found.layers:
        return _matched_keras2(model, found)
    places = {
        layer: [f"{prefix}/vars/{i}" for i in range(len(layer.weights))]
        for layer, prefix in _layer_paths(model)
    }
    expected = {
        name: tuple(weight.shape)
        for layer, names in places.items()
        for name, weight in zip(names, layer.weights, strict=True)
    }
    compare(found.path, expected, {name: t.shape for name, t in found.tensors.items()})
    return {
        layer: [found.tensors[name] for name in names] for layer, names in places.items() if names
    }


def _matched_keras2(model, found):
    values, left_over = keras2_file.matched(model, found.layers)
    layers = [layer for layer in model.layers if layer.weights]
    compare(
        found.path,
        {f"{layer.name}/{i}": w.shape for layer in layers for i, w in enumerate(layer.weights)},
        {f"{layer.name}/{i}": v.shape for layer, vs in values.items() for i, v in enumerate(vs)}
        | dict.fromkeys(left_over, "a layer too many"),
    )
    return values


def load_other_scale(model, path):
    """Read what a file of the same network at another scale has in common with `model`.

    Tensors are taken where name and shape agree; those of the layers that enlarge do not, and stay
    as they are in `model`. Reference: arXiv:1707.02921, section 3.3.

    Args:
        model: A network made by a builder with a `scale`.
        path: File of `SRModel.save_weights`.

    Returns:
        Names of the layers that were left as they are.

    Raises:
        ValueError: The file belongs to a network that differs in more than its scale.
    """
    found, built_by = read(path), model.built_by
    there, here = found.note.get("arguments", {}), json.loads(json.dumps(built_by.arguments))
    differing = [n for n in there if n != "scale" and (n not in here or there[n] != here[n])]
    if found.note.get("builder") != built_by.name or differing:
        of = f"{found.note.get('builder')}, {there}"
        raise ValueError(f"{path} is of {of}; needed is {built_by.name}, {here}")
    left = []
    for layer, prefix in _layer_paths(model):
        arrays = [found.tensors.get(f"{prefix}/vars/{i}") for i in range(len(layer.weights))]
        if [getattr(t, "shape", None) for t in arrays] == [w.shape for w in layer.weights]:
            layer.set_weights(arrays)
        else:
            left.append(layer.name)
    return left


def _layer_paths(model):
    """Pairs of a layer and its place in Keras 3's layout: class name, numbered from the second."""
    counts = {}
    for layer in model.layers:
        name = naming.to_snake_case(type(layer).__name__)
        number = counts[name] = counts.get(name, -1) + 1
        yield layer, f"layers/{name}_{number}" if number else f"layers/{name}"


def compare(path, expected, found):
    """Raise `ValueError` with at most ten names of each kind of difference.

    Args:
        path: The file, for the message.
        expected: Dict from tensor name to shape, as the network has them.
        found: The same, as the file has them.
    """
    wrong = [
        f"{name} is {found[name]}, not {expected[name]}"
        for name in expected.keys() & found.keys()
        if tuple(found[name]) != tuple(expected[name])
    ]
    differences = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "wrong shape": sorted(wrong),
    }
    lines = [f"  {kind}: {_first_ten(names)}" for kind, names in differences.items() if names]
    if lines:
        raise ValueError("\n".join([f"{path} holds the weights of another network", *lines]))


def _first_ten(names):
    rest = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + rest
