"""Writes the page: template, runtime and network in one file that needs nothing else.

The runtime is TensorFlow.js, kept in ``runtime/`` as its publisher packs it: WebGL where there is a
graphics processor, WebAssembly else. Runtime and network are packed by gzip, which browsers unpack.
"""

import base64
import gzip
import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

from infer.margin import margin_px
from infer.page.graph import RUNTIME, graph_model
from infer.reach import reach
from infer.tiles import make_grid
from model.restoration import has_mask, without_masks

_HERE = Path(__file__).parent
_SCRIPTS = [
    *(RUNTIME / f"tf-{part}.es2017.min.js" for part in ("core", "converter")),
    *(RUNTIME / f"tf-backend-{part}.es2017.min.js" for part in ("webgl", "wasm")),
    *(_HERE / name for name in ("tiles.js", "pixels.js", "png.js", "worker.js")),
]
_VERSION = "4.22.0"
_BUDGET_BYTES = 512 << 20  # for the features of one run; a tab of a phone gets about twice that
_PEAK_OVER_LIVE = 1.6  # as in infer.upscaler
_LARGEST_RUN_PX = 320  # so that the bar moves, and a run is cut off soon
_PROBE = (12, 10)  # height and width: enough to tell an exact backend from a coarse one


def page(model, name, licence):
    """Make the page.

    Args:
        model: A functional network from RGB to RGB; may be mask-aware.
        name: What the page calls it.
        licence: One sentence.

    Returns:
        HTML.

    Raises:
        ValueError: The network is not from RGB to RGB, or has operations that the runtime lacks.
    """
    plain = without_masks(model) if has_mask(model) else model
    field = reach(plain)
    names = ["pictures", "valid_mask"][: len(model.inputs)]
    signature = [
        tf.TensorSpec((1, None, None, t.shape[-1]), tf.float32, name=n)
        for n, t in zip(names, model.inputs, strict=True)
    ]
    graph = graph_model(
        lambda *x: model(x[0] if len(x) == 1 else list(x), training=False), signature
    )
    enlarges = field.scale > 1
    description = {
        "masked": has_mask(model),
        "multiple": field.multiple,
        "grid": _grid(plain, field),
        "suffix": f"-x{field.scale}" if enlarges else "-restored",
        "probe": _probe(plain),
        "specs": graph.specs,
        "output": graph.output,
    }
    values = {
        "VERSION": _VERSION,
        "TITLE": f"Enlarge pictures ×{field.scale}" if enlarges else "Restore pictures",
        "NAME": html.escape(name),
        "LICENCE": html.escape(licence).replace("--", "–"),
        "NOTICES": html.escape((RUNTIME / "NOTICES.txt").read_text("utf-8")),
        "CSS": (_HERE / "page.css").read_text("utf-8"),
        "JS": (_HERE / "page.js").read_text("utf-8"),
        "DESCRIPTION": json.dumps(description).replace("<", "\\u003c"),
        "RUNTIME": _packed("\n".join(file.read_text("utf-8") for file in _SCRIPTS).encode()),
        "WASM": _packed((RUNTIME / "tfjs-backend-wasm-simd.wasm").read_bytes()),
        "TOPOLOGY": _packed(json.dumps(graph.topology).encode()),
        "WEIGHTS": _packed(graph.weights),
    }
    template = (_HERE / "page.html").read_text("utf-8")
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], template)


def _packed(data):
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def _grid(model, field):
    """How pictures are cut, as `infer.upscaler` does it but for the size of tiles."""
    run = _runner(model)
    if field.radius_px:
        field = replace(field, radius_px=margin_px(model, run, field))
    fitting = int((_BUDGET_BYTES / (_PEAK_OVER_LIVE * field.bytes_per_px)) ** 0.5)
    margin = make_grid((8, 8), field, None, None).margin
    side = max(32, min(fitting, _LARGEST_RUN_PX) - 2 * margin)
    grid = make_grid((side, side), field, side, None)
    return {key: getattr(grid, key) for key in ("tile", "margin", "blend", "step", "scale")}


def _runner(model):
    return lambda pixels: np.asarray(model(pixels[None], training=False))[0]


def _probe(model):
    """A small picture, which worker.js makes by the same formula, and what Keras makes of it."""
    height, width = _PROBE
    n = np.arange(3 * height * width)
    pixels = ((n * n * 7 + n) % 256).reshape(height, width, 3).astype(np.float32)
    expected = _runner(model)(pixels).ravel().round(2)
    return {"height": height, "width": width, "expected": [float(x) for x in expected.round(2)]}


def run_graph(text):
    """Read the network out of a page.

    Args:
        text: What `page` returned.

    Returns:
        Function of the network's inputs, each (1, H, W, C) float32, that gives its output.
    """
    description = json.loads(_part(text, "description"))
    topology, weights = (
        gzip.decompress(base64.b64decode(_part(text, part))) for part in ("topology", "weights")
    )
    graph = json_format.ParseDict(json.loads(topology), tf.compat.v1.GraphDef())
    _fill(graph, description["specs"], weights)
    inputs = [node.name + ":0" for node in graph.node if node.op == "Placeholder"]
    function = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(graph, name=""), []
    )
    run = function.prune(
        [function.graph.get_tensor_by_name(name) for name in inputs],
        function.graph.get_tensor_by_name(description["output"]),
    )
    return lambda *arrays: run(*map(tf.constant, arrays)).numpy()


def _part(text, name):
    return re.search(rf'<script type="[a-z/]+" id="{name}">(.*?)</script>', text, re.DOTALL)[1]


def _fill(graph, specs, weights):
    constants = {node.name: node for node in graph.node if node.op == "Const"}
    place = 0
    for spec in specs:
        stored = spec.get("quantization", spec)["dtype"]
        count = int(np.prod(spec["shape"]))
        array = np.frombuffer(weights, stored, count, place)
        place += array.nbytes
        tensor = constants[spec["name"]].attr["value"].tensor
        kind = tf.dtypes.as_dtype(tensor.dtype).as_numpy_dtype
        tensor.CopyFrom(tf.make_tensor_proto(array.astype(kind), shape=spec["shape"]))
