"""The tensors of Keras 2's weight files, matched with a network's layers.

Files of krasserm/super-resolution keep weight normalisation as tensorflow-addons wrote it, and
those of keras-vggface name their layers with slashes.
"""

import itertools

import numpy as np

from model.layers import WeightNormConv2D


def leaf(name):
    """``kernel`` of ``conv2d/kernel:0``."""
    return name.split("/")[-1].split(":")[0]


def leaf_shapes(tensors):
    """Shapes by leaf name."""
    return {name: array.shape for name, array in tensors.items()}


def matched(model, layers):
    """Pair a network's layers with a file's tensors, by name or order.

    Args:
        model: The network.
        layers: Pairs of a layer's name in the file and dict from `leaf` name to array.

    Returns:
        Dict from layer to its arrays in the order of its weights, and the names of the file's
        layers that have no partner.
    """
    groups = [(name, tensors) for name, tensors in layers if tensors]
    pairs = _pairs([layer for layer in model.layers if layer.weights], groups)
    values = {layer: _values(layer, group[1]) for layer, group in pairs if layer and group}
    return values, [group[0] for layer, group in pairs if not layer]


def _pairs(layers, groups):
    """Pairs of a layer and its group of tensors; None stands for what has no partner.

    keras-vggface named its layers with ``/``, and `model.vggface` the same with ``_``; its
    classifier is not part of our network. All other files are matched by order: their names count
    up from whatever else was built before.
    """
    names = [name for name, _ in groups]
    if not any("/" in name for name in names):
        return list(itertools.zip_longest(layers, groups))
    of_name = dict(zip((name.replace("/", "_") for name in names), groups, strict=True))
    of_name.pop("classifier", None)
    pairs = [(layer, of_name.pop(layer.name, None)) for layer in layers]
    return pairs + [(None, group) for group in of_name.values()]


def _values(layer, tensors):
    """Arrays of one group in the order of `layer.weights`.

    tensorflow-addons wrote ``g, kernel, bias, initialized``; while `initialized` is False, its
    magnitude is still that of the kernel. A plain convolution in the file is one as well.
    """
    named = dict(tensors)
    initialized = np.asarray(named.pop("initialized", True))
    has_magnitude = initialized.all() and "g" in named
    if not isinstance(layer, WeightNormConv2D) or np.ndim(named.get("kernel")) != 4:
        return list(named.values())
    norm = np.sqrt(np.sum(np.square(named["kernel"]), axis=(0, 1, 2)))
    bias = [named["bias"]] if "bias" in named else []
    return [named["g"] if has_magnitude else norm, named["kernel"], *bias]
