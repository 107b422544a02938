"""A network as a graph model of TensorFlow.js: a graph in JSON, and its weights as bytes.

This is the format of TensorFlow.js' own converter, which a current TensorFlow cannot be installed
beside. Weights that are exact in half precision, as those of the bundled files are, are stored so.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

RUNTIME = Path(__file__).parent / "runtime"
CONVERTER = RUNTIME / "tf-converter.es2017.min.js"

_ADDED = {"SpaceToDepth"}  # worker.js registers it


@dataclass(frozen=True)
class GraphModel:
    """What TensorFlow.js reads.

    Attributes:
        topology: The graph, as JSON.
        specs: Name, shape and type of each weight, in the order of `weights`.
        weights: Their numbers, little-endian.
        output: Name of the output.
    """

    topology: dict
    specs: list
    weights: bytes
    output: str


def graph_model(forward, signature):
    """Convert a network.

    Args:
        forward: Function of one or more tensors, of `tf.Variable`s and operations.
        signature: A named `tf.TensorSpec` for each.

    Returns:
        A `GraphModel` with those names as inputs.

    Raises:
        ValueError: The network has operations that TensorFlow.js does not know.
    """
    function = tf.function(forward, signature, autograph=False).get_concrete_function()
    frozen = convert_variables_to_constants_v2(function)
    graph = frozen.graph.as_graph_def()
    unknown = {node.op for node in graph.node} - known_operations()
    if unknown:
        raise ValueError(
            f"the network cannot run in a page: TensorFlow.js has no {', '.join(sorted(unknown))}"
        )
    specs, numbers = [], []
    for node in graph.node:
        if node.op == "Const":
            spec, array = _stored(node.name, tf.make_ndarray(node.attr["value"].tensor))
            specs.append(spec)
            numbers.append(array.tobytes())
            node.attr["value"].tensor.ClearField("tensor_content")
    output = frozen.outputs[0].name
    return GraphModel(json_format.MessageToDict(graph), specs, b"".join(numbers), output)


def known_operations():
    """Names of TensorFlow's operations that the runtime knows, as it says itself."""
    return set(re.findall(r'tfOpName:"(\w+)"', CONVERTER.read_text("utf-8"))) | _ADDED


def _stored(name, array):
    """What TensorFlow.js is told of a weight, and the array to write."""
    spec = {"name": name, "shape": list(array.shape)}
    if array.dtype.kind in "iu":
        return spec | {"dtype": "int32"}, array.astype("<i4")
    if array.dtype.kind == "b":
        return spec | {"dtype": "bool"}, array
    half = array.astype("<f2")
    if array.size > 1 and np.array_equal(half.astype(np.float32), array):
        quantization = {"dtype": "float16", "original_dtype": "float32"}
        return spec | {"dtype": "float32", "quantization": quantization}, half
    return spec | {"dtype": "float32"}, array.astype("<f4")
