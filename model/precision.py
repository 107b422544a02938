"""Mixed precision for networks that are already built (arXiv:1710.03740)."""

import keras

from model.layers import Normalize, WeightNormConv2D
from model.masked import PartialRatio

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
    Normalize,
    PartialRatio,
)


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
        exact = layer in end or isinstance(layer, _EXACT)
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
