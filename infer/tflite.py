"""TensorFlow Lite: networks in float32, float16 or int8 for phones, and how they are run.

In int8 weights have 8 bits. Without pictures to calibrate with, features stay floats, whose range
is found anew at each run. With them all is whole numbers, for processors that have no others, and
features have 16 bits: with 8 bits WDSR loses 12 dB on Set5, for its residuals are small beside
what they are added to.
"""

import warnings

import keras
import tensorflow as tf
from keras import ops

from model.masked import Gate

PRECISIONS = ("float32", "float16", "int8")


def convert(function, precision, samples):
    """Convert a concrete function of a network.

    Args:
        function: Of pictures (1, H, W, C) or (1, C, H, W), and of a mask.
        precision: One of `PRECISIONS`: "float16" stores weights in half the bytes, "int8" in a
            quarter.
        samples: For "int8": inputs, which show what ranges the features have; or none.

    Returns:
        The file's bytes. Inputs and outputs are float32 in any case.
    """
    # without the model as second argument: with it, weights stay variables that nobody sets
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if samples:
        kinds = tf.lite.OpsSet
        converter.target_spec.supported_ops = [
            kinds.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
            kinds.TFLITE_BUILTINS,  # what has no form in whole numbers stays in floats
        ]
        converter.representative_dataset = lambda: ([x] for x in samples)
    with warnings.catch_warnings():  # its own advice on quantised models
        warnings.simplefilter("ignore", UserWarning)
        return converter.convert()


class _GeluGate(Gate):
    """`Gate` by way of GELU, an operation of TensorFlow Lite, which has no error function."""

    def call(self, features):
        a, b = ops.split(features, 2, axis=-1)
        return ops.gelu(a, approximate=False) * b


def without_erf(model):
    """The same network, sharing the variables, with every `Gate` in a form for TensorFlow Lite."""

    def replaced(layer, *args, **kwargs):
        kind = _GeluGate if isinstance(layer, Gate) else type(layer)
        return kind.from_config(layer.get_config())

    if not any(isinstance(layer, Gate) for layer in model.layers):
        return model
    clone = keras.models.clone_model(model, clone_function=replaced)
    clone.set_weights(model.get_weights())
    return clone


def run(path, threads=None):
    """Return a TensorFlow Lite file as a function of its inputs, each (1, …) float32."""
    with warnings.catch_warnings():  # tf.lite may move to a package of its own one day
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(model_content=path.read_bytes(), num_threads=threads)

    def run(*inputs):
        # in the order of the network's: pictures before valid_mask
        places = sorted(interpreter.get_input_details(), key=lambda entry: entry["name"])
        for place, array in zip(places, inputs, strict=True):
            interpreter.resize_tensor_input(place["index"], array.shape)
        interpreter.allocate_tensors()
        for place, array in zip(places, inputs, strict=True):
            interpreter.set_tensor(place["index"], array)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run
