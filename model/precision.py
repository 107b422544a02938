"""Mixed precision for networks that are already built (arXiv:1710.03740)."""

import keras

from model.layers import ResidualScale, WeightNormConv2D

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Dense,
    WeightNormConv2D,
)
_EXACT = (
    keras.layers.InputLayer,
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Rescaling,
)
"""Keras' layers that stay in float32; ours say it themselves, by `stays_float32`."""


def set_precision(model, precision):
    """Let a network compute in another precision; weights, input and answer stay float32.

    So do normalisation, and the end of the network from its last convolutions on: their rounding
    would be seen in 8-bit pictures.

    Args:
        model: Functional network; changed in place.
        precision: "float32" (as it is), "mixed_bfloat16" or "mixed_float16".
    """
    if precision == "float32":
        return
    end = set(_end_of(model))
    for layer in model.layers:
        exact = layer in end or isinstance(layer, _EXACT) or hasattr(layer, "stays_float32")
        layer.dtype_policy = "float32" if exact else precision
    vars(model).pop("traced", None)  # of the precision before


def _end_of(model):
    """The layers between the last convolutions and the answer, those convolutions included."""
    waiting = list(model.outputs)
    while waiting:
        layer = waiting.pop()._keras_history.operation
        yield layer
        if not isinstance(layer, (*_CONVOLUTIONS, keras.layers.InputLayer)):
            inputs = layer.input
            waiting += inputs if isinstance(inputs, list) else [inputs]


def in_half(model, dtype, *, in_place=False):
    """Return a copy of a network that computes in half precision, but for its ends.

    On Set5 (WDSR-B of 32 blocks, ×4, Y) bfloat16 costs 0.002 dB. Residuals that are scaled down
    would vanish in sums of so few digits: those sums stay float32.

    Args:
        model: Functional network.
        dtype: ``"bfloat16"`` or ``"float16"``.
        in_place: Change the network itself in place of a copy.
    """
    half = model
    if not in_place:
        half = keras.models.clone_model(model)
        half.set_weights(model.get_weights())
    set_precision(half, f"mixed_{dtype}")
    if any(isinstance(layer, ResidualScale) for layer in half.layers):
        for layer in half.layers:
            if isinstance(layer, (ResidualScale, keras.layers.Add)):
                layer.dtype_policy = "float32"
    return half
