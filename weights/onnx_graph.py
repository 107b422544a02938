"""ONNX graphs as functions of TensorFlow tensors that have gradients, for use in losses.

What onnxruntime only runs, a training can learn from. Of ONNX it knows the operations of
convolutional recognisers such as PP-OCR's, opset 11 to 12, float32. Pictures stay channels-last
through convolutions and all that works element by element; other operations see ONNX's order.
"""

import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class _Node(NamedTuple):
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: dict


class OnnxGraph:
    """A function of (B, H, W, C) float32 to one of a graph's tensors.

    Args:
        path: File of the graph; it has one input, (B, C, H, W).
        before: Name of an operation's kind, such as "Softmax": return what the last one of this
            kind is given. None: the graph's first output.

    Raises:
        ImportError: The package onnx is missing.
        ValueError: The graph has operations that are not known here; names them.
    """

    def __init__(self, path, before=None):
        try:
            import onnx  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ImportError(
                "reading a recogniser needs onnx: pip install 'whole-pictures[text]'"
            ) from error
        self.path, self._digest = str(path), hashlib.sha256(Path(path).read_bytes()).hexdigest()
        graph, read = onnx.load(self.path).graph, onnx.numpy_helper.to_array
        self._input, self._before = graph.input[0].name, before
        self._constants = {tensor.name: read(tensor) for tensor in graph.initializer}
        nodes = []
        for node in graph.node:
            options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                self._constants[node.output[0]] = read(options["value"])
            else:
                nodes.append(_Node(node.op_type, (*node.input,), (*node.output,), options))
        unknown = {node.kind for node in nodes} - set(_KINDS)
        if unknown:
            raise ValueError(f"{path} has operations that are not known: {', '.join(unknown)}")
        last = [node.inputs[0] for node in nodes if node.kind == before]
        self._output = last[-1] if last else graph.output[0].name
        self._nodes = _needed(nodes, self._output)

    def __call__(self, pictures):
        """Return the tensor, a picture's channels second as in ONNX."""
        values, channels_last = {**self._constants, self._input: pictures}, {self._input}
        for node in self._nodes:
            given = [(values[name], name in channels_last) for name in node.inputs]
            pictured = node.kind in _PICTURED or (
                node.kind in _EACH and any(is_last for _, is_last in given)
            )
            order = _to_last if pictured else _to_first
            values[node.outputs[0]] = _KINDS[node.kind](node, *(order(*value) for value in given))
            channels_last |= {node.outputs[0]} if pictured else set()
        return _to_first(values[self._output], self._output in channels_last)

    def get_config(self):
        """What the result depends on, for the description of a run."""
        return {"digest": self._digest, "before": self._before}


def text_recogniser():
    """PP-OCRv4's recogniser of rapidocr-onnxruntime, up to the logits: (B, T, 6625).

    It takes lines of text, (B, 48, W, 3) BGR in -1..1, and gives a place for each 8 px of W.

    Raises:
        ImportError: A package is missing.
    """
    package = importlib.util.find_spec("rapidocr_onnxruntime")
    if package is None or package.origin is None:
        raise ImportError(
            "reading text needs rapidocr-onnxruntime: pip install 'whole-pictures[text]'"
        )
    path = Path(package.origin).with_name("models") / "ch_PP-OCRv4_rec_infer.onnx"
    return OnnxGraph(path, before="Softmax")


def _needed(nodes, output):
    """The nodes that an output depends on, in order."""
    names, kept = {output}, []
    for node in reversed(nodes):
        if names & set(node.outputs):
            names |= set(node.inputs)
            kept.append(node)
    return kept[::-1]


def _to_last(value, is_last):
    turn = not is_last and not isinstance(value, np.ndarray) and value.shape.rank == 4
    return tf.transpose(value, (0, 2, 3, 1)) if turn else value


def _to_first(value, is_last):
    return tf.transpose(value, (0, 3, 1, 2)) if is_last else value


def _conv(node, x, kernel, bias=None):
    pads, strides, groups = (node.options[name] for name in ("pads", "strides", "group"))
    padding = [[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]]
    if groups == 1:
        x = tf.nn.conv2d(x, kernel.transpose(2, 3, 1, 0), strides, padding)
    else:  # one channel a group; unequal strides, which TensorFlow lacks, by leaving rows out
        kernel = kernel.transpose(2, 3, 0, 1)
        x = tf.nn.depthwise_conv2d(tf.pad(x, padding), kernel, (1, 1, 1, 1), "VALID")
        x = x[:, :: strides[0], :: strides[1]]
    return x if bias is None else tf.nn.bias_add(x, bias)


def _batch_normalization(node, x, gamma, beta, mean, variance):
    factor = gamma / np.sqrt(variance + node.options["epsilon"])
    return x * factor + (beta - mean * factor)


def _reshape(_, x, shape):
    count = shape.shape[0]
    same = tf.pad(tf.shape(x, tf.int64), [[0, max(0, count - x.shape.rank)]])[:count]
    return tf.reshape(x, tf.where(shape == 0, same, shape))  # 0: as it is


def _slice(_, x, starts, ends, axes, steps=None):
    index = [slice(None)] * x.shape.rank
    steps = np.ones_like(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(int(start), min(int(end), 2**31 - 1), int(step))
    return x[tuple(index)]


def _clip(_, x, low, high):
    # ReLU6, of which recognisers are full, has a slope of its own: a quarter of a step's time
    return tf.nn.relu6(x) if (low, high) == (0, 6) else tf.clip_by_value(x, low, high)


def _cast(node, x):
    import onnx  # pyright: ignore[reportMissingImports]

    return tf.cast(x, onnx.helper.tensor_dtype_to_np_dtype(node.options["to"]))


def _average_pool(node, x):
    return tf.nn.avg_pool2d(x, node.options["kernel_shape"], node.options["strides"], "VALID")


def _global_average_pool(_, x):
    return tf.reduce_mean(x, (1, 2), keepdims=True)


def _hard_sigmoid(node, x):
    return tf.clip_by_value(node.options["alpha"] * x + node.options["beta"], 0, 1)


def _reduce_mean(node, x):
    return tf.reduce_mean(x, node.options["axes"], keepdims=bool(node.options.get("keepdims", 1)))


def _by(function, **names):
    """An operation that is a function of TensorFlow with other names of options."""

    def operation(node, *inputs):
        return function(*inputs, **{name: node.options[given] for name, given in names.items()})

    return operation


_PICTURED = {
    "Conv": _conv,
    "BatchNormalization": _batch_normalization,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
}
_EACH = {
    "Add": _by(tf.add),
    "Sub": _by(tf.subtract),
    "Mul": _by(tf.multiply),
    "Div": _by(tf.divide),
    "Pow": _by(tf.pow),
    "Sqrt": _by(tf.sqrt),
    "Clip": _clip,
    "Relu": _by(tf.nn.relu),
    "Sigmoid": _by(tf.sigmoid),
    "HardSigmoid": _hard_sigmoid,
}
_KINDS = {
    **_PICTURED,
    **_EACH,
    "Cast": _cast,
    "Concat": lambda node, *inputs: tf.concat(inputs, node.options["axis"]),
    "MatMul": _by(tf.matmul),
    "ReduceMean": _reduce_mean,
    "Reshape": _reshape,
    "Shape": lambda _, x: tf.shape(x, tf.int64),
    "Slice": _slice,
    "Softmax": _by(tf.nn.softmax, axis="axis"),
    "Squeeze": _by(tf.squeeze, axis="axes"),
    "Transpose": _by(tf.transpose, perm="perm"),
}
