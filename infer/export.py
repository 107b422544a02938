"""Networks for other runtimes: SavedModel, TensorFlow Lite, ONNX; checked before they are kept.

Each takes ``pictures``, (1, H, W, 3) float32 RGB in 0..255 of any height and width; a mask-aware
network also ``valid_mask``, (1, H, W, 1), 1 = a real pixel. ONNX is written by Keras' own exporter
and needs the optional extra ``onnx``.
"""

import importlib.util
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from model.masked import Gate

FORMATS = ("savedmodel", "tflite", "onnx")

LARGEST_DIFFERENCE = 0.05
"""In grey levels: an exported network that differs from Keras by more is not kept."""

_MASK = "valid_mask"
_CHECKED_SIZES = ((24, 32), (37, 19))


def export(model, path, kind):
    """Write a network for another runtime, and keep it only if it gives the same output.

    Args:
        model: A functional network, weight normalisation folded.
        path: File to write; for a SavedModel a folder. It appears whole or not at all.
        kind: One of `FORMATS`.

    Returns:
        Largest difference from Keras on pictures of two sizes, in grey levels.

    Raises:
        ValueError: No such format, or `path` is there and is not what would be written.
        ImportError: The format needs a package that is not installed; says which.
        ArithmeticError: The exported network's output differs.
    """
    if kind not in FORMATS:
        raise ValueError(f"format must be {', '.join(FORMATS)}, got {kind}")
    path = Path(path)
    if path.is_dir() and (kind != "savedmodel" or not (path / "saved_model.pb").exists()):
        raise ValueError(f"{path} is a folder and no exported network; give another name")
    write, runner = {
        "savedmodel": (_write_savedmodel, _run_savedmodel),
        "tflite": (_write_tflite, _run_tflite),
        "onnx": (_write_onnx, _run_onnx),
    }[kind]
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        made = Path(folder, path.name)
        write(model, made)
        difference = _largest_difference(model, runner(made))
        if not difference <= LARGEST_DIFFERENCE:
            raise ArithmeticError(
                f"the {kind} network differs from Keras by {difference:.3g} grey levels; not kept"
            )
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(made, path)
    return difference


def _largest_difference(model, run):
    rng = np.random.default_rng(0)
    differences = []
    for height, width in _CHECKED_SIZES:
        inputs = [_random_input(rng, t, height, width) for t in model.inputs]
        expected = np.asarray(model(inputs[0] if len(inputs) == 1 else inputs))
        found = run(*inputs)
        if found.shape != expected.shape:
            raise ArithmeticError(f"the output is {found.shape}, not {expected.shape}")
        differences.append(np.abs(found - expected).max())
    return float(max(differences))


def _random_input(rng, tensor, height, width):
    """A picture in 0..255, or a mask of which three quarters are real."""
    shape = (1, height, width, tensor.shape[-1])
    if tensor.name == _MASK:
        return (rng.uniform(size=shape) < 0.75).astype(np.float32)
    return rng.uniform(0, 255, shape).astype(np.float32)


def _names(model):
    """Names of the inputs: ``pictures``, and ``valid_mask`` of networks that are mask-aware."""
    return ["pictures", *(t.name for t in model.inputs[1:])]


def _signature(model, batch):
    return [
        tf.TensorSpec((batch, None, None, t.shape[-1]), tf.float32, name=name)
        for name, t in zip(_names(model), model.inputs, strict=True)
    ]


def _forward(model):
    single = len(model.inputs) == 1
    return lambda *inputs: model(inputs[0] if single else list(inputs), training=False)


def _write_savedmodel(model, path):
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", _forward(model), _signature(model, None))
    archive.write_out(str(path), verbose=False)


def _run_savedmodel(path):
    loaded = tf.saved_model.load(str(path))
    return lambda *inputs: loaded.serve(*inputs).numpy()


def _write_tflite(model, path):
    function = tf.function(_forward(_without_erf(model)), _signature(model, 1))
    # without the model as second argument: with it, weights stay variables that nobody sets
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    path.write_bytes(converter.convert())


class _GeluGate(Gate):
    """`Gate` by way of GELU, an operation of TensorFlow Lite, which has no error function."""

    def call(self, features):
        a, b = ops.split(features, 2, axis=-1)
        return ops.gelu(a, approximate=False) * b


def _without_erf(model):
    """The same network, sharing the variables, with every `Gate` in a form for TensorFlow Lite."""

    def replaced(layer, *args, **kwargs):
        kind = _GeluGate if isinstance(layer, Gate) else type(layer)
        return kind.from_config(layer.get_config())

    if not any(isinstance(layer, Gate) for layer in model.layers):
        return model
    clone = keras.models.clone_model(model, clone_function=replaced)
    clone.set_weights(model.get_weights())
    return clone


def _run_tflite(path):
    with warnings.catch_warnings():  # tf.lite may move to a package of its own one day
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(model_content=path.read_bytes())

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


def _write_onnx(model, path):
    _need("onnx", "tf2onnx")
    signature = [
        keras.InputSpec(shape=(None, None, None, t.shape[-1]), dtype="float32", name=name)
        for name, t in zip(_names(model), model.inputs, strict=True)
    ]
    signature = signature if len(signature) == 1 else [signature]
    model.export(str(path), format="onnx", verbose=False, input_signature=signature)


def _run_onnx(path):
    _need("onnxruntime")
    onnxruntime = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = sorted(entry.name for entry in session.get_inputs())
    return lambda *inputs: session.run(None, dict(zip(names, inputs, strict=True)))[0]


def _need(*packages):
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(f"ONNX needs {' and '.join(missing)}: pip install 'whole-pictures[onnx]'")
