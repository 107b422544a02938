"""Networks built and loaded on Keras' other back ends give what they give on TensorFlow."""

import os
import subprocess
import sys

import numpy as np
import pytest

from weights.builders import BUILDERS

TINY_RESTORMER = {"dim": 4, "num_blocks": (1, 0, 0, 1), "num_refinement_blocks": 0}
TINY_RESTORMER |= {"heads": (1, 1, 1, 2)}
SMALL = {"num_filters": 4, "num_res_blocks": 1}
NETWORKS = {
    "edsr": {"scale": 3, **SMALL},
    "wdsr_a": {"scale": 2, **SMALL},
    "wdsr_b": {"scale": 4, **SMALL},
    "sr_resnet": {"num_filters": 8, "num_res_blocks": 1},
    "discriminator": {"num_filters": 2},
    "srcnn": {"scale": 2},
    "vdsr": {"scale": 2, "num_filters": 4, "num_layers": 3},
    "rrdb_net": {"scale": 4, "num_filters": 4, "num_blocks": 1, "num_growth": 2},
    "restormer": TINY_RESTORMER,
    "restormer masked": TINY_RESTORMER
    | {"mask_aware": True, "mask_embedding": True, "unshuffle": 2},
    "vggface": {},
    "dlib_face": {},
    "lpips": {"net": "squeeze"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights, inputs and TensorFlow's outputs of a tiny network of every builder."""
    folder = tmp_path_factory.mktemp("backends")
    rng = np.random.default_rng(11)
    for name, arguments in NETWORKS.items():
        model = BUILDERS[name.partition(" ")[0]](**arguments)
        model.save_weights(folder / f"{name}.safetensors")
        shapes = [
            tuple(n or px for n, px in zip(t.shape, (1, 37, 41, 3), strict=True))
            for t in model.inputs
        ]
        inputs = [rng.uniform(0, 255, shape).astype(np.float32) for shape in shapes]
        if "masked" in name:
            inputs[1] = (inputs[1] > 60).astype(np.float32)
        np.savez(folder / f"{name}.npz", *inputs)
        output = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        np.save(folder / f"{name}.npy", output)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_network_gives_on_another_back_end_what_it_gives_on_tensorflow(folder, backend):
    pytest.importorskip(backend)
    environment = {"KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": ""}
    # JAX compiles each operation: quickly, for it is run once
    environment |= {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    subprocess.run(
        [sys.executable, "-m", "tests.model.on_backend", str(folder)],
        env=os.environ | environment,
        check=True,
    )
    differences = {}
    for name in NETWORKS:
        expected, found = (np.load(folder / f"{name}{end}.npy") for end in ("", f"-{backend}"))
        assert found.shape == expected.shape, name
        levels = max(1, np.ptp(expected) / 255)  # untrained networks may span more than pictures
        differences[name] = float(np.abs(found - expected).max() / levels)
    assert max(differences.values()) <= 0.01, differences


def test_every_builder_is_tried():
    assert {name.partition(" ")[0] for name in NETWORKS} == set(BUILDERS)
