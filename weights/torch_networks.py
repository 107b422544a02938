"""Recognise networks of PyTorch and TensorFlow.js by the names and shapes of their tensors.

One function a network, from a dict of tensors to `Recognised` or None. Names are first brought to
one style per network; what differs in meaning (0..1 pictures, the pixel shuffle's channel order,
mean and colour order) is folded into the tensors themselves, still in PyTorch's layout.
"""

import contextlib
import math
import re
from functools import partial

import numpy as np

from model.dlibface import dlib_face
from model.edsr import edsr
from model.esrgan import rrdb_net
from model.layers import DIV2K_RGB_MEAN
from model.lpips import lpips
from model.restormer import restormer
from model.vggface import vggface
from weights.recognised import Recognised, count_blocks, renamed, shuffle_order

_RGB_MEAN = np.array(DIV2K_RGB_MEAN) / 255


def recognise(tensors):
    """Return the network that tensors belong to, or None.

    A prefix that all names have in common (``generator.``, ``model.``) is taken off.

    Args:
        tensors: Dict from name to array, as `weights.tensor_file.read_tensors` gives it.

    Raises:
        ValueError: The kind of network is known, but not in a form this library builds.
    """
    tensors = {n: t for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
    while tensors:
        if found := _recognise(tensors):
            return found
        prefix = next(iter(tensors)).partition(".")[0] + "."
        if not all(name.startswith(prefix) and name != prefix for name in tensors):
            return None
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return None


def _recognise(tensors):
    if empty := [name for name, tensor in tensors.items() if not tensor.size]:
        raise ValueError(f"there are tensors without numbers: {', '.join(empty[:10])}")
    for network in _NETWORKS:
        # A name without its companions, or of another rank, is not this network's.
        with contextlib.suppress(KeyError, IndexError, ZeroDivisionError):
            if found := network(tensors):
                return found
    return None


_RRDB_STYLES = (
    (r"model\.0\.", "conv_first."),
    (r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
    (r"model\.1\.sub\.\d+\.", "conv_body."),
    (r"RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)\.", r"body.\1.rdb\2.conv\3."),
    (r"trunk_conv\.", "conv_body."),
    (r"upconv(\d)\.", r"conv_up\1."),
    (r"HRconv\.", "conv_hr."),
)
_SCALES = (1, 2, 4, 8, 16)


def _rrdb_styles(tensors):
    """The patterns, and for the oldest style the numbers of what comes behind the blocks.

    There ``model.2`` and on are doublings, each with one convolution, then two more convolutions.
    """
    numbers = {int(n) for name in tensors for n in re.findall(r"^model\.(\d{1,3})\.", name)}
    behind = sorted(numbers - {0, 1})
    names = [*(f"conv_up{i + 1}." for i in range(len(behind) - 2)), "conv_hr.", "conv_last."]
    pairs = zip(behind, names, strict=False)
    return (*_RRDB_STYLES, *((rf"model\.{n}\.", name) for n, name in pairs))


def _rrdb(tensors):
    """ESRGAN and Real-ESRGAN, in BasicSR's names and the two styles before; BSRGAN."""
    tensors = renamed(tensors, _rrdb_styles(tensors))
    if not {"conv_first.weight", "body.0.rdb1.conv1.weight"} <= tensors.keys():
        return None
    channels = tensors["conv_first.weight"].shape[1]
    if channels not in (3, 12, 48):
        raise ValueError(
            "an RRDBNet's first convolution must take 3, 12 or 48 channels (RGB, un-shuffled by "
            f"1, 2 or 4), got {channels}"
        )
    doublings = count_blocks(tensors, r"conv_up(\d)\.")
    enlarged = channels == 3 and doublings < len(_SCALES)
    arguments = {
        "scale": _SCALES[doublings] if enlarged else {12: 2, 48: 1}.get(channels, 4),
        "num_filters": tensors["conv_first.weight"].shape[0],
        "num_blocks": count_blocks(tensors, r"body\.(\d+)\."),
        "num_growth": tensors["body.0.rdb1.conv1.weight"].shape[0],
    }
    if channels == 3 and arguments["scale"] < 4:
        arguments["unshuffle"] = False
    return Recognised("RRDBNet (ESRGAN)", rrdb_net, arguments, tensors, _fold_rrdb)


def _fold_rrdb(tensors, arguments):
    kernel = tensors["conv_first.weight"]
    order = shuffle_order(3, math.isqrt(kernel.shape[1] // 3))
    return tensors | {"conv_first.weight": kernel[:, order]}


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
    tensors = renamed(tensors, _EDSR_STYLES)
    if not {"conv_after_body.weight", "body.0.conv1.weight", "upsample.0.weight"} <= tensors.keys():
        return None
    num_filters = tensors["conv_first.weight"].shape[0]
    steps = count_blocks(tensors, r"upsample\.(\d)\.")
    factor = round((tensors["upsample.0.weight"].shape[0] / num_filters) ** 0.5)
    arguments = {
        "scale": factor**steps,
        "num_filters": num_filters,
        "num_res_blocks": count_blocks(tensors, r"body\.(\d+)\."),
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
    order = shuffle_order(arguments["num_filters"], factor)
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


def _vggface(tensors):
    """Albanie's ``senet50_ft_dag`` and ``resnet50_ft_dag``; the classifier is left out."""
    if not {"conv1_7x7_s2.weight", "conv5_3_1x1_increase.weight"} <= tensors.keys():
        return None
    architecture = "senet50" if "conv2_1_1x1_down.weight" in tensors else "resnet50"
    arguments = {"architecture": architecture, "variant": "pytorch"}
    tensors = {n: t for n, t in tensors.items() if not n.startswith("classifier.")}
    return Recognised(f"VGGFace2 {architecture}", vggface, arguments, tensors, _fold_vggface)


def _fold_vggface(tensors, arguments):
    """Theirs takes RGB, ours turns the picture to BGR as the Keras files need it."""
    return tensors | {"conv1_7x7_s2.weight": tensors["conv1_7x7_s2.weight"][:, ::-1]}


_LPIPS_STYLES = (
    (r"net\.slice\d\.(\d+\.)", r"features.\1"),
    (r"lin(\d)\.model\.1\.", r"lin\1."),
)
_LPIPS_LEFT_OUT = ("classifier.", "scaling_layer.", "lins.")


def _lpips(tensors):
    """torchvision's AlexNet, VGG16 or SqueezeNet 1.1 together with LPIPS' linear layers."""
    tensors = renamed(tensors, _LPIPS_STYLES)
    if "features.0.weight" not in tensors and "lin0.weight" not in tensors:
        return None
    missing = {"features.0.weight", "lin0.weight"} - tensors.keys()
    if missing:
        raise ValueError(
            "LPIPS needs two files, torchvision's network (features.…) and the linear layers of "
            f"PerceptualSimilarity (lin0.…): give both; here {missing.pop()} is missing"
        )
    depth = count_blocks(tensors, r"lin(\d)\.")
    net = "squeeze" if depth == 7 else "alex" if "features.3.weight" in tensors else "vgg"
    tensors = {n: t for n, t in tensors.items() if not n.startswith(_LPIPS_LEFT_OUT)}
    tensors = {n: t.reshape(-1) if n.startswith("lin") else t for n, t in tensors.items()}
    return Recognised(f"LPIPS ({net})", lpips, {"net": net}, tensors)


_RESTORMER_LEVELS = ("encoder_level1", "encoder_level2", "encoder_level3", "latent")


def _restormer(tensors):
    """The Restormer authors' network in all its variants."""
    if not {"patch_embed.proj.weight", "output.weight"} <= tensors.keys():
        return None
    shape = {name: tensor.shape for name, tensor in tensors.items()}
    dim, in_channels = shape["patch_embed.proj.weight"][:2]
    arguments = {
        "in_channels": in_channels,
        "out_channels": shape["output.weight"][0],
        "dim": dim,
        "num_blocks": tuple(
            count_blocks(tensors, rf"{level}\.(\d+)\.") for level in _RESTORMER_LEVELS
        ),
        "num_refinement_blocks": count_blocks(tensors, r"refinement\.(\d+)\."),
        "heads": tuple(shape[f"{level}.0.attn.temperature"][0] for level in _RESTORMER_LEVELS),
        "ffn_expansion": expansion_of(
            [shape[f"{level}.0.ffn.project_out.weight"][:2] for level in _RESTORMER_LEVELS]
        ),
        "use_bias": "encoder_level1.0.attn.qkv.bias" in tensors,
        "layer_norm": "with_bias" if "encoder_level1.0.norm1.body.bias" in tensors else "bias_free",
        "dual_pixel": "skip_conv.weight" in tensors,
    }
    remark = "the weights its authors published are for academic use only"
    return Recognised("Restormer", restormer, arguments, tensors, _fold_restormer, remark=remark)


def expansion_of(widths):
    """Shortest decimal e with ``int(channels · e) == hidden`` for all pairs (channels, hidden)."""
    smallest = max(hidden / channels for channels, hidden in widths)
    for digits in range(8):
        expansion = math.ceil(smallest * 10**digits) / 10**digits
        if all(int(channels * expansion) == hidden for channels, hidden in widths):
            return expansion
    raise ValueError(f"no ffn_expansion gives these widths (channels, hidden): {widths}")


def _fold_restormer(tensors, arguments):
    """Bring the channels before each pixel shuffle into our order."""
    return {
        name: tensor[shuffle_order(len(tensor) // 4, 2)] if name.startswith("up") else tensor
        for name, tensor in tensors.items()
    }


def _dlib_face(tensors):
    """dlib's face recognition network as face-api (TensorFlow.js) has it.

    Each convolution is followed by a factor and an offset a channel: they go into its tensors,
    which get PyTorch's names and layout as all others. The last linear layer is left out.
    """
    ending = "/conv/filters"
    if f"conv256_down_out/conv2{ending}" not in tensors:
        return None
    folded = {}
    for name in [name.removesuffix(ending) for name in tensors if name.endswith(ending)]:
        factor, offset = tensors[f"{name}/scale/weights"], tensors[f"{name}/scale/biases"]
        kernel = tensors[name + ending] * factor  # (h, w, in, out)
        folded[f"{name.replace('/', '.')}.weight"] = kernel.transpose(3, 2, 0, 1)
        folded[f"{name.replace('/', '.')}.bias"] = tensors[f"{name}/conv/bias"] * factor + offset
    return Recognised("dlib's face recognition network", dlib_face, {}, folded)


_NETWORKS = (_rrdb, _edsr, _restormer, _vggface, _lpips, _dlib_face)
