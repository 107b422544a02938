"""Other forms of a network for inference: blended with a second one, or in half precision."""

import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model.layers import fold_weight_norm
from model.precision import in_half

_PROBE_PX = 96
_WORTH_IT = 0.9  # half precision must take less than this share of the time
_SAFE_LOSS_DB = 0.02
_CPU_FLAGS = Path("/proc/cpuinfo")
_TENSOR_CORES = (7, 0)  # the first compute capability that has them


def blend(a, b, share):
    """Interpolate between the weights of two networks of the same shape.

    Between a network trained for PSNR and one fine-tuned as a GAN this trades noise and invented
    texture against sharpness.

    Args:
        a: Functional network.
        b: Another, of the same layers and sizes.
        share: 0 gives `a`, 1 gives `b`.

    Returns:
        A new network.

    Raises:
        ValueError: The networks differ in shape, or the share is not in 0..1.

    Reference: arXiv:1809.00219, section 3.4, equation 4.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share of a blend must be in 0..1, got {share}")
    a, b = (fold_weight_norm(network) for network in (a, b))  # kernels, not norms and directions
    shapes = [[tuple(weight.shape) for weight in network.weights] for network in (a, b)]
    if _kinds(a) != _kinds(b) or shapes[0] != shapes[1]:
        raise ValueError("only networks of the same layers and sizes can be blended")
    blended = keras.models.clone_model(a)
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    blended.set_weights([(1 - share) * x + share * y for x, y in pairs])
    return blended


def _kinds(network):
    return [type(layer) for layer in network.layers]


def half_type():
    """Name of the half-precision type that this device has instructions for, or None."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        capability = details.get("compute_capability", (0, 0))
        return "float16" if capability >= _TENSOR_CORES else None
    flags = _CPU_FLAGS.read_text().split() if _CPU_FLAGS.exists() else ()
    return "bfloat16" if {"avx512_bf16", "amx_bf16"} & set(flags) else None


def half_if_safe(model, *, in_place=False):
    """Return a network in half precision where that is fast and known to lose nothing seen.

    That is: the device has instructions for it, and the network's file says (`half_loss_db`) that
    it costs less than 0.02 dB. Otherwise the network itself.

    Args:
        model: Functional network.
        in_place: Change the network itself in place of a copy, which takes time.
    """
    loss_db = getattr(model, "half_loss_db", None)
    dtype = half_type() if loss_db is not None and loss_db < _SAFE_LOSS_DB else None
    return in_half(model, dtype, in_place=in_place) if dtype else model


def half_if_faster(model):
    """Time a network and its half-precision copy on this device, and return the faster.

    Args:
        model: Functional network.

    Returns:
        ``(network, sentence)``: the network to use, and what was measured.
    """
    dtype = "float16" if tf.config.list_physical_devices("GPU") else "bfloat16"
    half = in_half(model, dtype)
    full_s, half_s = (_seconds(network) for network in (model, half))
    times = f"{half_s:.3f} s in {dtype}, {full_s:.3f} s in float32 ({_PROBE_PX} px square)"
    if half_s < _WORTH_IT * full_s:
        return half, f"half precision: {times}"
    return model, f"half precision is not faster on this device, so not used: {times}"


def _seconds(model):
    """The shorter of two runs, after one to trace."""
    forward = tf.function(model, autograph=False)
    inputs = [tf.ones((1, _PROBE_PX, _PROBE_PX, tensor.shape[-1])) for tensor in model.inputs]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        np.asarray(forward(inputs if len(inputs) > 1 else inputs[0]))
        times.append(time.perf_counter() - start)
    return min(times[1:])
