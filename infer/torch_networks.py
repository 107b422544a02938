"""Recognise PyTorch networks by the names and shapes of their tensors, and put them into ours.

One function a network, from a dict of tensors to `Recognised` or None. Names are first brought to
one style per network; what differs in meaning (0..1 pictures, the pixel shuffle's channel order,
mean and colour order) is folded into the tensors themselves, still in PyTorch's layout. Then
every layer takes its tensors by name, after every name and shape was compared.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np

from model import weight_file
from model.edsr import edsr
from model.esrgan import rrdb_net
from model.layers import DIV2K_RGB_MEAN

_LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_RGB_MEAN = np.array(DIV2K_RGB_MEAN) / 255


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
        arguments: Its arguments, as read from the tensors.
        tensors: The tensors, names in one style.
        fold: From tensors and the builder's arguments to tensors whose values mean what ours mean.
        pair: From model and tensors to pairs of a layer and the prefix of its tensors' names.
        guessed: What the file cannot say, and what is taken instead; empty if nothing.
    """

    name: str
    builder: Callable
    arguments: dict
    tensors: dict
    fold: Callable = lambda tensors, arguments: tensors
    pair: Callable = _by_name
    guessed: str = ""


def recognise(tensors):
    """Return the network that tensors belong to, or None.

    Args:
        tensors: Dict from name to array, as `infer.tensor_file.read_tensors` gives it.

    Raises:
        ValueError: The kind of network is known, but not in a form this library builds.
    """
    tensors = {n: t for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
    for network in _NETWORKS:
        # A name without its companions, or of another rank, is not this network's.
        with contextlib.suppress(KeyError, IndexError, ZeroDivisionError):
            if found := network(tensors):
                return found
    return None


def build(recognised, path, arguments=None):
    """Build a recognised network with its tensors in it.

    Args:
        recognised: What `recognise` returned.
        path: The file, for messages.
        arguments: Builder's arguments that replace the recognised ones, or None.

    Raises:
        ValueError: Tensors are missing, unexpected or of another shape.
    """
    model = recognised.builder(**recognised.arguments | (arguments or {}))
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
    for name, (layer, weight) in places.items():
        axes = _keras_axes(layer, weight)
        weight.assign(tensors[name].transpose(axes) if axes else tensors[name])
    return model


def _keras_axes(layer, weight):
    """Axes of a PyTorch tensor in Keras' order, None for a vector."""
    if len(weight.shape) == 4:
        return (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return (1, 0) if isinstance(layer, keras.layers.Dense) and len(weight.shape) == 2 else None


def _torch_shape(layer, weight):
    axes = _keras_axes(layer, weight)
    return tuple(np.array(weight.shape)[np.argsort(axes)].tolist()) if axes else weight.shape


def _count(tensors, pattern):
    """Number of blocks: one more than the highest index that `pattern` finds in the names."""
    found = (re.match(pattern, name) for name in tensors)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _renamed(tensors, rules):
    """Names brought to one style by the first of `rules` (pattern, replacement) that fits each."""

    def rename(name):
        for pattern, replacement in rules:
            if re.match(pattern, name):
                return re.sub(pattern, replacement, name)
        return name

    return {rename(name): tensor for name, tensor in tensors.items()}


def _shuffle_order(channels, scale):
    """Places in PyTorch's pixel-shuffle order (colour first) of ours (position first)."""
    return np.arange(channels * scale**2).reshape(channels, scale**2).T.ravel()


_RRDB_STYLES = (
    (r"model\.0\.", "conv_first."),
    (r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
    (r"model\.1\.sub\.\d+\.", "conv_body."),
    (r"model\.3\.", "conv_up1."),
    (r"model\.6\.", "conv_up2."),
    (r"model\.8\.", "conv_hr."),
    (r"model\.10\.", "conv_last."),
    (r"RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)\.", r"body.\1.rdb\2.conv\3."),
    (r"trunk_conv\.", "conv_body."),
    (r"upconv(\d)\.", r"conv_up\1."),
    (r"HRconv\.", "conv_hr."),
)


def _rrdb(tensors):
    """ESRGAN and Real-ESRGAN, in BasicSR's names and the two styles before."""
    tensors = _renamed(tensors, _RRDB_STYLES)
    if not {"conv_first.weight", "body.0.rdb1.conv1.weight"} <= tensors.keys():
        return None
    channels = tensors["conv_first.weight"].shape[1]
    if channels not in (3, 12, 48):
        raise ValueError(
            "an RRDBNet's first convolution must take 3, 12 or 48 channels (RGB, un-shuffled by "
            f"1, 2 or 4), got {channels}"
        )
    arguments = {
        "scale": {3: 4, 12: 2, 48: 1}[channels],
        "num_filters": tensors["conv_first.weight"].shape[0],
        "num_blocks": _count(tensors, r"body\.(\d+)\."),
        "num_growth": tensors["body.0.rdb1.conv1.weight"].shape[0],
    }
    return Recognised("RRDBNet (ESRGAN)", rrdb_net, arguments, tensors, _fold_rrdb)


def _fold_rrdb(tensors, arguments):
    order = _shuffle_order(3, 4 // arguments["scale"])
    return tensors | {"conv_first.weight": tensors["conv_first.weight"][:, order]}


_EDSR_STYLES = (
    (r"head\.0\.", "conv_first."),
    (r"body\.(\d+)\.body\.0\.", r"body.\1.conv1."),
    (r"body\.(\d+)\.body\.2\.", r"body.\1.conv2."),
    (r"body\.\d+\.(weight|bias)", r"conv_after_body.\1"),
    (r"tail\.0\.(\d)\.", r"upsample.\1."),
    (r"tail\.1\.", "conv_last."),
)
_WIDE_EDSR = 256
"""From this many filters on, published EDSR networks scale their residuals by 0.1."""


def _edsr(tensors):
    """BasicSR's EDSR and that of EDSR-PyTorch, whose first and last layers hold the mean."""
    tensors = _renamed(tensors, _EDSR_STYLES)
    if not {"conv_after_body.weight", "body.0.conv1.weight", "upsample.0.weight"} <= tensors.keys():
        return None
    num_filters = tensors["conv_first.weight"].shape[0]
    steps = _count(tensors, r"upsample\.(\d)\.") // 2 + 1
    factor = round((tensors["upsample.0.weight"].shape[0] / num_filters) ** 0.5)
    arguments = {
        "scale": factor**steps,
        "num_filters": num_filters,
        "num_res_blocks": _count(tensors, r"body\.(\d+)\."),
        "res_block_scaling": 0.1 if num_filters >= _WIDE_EDSR else None,
    }
    guessed = f"res_block_scaling (taken as {arguments['res_block_scaling']})"
    fold = partial(_fold_edsr, value_range=_edsr_range(tensors))
    tensors = {name: tensor for name, tensor in tensors.items() if "_mean." not in name}
    return Recognised("EDSR", edsr, arguments, tensors, fold, _edsr_layers, guessed)


def _edsr_layers(model, tensors):
    """Our layers have no names of their own: pair them in their order."""
    order = ("conv_first", "body", "conv_after_body", "upsample", "conv_last")
    prefixes = {name.rpartition(".")[0]: None for name in tensors}
    numbers = {prefix: [int(n) for n in re.findall(r"\d+", prefix)] for prefix in prefixes}
    prefixes = sorted(prefixes, key=lambda p: (order.index(p.split(".")[0]), numbers[p]))
    layers = [layer for layer in model.layers if layer.weights]
    prefixes += [layer.name for layer in layers[len(prefixes) :]]
    return list(zip(layers, prefixes, strict=False))


def _fold_edsr(tensors, arguments, value_range):
    """Bring a network on pictures 0..R around the mean to our -1..1: ours = theirs · 2/R."""
    factor = 3 if arguments["scale"] == 3 else 2
    order = _shuffle_order(arguments["num_filters"], factor)
    folded = {}
    for name, tensor in tensors.items():
        if name.startswith("upsample."):
            tensor = tensor[order]
        elif name == "conv_first.weight":
            tensor = tensor.astype("f4") * (value_range / 2)
        elif name.startswith("conv_last."):
            tensor = tensor.astype("f4") * (2 / value_range)
        folded[name] = tensor
    return folded


def _edsr_range(tensors):
    """Largest picture value R: 255 in BasicSR; EDSR-PyTorch's mean layer holds ``-R · mean``."""
    if "sub_mean.bias" not in tensors:
        return 255
    value_range = -float(np.mean(tensors["sub_mean.bias"] / _RGB_MEAN))
    identity = np.eye(3).reshape(3, 3, 1, 1)
    same = np.allclose(tensors["sub_mean.bias"], -value_range * _RGB_MEAN, rtol=1e-3)
    if not (same and np.allclose(tensors["sub_mean.weight"], identity, atol=1e-3)):
        raise ValueError(
            "this EDSR subtracts another mean than DIV2K's, which edsr cannot: "
            f"sub_mean.bias is {tensors['sub_mean.bias'].tolist()}"
        )
    return value_range


_NETWORKS = (_rrdb, _edsr)
