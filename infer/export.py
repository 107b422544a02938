"""Networks for other runtimes: SavedModel, TensorFlow Lite, ONNX; checked before they are kept.

Each takes (1, H, W, 3) float32 RGB in 0..255 of any height and width. ONNX is written by Keras' own
exporter and needs the optional extra ``onnx``.
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

FORMATS = ("savedmodel", "tflite", "onnx")

LARGEST_DIFFERENCE = 0.05
"""In grey levels: an exported network that differs from Keras by more is not kept."""

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
        picture = rng.uniform(0, 255, (1, height, width, 3)).astype(np.float32)
        expected = np.asarray(model(picture))
        found = run(picture)
        if found.shape != expected.shape:
            raise ArithmeticError(f"the output is {found.shape}, not {expected.shape}")
        differences.append(np.abs(found - expected).max())
    return float(max(differences))


def _write_savedmodel(model, path):
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec((None, None, None, 3), tf.float32, name="pictures")]
    archive.add_endpoint("serve", lambda pictures: model(pictures, training=False), signature)
    archive.write_out(str(path), verbose=False)


def _run_savedmodel(path):
    loaded = tf.saved_model.load(str(path))
    return lambda picture: loaded.serve(picture).numpy()


def _write_tflite(model, path):
    signature = [tf.TensorSpec((1, None, None, 3), tf.float32, name="pictures")]
    function = tf.function(lambda pictures: model(pictures, training=False), signature)
    # without the model as second argument: with it, weights stay variables that nobody sets
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    path.write_bytes(converter.convert())


def _run_tflite(path):
    with warnings.catch_warnings():  # tf.lite may move to a package of its own one day
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(model_content=path.read_bytes())

    def run(picture):
        source = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(source, picture.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, picture)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run


def _write_onnx(model, path):
    _need("onnx", "tf2onnx")
    signature = [keras.InputSpec(shape=(None, None, None, 3), dtype="float32", name="pictures")]
    model.export(str(path), format="onnx", verbose=False, input_signature=signature)


def _run_onnx(path):
    _need("onnxruntime")
    onnxruntime = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda picture: session.run(None, {name: picture})[0]


def _need(*packages):
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(f"ONNX needs {' and '.join(missing)}: pip install 'whole-pictures[onnx]'")
