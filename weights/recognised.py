"""A network found in a file, and how its tensors come into ours.

Tensors keep PyTorch's names and layout until the very end: every name and shape is compared with
the network first, then each layer takes its tensors, axes turned from (out, in, height, width) to
Keras' order.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np

from model import weight_file
from model.weight_contents import WeightFile
from weights.builders import check_arguments, check_blocks, laid_out, make_variables

_LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _by_name(model, tensors):
    """Pair layers with tensor prefixes: a layer's name is the prefix with dots as underscores."""
    prefixes = {name.rpartition(".")[0] for name in tensors}
    of_layer = {prefix.replace(".", "_"): prefix for prefix in prefixes}
    return [(layer, of_layer.get(layer.name, layer.name)) for layer in model.layers]


@dataclass(frozen=True)
class Recognised:
    """A network found in a file.

    Args:
        name: What the network is called, for messages.
        builder: Function of this library that builds it.
        arguments: Its arguments, as read from the tensors or a note.
        tensors: The tensors, names in one style.
        fold: From tensors and the builder's arguments to tensors whose values mean what ours mean.
        pair: From model and tensors to pairs of a layer and the prefix of its tensors' names.
        guessed: What the file cannot say, and what is taken instead; empty if nothing.
        remark: What a user should know besides, such as the licence of published weights.
        file: A file in a layout of Keras, in place of `tensors`.
    """

    name: str
    builder: Callable
    arguments: dict
    tensors: dict = field(default_factory=dict)
    fold: Callable = lambda tensors, arguments: tensors
    pair: Callable = _by_name
    guessed: str = ""
    remark: str = ""
    file: WeightFile | None = None


def build(recognised, path, arguments=None):
    """Build a recognised network with its tensors in it.

    What the arguments ask for is compared with what the file holds before room is made for it.

    Args:
        recognised: What `recognise` returned.
        path: The file, for messages.
        arguments: Builder's arguments that replace the recognised ones, or None.

    Raises:
        ValueError: Tensors are missing, unexpected or of another shape, or the builder takes no
            such arguments.
    """
    builder, file = recognised.builder, recognised.file
    arguments = recognised.arguments | (arguments or {})
    check_arguments(builder, arguments)
    if file is None or not file.known:
        check_blocks(builder, arguments, len(file.tensors if file else recognised.tensors), path)
    model = laid_out(builder, arguments)
    make_variables(model, _matched(model, recognised, path))
    return model


def _matched(model, recognised, path):
    """Dict from layer to its arrays, in the order of its weights."""
    if recognised.file:
        return weight_file.matched(model, recognised.file)
    tensors = recognised.tensors
    places = {
        f"{prefix}.{_LEAVES.get(weight.name, weight.name)}": (layer, weight)
        for layer, prefix in recognised.pair(model, tensors)
        for weight in layer.weights
    }
    weight_file.compare(
        path,
        {name: _torch_shape(layer, weight) for name, (layer, weight) in places.items()},
        {name: tensor.shape for name, tensor in tensors.items()},
    )
    tensors = recognised.fold(tensors, model.built_by.arguments)
    arrays = {}
    for name, (layer, weight) in places.items():
        axes = _keras_axes(layer, weight)
        array = tensors[name].transpose(axes) if axes else tensors[name]
        arrays.setdefault(layer, []).append(array)
    return arrays


def _keras_axes(layer, weight):
    """Axes of a PyTorch tensor in Keras' order, None for a vector."""
    if len(weight.shape) == 4:
        return (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return (1, 0) if isinstance(layer, keras.layers.Dense) and len(weight.shape) == 2 else None


def _torch_shape(layer, weight):
    axes = _keras_axes(layer, weight)
    return tuple(np.array(weight.shape)[np.argsort(axes)].tolist()) if axes else weight.shape


def count_blocks(tensors, pattern):
    """Number of blocks: how many different indices `pattern` finds in the names."""
    found = (re.match(pattern, name) for name in tensors)
    return len({match[1] for match in found if match})


def renamed(tensors, rules):
    """Names brought to one style by the first of `rules` (pattern, replacement) that fits each."""

    def rename(name):
        for pattern, replacement in rules:
            if re.match(pattern, name):
                return re.sub(pattern, replacement, name)
        return name

    return {rename(name): tensor for name, tensor in tensors.items()}


def shuffle_order(channels, scale):
    """Places in PyTorch's pixel-shuffle order (colour first) of ours (position first)."""
    return np.arange(channels * scale**2).reshape(channels, scale**2).T.ravel()
