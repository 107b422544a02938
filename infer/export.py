"""Networks for other runtimes: SavedModel, TensorFlow Lite, ONNX, a page; checked before kept.

Each takes ``pictures``, (1, H, W, 3) float32 RGB in 0..255 of any height and width; a mask-aware
network also ``valid_mask``, (1, H, W, 1), 1 = a real pixel. Programs that have pictures in 0..1 or
channels first get networks that take and give them so. ONNX is written by Keras' own exporter and
needs the optional extra ``onnx``.
"""

import importlib.util
import math
import os
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from infer import tflite
from model.layers import PadToMultiple, PixelUnshuffle, fold_weight_norm

FORMATS = ("savedmodel", "tflite", "onnx", "html")
RANGES = (255, 1)
LAYOUTS = ("nhwc", "nchw")

PRECISIONS = tflite.PRECISIONS

LARGEST_DIFFERENCE = {"float32": 0.05, "float16": 1, "int8": 16}
"""In grey levels: an exported network that differs from Keras by more is not kept."""

_MASK = "valid_mask"
_CHECKED_SIZES = ((24, 32), (37, 19))


def export(
    model,
    path,
    kind,
    *,
    value_range=255,
    layout="nhwc",
    precision="float32",
    calibration=(),
    name="",
    licence="not known",
):
    """Write a network for another runtime, and keep it only if it gives the same output.

    Args:
        model: A functional network.
        path: File to write; for a SavedModel a folder. It appears whole or not at all.
        kind: One of `FORMATS`.
        value_range: Of pictures in and out: 0..255 or 0..1.
        layout: Of pictures and mask: "nhwc" (B, H, W, C) or "nchw" (B, C, H, W).
        precision: Of the numbers in a TensorFlow Lite file, see `infer.tflite`.
        calibration: For "int8": pictures (H, W, 3) in 0..255, such as the network will get, or
            none.
        name: What a page calls the network.
        licence: Of the network, for a page.

    Returns:
        Largest difference from Keras on random pictures of two sizes, or on those given
        to calibrate with, in grey levels of 0..255.

    Raises:
        ValueError: No such format, or `path` is there and is not what would be written.
        ImportError: The format needs a package that is not installed; says which.
        ArithmeticError: The exported network's output differs.
    """
    _check(kind, value_range, layout, precision, calibration)
    path = Path(path)
    if path.is_dir() and (kind != "savedmodel" or not (path / "saved_model.pb").exists()):
        raise ValueError(f"{path} is a folder and no exported network; give another name")
    write, runner = {
        "savedmodel": (_write_savedmodel, _run_savedmodel),
        "tflite": (_write_tflite(value_range, layout, precision, calibration), tflite.run),
        "onnx": (_write_onnx, _run_onnx),
        "html": (lambda model, path: _write_html(model, path, name, licence), _run_html),
    }[kind]
    # a page multiplies direction and magnitude itself: apart they are exact in half precision
    model = model if kind == "html" else fold_weight_norm(model)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        made = Path(folder, path.name)
        write(_adapted(model, value_range, layout), made)
        run = _as_keras(runner(made), value_range, layout)
        difference = _largest_difference(model, run, [x[None] for x in calibration])
        if not difference <= LARGEST_DIFFERENCE[precision]:
            raise ArithmeticError(
                f"the {kind} network differs from Keras by {difference:.3g} grey levels; not kept"
            )
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(made, path)
    return difference


def _check(kind, value_range, layout, precision, calibration):
    for what, allowed, got in (
        ("format", FORMATS, kind),
        ("value_range", RANGES, value_range),
        ("layout", LAYOUTS, layout),
        ("precision", PRECISIONS, precision),
    ):
        if got not in allowed:
            raise ValueError(f"{what} must be {', '.join(map(str, allowed))}, got {got}")
    if kind == "html" and (value_range, layout) != (255, "nhwc"):
        raise ValueError("a page reads pictures itself: range and layout are for other formats")
    if precision != "float32" and kind != "tflite":
        raise ValueError(f"precision {precision} is for tflite, not for {kind}")
    if len(calibration) and precision != "int8":
        raise ValueError(f"pictures to calibrate with belong to precision int8, not to {precision}")


def _adapted(model, value_range, layout):
    """The network around which pictures are in another range or layout."""
    if (value_range, layout) == (255, "nhwc"):
        return model
    first = layout == "nchw"
    inputs, inside = [], []
    for name, tensor in zip(_names(model), model.inputs, strict=True):
        channels = tensor.shape[-1]
        shape = (channels, None, None) if first else (None, None, channels)
        inputs.append(x := keras.Input(shape, name=name))
        x = keras.layers.Permute((2, 3, 1))(x) if first else x
        inside.append(x if name == _MASK else keras.layers.Rescaling(255 / value_range)(x))
    output = model(inside[0] if len(inside) == 1 else inside)
    output = keras.layers.Rescaling(value_range / 255)(output)
    output = keras.layers.Permute((3, 1, 2))(output) if first else output
    return keras.Model(inputs, output)


def _as_keras(run, value_range, layout):
    """A runtime's function on pictures in 0..255, channels last."""
    scales = (value_range / 255, 1)  # pictures, mask

    def run_adapted(*inputs):
        inputs = [np.float32(scale) * x for scale, x in zip(scales, inputs, strict=False)]
        if layout == "nhwc":
            return run(*inputs) / scales[0]
        return run(*(x.transpose(0, 3, 1, 2) for x in inputs)).transpose(0, 2, 3, 1) / scales[0]

    return run_adapted


def _largest_difference(model, run, pictures=()):
    """Largest difference on these pictures, or else on random ones of two sizes."""
    differences = []
    for inputs in [[x] for x in pictures] or _random_inputs(model):
        expected = np.asarray(model(inputs[0] if len(inputs) == 1 else inputs))
        found = run(*inputs)
        if found.shape != expected.shape:
            raise ArithmeticError(f"the output is {found.shape}, not {expected.shape}")
        differences.append(np.abs(found - expected).max())
    return float(max(differences))


def _random_inputs(model):
    rng = np.random.default_rng(0)
    for size in _CHECKED_SIZES:
        height, width = (-(-side // _multiple(model)) * _multiple(model) for side in size)
        yield [_random_input(rng, t, height, width) for t in model.inputs]


def _multiple(model):
    """What sides of pictures must be a multiple of."""
    if any(isinstance(layer, PadToMultiple) for layer in model.layers):
        return 1
    return math.prod(x.scale for x in model.layers if isinstance(x, PixelUnshuffle))


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
        tf.TensorSpec((batch, *t.shape[1:]), tf.float32, name=name)
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


def _write_tflite(value_range, layout, precision, calibration):
    def write(model, path):
        function = tf.function(_forward(tflite.without_erf(model)), _signature(model, 1))
        samples = [np.float32(value_range / 255) * x[None] for x in calibration]
        if layout == "nchw":
            samples = [x.transpose(0, 3, 1, 2) for x in samples]
        path.write_bytes(tflite.convert(function.get_concrete_function(), precision, samples))

    return write


def _write_onnx(model, path):
    _need("onnx", "tf2onnx")
    signature = [
        keras.InputSpec(shape=(None, *t.shape[1:]), dtype="float32", name=name)
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


def _write_html(model, path, name, licence):
    from infer.page.page import page

    path.write_text(page(model, name or path.stem, licence), encoding="utf-8")


def _run_html(path):
    from infer.page.page import run_graph

    return run_graph(path.read_text(encoding="utf-8"))


def _need(*packages):
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(f"ONNX needs {' and '.join(missing)}: pip install 'whole-pictures[onnx]'")
