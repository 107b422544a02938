"""Recognise networks in files of Keras 2, by the shapes of their tensors and their layers' names.

For krasserm/super-resolution's EDSR, WDSR and SRGAN, with tensorflow-addons' weight normalisation
or plain convolutions, and for keras-vggface's networks. Layers without tensors count too: one
Lambda more per block tells that residuals are scaled, though not by how much.
"""

import math

from model.edsr import edsr
from model.srgan import discriminator, sr_resnet
from model.vggface import vggface
from model.wdsr import wdsr_a, wdsr_b
from weights.recognised import Recognised

_USUAL_SCALING = 0.1  # of residuals: the papers', and the blog's only example


def recognise(layers):
    """Return the network that layers belong to, or None.

    Args:
        layers: Pairs of a layer's name and its tensors' shapes, as `weight_file.keras2_layers`
            gives them.
    """
    names = {name for name, _ in layers}
    if "conv1/7x7_s2" in names:
        return _vggface(names)
    kernels = [tuple(shapes["kernel"]) for _, shapes in layers if "kernel" in shapes]
    lambdas = sum("lambda" in name.lower() for name in names)
    if len(kernels) < 5 or len(kernels[0]) != 4:
        return None
    for network in (_srgan, _wdsr, _edsr):
        if found := network(kernels, lambdas):
            return found
    return None


def _vggface(names):
    architecture = "senet50" if "conv2_1_1x1_down" in names else "resnet50"
    arguments = {"architecture": architecture, "variant": "keras"}
    return Recognised(f"VGGFace2 {architecture}", vggface, arguments)


def _srgan(kernels, lambdas):
    first, num_filters = kernels[0], kernels[0][-1]
    if len(kernels[-1]) == 2:
        return Recognised("SRGAN discriminator", discriminator, {"num_filters": num_filters})
    if first[:2] != (9, 9):
        return None
    blocks = (len(kernels) - 5) // 2  # first, last, one after the blocks, two up-sampling
    arguments = {"num_filters": num_filters, "num_res_blocks": blocks}
    return Recognised("SRGAN generator", sr_resnet, arguments)


def _wdsr(kernels, lambdas):
    skip = [kernel for kernel in kernels if kernel[:2] == (5, 5)]
    if len(skip) != 1 or skip[0][2] != 3:
        return None
    num_filters, scale = kernels[0][-1], math.isqrt(skip[0][-1] // 3)
    in_blocks = [kernel for kernel in kernels[1:] if kernel[-1] != skip[0][-1] or kernel[2] != 3]
    wide = in_blocks[0]
    builder, per_block = (wdsr_b, 3) if wide[:2] == (1, 1) else (wdsr_a, 2)
    blocks = (len(in_blocks) - 1) // per_block  # the last is the up-sampling one
    arguments = {
        "scale": scale,
        "num_filters": num_filters,
        "num_res_blocks": blocks,
        "res_block_expansion": wide[-1] // num_filters,
    }
    name = "WDSR-B" if builder is wdsr_b else "WDSR-A"
    return _with_scaling(name, builder, arguments, lambdas - 4)  # mean twice, shuffle twice


def _edsr(kernels, lambdas):
    num_filters = kernels[0][-1]
    up = [kernel[-1] // num_filters for kernel in kernels[1:-1] if kernel[-1] > num_filters]
    scale = {(4,): 2, (9,): 3, (4, 4): 4}.get(tuple(up))
    if scale is None or kernels[-1][-1] != 3:
        return None
    blocks = (len(kernels) - 3 - len(up)) // 2
    arguments = {"scale": scale, "num_filters": num_filters, "num_res_blocks": blocks}
    return _with_scaling("EDSR", edsr, arguments, lambdas - 2 - len(up))


def _with_scaling(name, builder, arguments, spare_lambdas):
    scaled = 0 < arguments["num_res_blocks"] <= spare_lambdas
    arguments["res_block_scaling"] = _USUAL_SCALING if scaled else None
    guessed = f"res_block_scaling (there is one, taken as {_USUAL_SCALING})" if scaled else ""
    return Recognised(name, builder, arguments, guessed=guessed)
