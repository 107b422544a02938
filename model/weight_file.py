"""Weight files: Keras 3's ``.weights.h5`` layout with a note on the network, and Keras 2's.

Keras writes and reads its own layout; this module adds the note (builder, arguments, and whatever
the training wrote: data, steps, scores) as one JSON attribute, checks a file tensor by tensor
before it touches the network, and maps the older layout with tensorflow-addons' weight
normalisation onto `WeightNormConv2D`.
"""

import itertools
import json
import os
from pathlib import Path

import h5py
import keras
import numpy as np
from keras.src.utils import naming

from model.layers import WeightNormConv2D

_NOTE = "sr"


def save(model, path, overwrite=True, *, half=False):
    """Write `model`'s weights and its builder to `path`; see `SRModel.save_weights`."""
    path = Path(path)
    if path.suffix != ".h5":
        raise ValueError(f"a weight file's name must end in .h5, got {path}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already; give overwrite=True to replace it")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.weights.h5")
    try:
        keras.Model.save_weights(model, partial)
        if half:
            _halve(partial)
        built_by = model.built_by
        note = {"parameters": model.count_params()}
        if built_by:
            note |= {"builder": built_by.name, "arguments": built_by.arguments}
        write_note(partial, note)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _halve(path):
    """Store the tensors of a file of float32 as float16."""
    with h5py.File(path) as file:
        tensors = {name: tensor[()] for name, tensor in _tensors(file).items()}
        groups = {}
        file.visititems(lambda name, node: groups.update({name: dict(node.attrs)}))
    if large := [name for name, tensor in tensors.items() if np.abs(tensor).max() > 65504]:
        raise ValueError(f"numbers too large for 16 bits (65504): {_first_ten(large)}")
    with h5py.File(path, "w", libver=("v110", "v110")) as file:  # a quarter less for names
        for name, attributes in groups.items():
            if name in tensors:
                node = file.create_dataset(name, data=tensors[name].astype(np.float16))
            else:
                node = file.require_group(name)
            node.attrs.update(attributes)


def read_note(path):
    """Return what a weight file says of itself: a dict, empty for files from elsewhere."""
    with _open(path) as file:
        return json.loads(file.attrs.get(_NOTE, "{}"))


def write_note(path, facts):
    """Add `facts` (a JSON-ready dict) to what a weight file says of itself."""
    note = read_note(path) | facts
    with h5py.File(path, "r+") as file:
        file.attrs[_NOTE] = json.dumps(note)


def keras2_layers(path):
    """Return the layers of a file in Keras 2's layout: pairs of name and dict of tensor shapes.

    Layers without tensors are among them, which tells of a network what its tensors do not. The
    list is empty for other HDF5 files. No code in the file (a Lambda's) is looked at.

    Raises:
        ValueError: The file is not whole HDF5.
    """
    with _open(path) as file:
        _refuse_bomb(path, file)
        group = file.get("model_weights", file)
        return [
            (
                name,
                {_leaf(n): group[name][n].shape for n in _text_list(group[name], "weight_names")},
            )
            for name in _text_list(group, "layer_names")
        ]


def load(model, path):
    """Read `path` into `model`; see `SRModel.load_weights`."""
    path = Path(path)
    with _open(path) as file:
        _refuse_bomb(path, file)
        group = file.get("model_weights", file)
        if _text_list(group, "layer_names"):
            _load_keras2(model, group, path)
            return
        # Keras writes the optimiser of a compiled model into the same file
        tensors = {n: t for n, t in _tensors(file).items() if not n.startswith("optimizer/")}
        compare(path, _expected(model), {name: t.shape for name, t in tensors.items()})
        for layer, prefix in _layer_paths(model):
            layer.set_weights(
                [tensors[f"{prefix}/vars/{i}"][()] for i in range(len(layer.weights))]
            )


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
    note, built_by = read_note(path), model.built_by
    differing = built_by.arguments.items() ^ note.get("arguments", {}).items()
    if note.get("builder") != built_by.name or {name for name, _ in differing} - {"scale"}:
        there = f"{note.get('builder')}, {note.get('arguments')}"
        raise ValueError(f"{path} is of {there}; needed is {built_by.name}, {built_by.arguments}")
    left = []
    with _open(path) as file:
        tensors = _tensors(file)
        for layer, prefix in _layer_paths(model):
            found = [tensors.get(f"{prefix}/vars/{i}") for i in range(len(layer.weights))]
            if [getattr(t, "shape", None) for t in found] == [w.shape for w in layer.weights]:
                layer.set_weights([tensor[()] for tensor in found])
            else:
                left.append(layer.name)
    return left


def _open(path):
    if not Path(path).is_file():
        raise FileNotFoundError(f"no weight file at {path}")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is not a whole HDF5 weight file: {error}") from error


def _refuse_bomb(path, file):
    """HDF5 may declare numbers that are not in the file: do not make room for them."""
    declared, size = sum(t.nbytes for t in _tensors(file).values()), Path(path).stat().st_size
    if declared > 4 * size + 2**20:
        raise ValueError(f"{path} has {size} bytes and would unpack to {declared}")


def _tensors(file):
    found = {}
    file.visititems(
        lambda name, node: found.update({name: node}) if isinstance(node, h5py.Dataset) else None
    )
    return found


def _layer_paths(model):
    """Pairs of a layer and its place in Keras 3's layout: class name, numbered from the second."""
    counts = {}
    for layer in model.layers:
        name = naming.to_snake_case(type(layer).__name__)
        number = counts[name] = counts.get(name, -1) + 1
        yield layer, f"layers/{name}_{number}" if number else f"layers/{name}"


def _expected(model):
    return {
        f"{prefix}/vars/{i}": tuple(weight.shape)
        for layer, prefix in _layer_paths(model)
        for i, weight in enumerate(layer.weights)
    }


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


def _load_keras2(model, group, path):
    """Read the Keras 2 layout: groups of tensors, matched with the layers by name or order."""
    groups = [group[name] for name in _text_list(group, "layer_names")]
    groups = [g for g in groups if _text_list(g, "weight_names")]
    layers = [layer for layer in model.layers if layer.weights]
    matched = _matched(layers, groups)
    values = {layer: _keras2_values(layer, source) for layer, source in matched if layer and source}
    compare(
        path,
        {f"{layer.name}/{i}": w.shape for layer in layers for i, w in enumerate(layer.weights)},
        {f"{layer.name}/{i}": v.shape for layer, vs in values.items() for i, v in enumerate(vs)}
        | {source.name: "a layer too many" for layer, source in matched if not layer},
    )
    for layer, arrays in values.items():
        layer.set_weights(arrays)


def _matched(layers, groups):
    """Pairs of a layer and its group of tensors; None stands for what has no partner.

    keras-vggface named its layers with ``/``, and `model.vggface` the same with ``_``; its
    classifier is not part of our network. All other files are matched by order: their names count
    up from whatever else was built before.
    """
    names = [source.name.removeprefix("/").removeprefix("model_weights/") for source in groups]
    if not any("/" in name for name in names):
        return list(itertools.zip_longest(layers, groups))
    of_name = dict(zip((name.replace("/", "_") for name in names), groups, strict=True))
    of_name.pop("classifier", None)
    pairs = [(layer, of_name.pop(layer.name, None)) for layer in layers]
    return pairs + [(None, source) for source in of_name.values()]


def _keras2_values(layer, source):
    """Arrays of one group in the order of `layer.weights`.

    tensorflow-addons wrote ``g, kernel, bias, initialized``; while `initialized` is False, its
    magnitude is still that of the kernel. A plain convolution in the file is one as well.
    """
    named = {_leaf(name): source[name][()] for name in _text_list(source, "weight_names")}
    has_magnitude = named.pop("initialized", True) and "g" in named
    if not isinstance(layer, WeightNormConv2D) or "kernel" not in named:
        return list(named.values())
    norm = np.sqrt(np.sum(np.square(named["kernel"]), axis=(0, 1, 2)))
    bias = [named["bias"]] if "bias" in named else []
    return [named["g"] if has_magnitude else norm, named["kernel"], *bias]


def _text_list(group, name):
    """Names in an attribute; Keras 2 split long ones into ``name0``, ``name1``, …."""
    parts = (
        [name]
        if name in group.attrs
        else sorted(
            (a for a in group.attrs if a.removeprefix(name).isdigit()),
            key=lambda a: int(a[len(name) :]),
        )
    )
    return [_text(text) for part in parts for text in group.attrs[part]]


def _leaf(name):
    """``kernel`` of ``conv2d/kernel:0``."""
    return name.split("/")[-1].split(":")[0]


def _text(name):
    return name.decode() if isinstance(name, bytes) else name
