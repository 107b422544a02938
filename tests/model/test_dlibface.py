"""dlib's face network: against another writing of it, and the TensorFlow.js files it comes in."""

import json

import numpy as np
import pytest
import tensorflow as tf

from model.dlibface import RGB_MEAN, dlib_face
from weights.convert import convert, load_foreign
from weights.load import load_model
from weights.tensor_file import read_tensors

QUANTISED = {"dtype": "uint8", "scale": 0.5, "min": -3.0}


def random_tensors():
    """Tensors of a file of face-api: two 3×3 convolutions a block, with factor and offset."""
    random = np.random.default_rng(3)
    widths = {"conv32_down": (3, 32)}
    before = 32
    for name, count in (("conv32", 3), ("conv64", 3), ("conv128", 2), ("conv256", 2)):
        width = int(name[4:])
        blocks = [f"{name}_down"] * (width > 32) + [f"{name}_{i + 1}" for i in range(count)]
        for block in blocks:
            widths |= {f"{block}/conv1": (before, width), f"{block}/conv2": (width, width)}
            before = width
    widths |= {"conv256_down_out/conv1": (256, 256), "conv256_down_out/conv2": (256, 256)}
    tensors = {"fc": random.normal(size=(256, 128)).astype("f4")}
    for name, (inputs, outputs) in widths.items():
        side = 7 if name == "conv32_down" else 3
        deviation = (1 / (side * side * inputs)) ** 0.5
        kernel = random.normal(scale=deviation, size=(side, side, inputs, outputs))
        tensors[f"{name}/conv/filters"] = kernel.astype("f4")
        for part in ("conv/bias", "scale/biases"):
            tensors[f"{name}/{part}"] = random.normal(scale=0.1, size=outputs).astype("f4")
        tensors[f"{name}/scale/weights"] = random.uniform(0.5, 1.5, outputs).astype("f4")
    return tensors


def forward(tensors, pictures):
    """The network written out with TensorFlow's operations, unfolded."""

    def conv(x, name, stride=1, padding="SAME"):
        x = tf.nn.conv2d(x, tensors[f"{name}/conv/filters"], stride, padding)
        x = x + tensors[f"{name}/conv/bias"]
        return x * tensors[f"{name}/scale/weights"] + tensors[f"{name}/scale/biases"]

    def block(x, name):
        down = "down" in name
        first = conv(x, f"{name}/conv1", *((2, "VALID") if down else (1, "SAME")))
        out = conv(tf.nn.relu(first), f"{name}/conv2")
        if down:
            x = tf.nn.avg_pool2d(x, 2, 2, "VALID")
            missing = [[0, b - a] for a, b in zip(out.shape, x.shape, strict=True)][1:3]
            out = tf.pad(out, [[0, 0], *missing, [0, 0]])
            x = tf.pad(x, [[0, 0]] * 3 + [[0, out.shape[-1] - x.shape[-1]]])
        return tf.nn.relu(out + x)

    x = (pictures - np.array(RGB_MEAN, "f4")) / 256
    x = tf.nn.max_pool2d(tf.nn.relu(conv(x, "conv32_down", 2, "VALID")), 3, 2, "VALID")
    names = [n.split("/")[0] for n in tensors if "/conv1/" in n]
    for name in dict.fromkeys(names):
        x = block(x, name)
    return x


def write_tfjs(folder, tensors, quantised=()):
    """Write a manifest and its file; those `quantised` as bytes."""
    entries, content = [], b""
    for name, tensor in tensors.items():
        entry = {"name": name, "shape": tensor.shape, "dtype": "float32"}
        if name in quantised:
            entry["quantization"] = QUANTISED
            tensor = np.rint((tensor - QUANTISED["min"]) / QUANTISED["scale"]).astype("u1")
        entries.append(entry)
        content += tensor.tobytes()
    manifest = folder / "face-weights_manifest.json"
    manifest.write_text(json.dumps([{"weights": entries, "paths": ["face.bin"]}]))
    (folder / "face.bin").write_bytes(content)
    return manifest


def test_gives_the_same_as_its_definition_and_converts(tmp_path):
    tensors = random_tensors()
    manifest = write_tfjs(tmp_path, tensors)
    model = load_foreign(manifest, {"features": "conv5"})
    pictures = np.random.default_rng(1).uniform(0, 255, (2, 150, 150, 3)).astype("f4")
    expected = forward(tensors, pictures).numpy()
    assert expected.shape == (2, 2, 2, 256) and expected.std() > 0
    np.testing.assert_allclose(model(pictures), expected, atol=1e-4 * expected.std(), rtol=1e-3)
    out = convert(manifest, tmp_path / "face.weights.h5", report=lambda _: None)
    mean = load_model(out)(pictures)
    np.testing.assert_allclose(mean, expected.mean((1, 2)), rtol=1e-3, atol=1e-4)


def test_it_is_frozen_but_lets_gradients_through():
    model = dlib_face("conv5")
    assert not model.trainable_variables
    pictures = tf.random.uniform((1, 150, 150, 3), 0, 255, seed=2)
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        features = model(pictures)
    assert tf.reduce_max(tf.abs(tape.gradient(features, pictures))) > 0
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(tf.function(again)(pictures), features, rtol=1e-4, atol=1e-5)


def test_refuses_other_features():
    with pytest.raises(ValueError, match="features must be one of avg_pool, conv5, got 'fc'"):
        dlib_face("fc")


def test_tfjs_tensors_plain_and_quantised(tmp_path):
    tensors = {"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.array([-3, 0, 4.5], "f4")}
    found = read_tensors(write_tfjs(tmp_path, tensors, quantised=("b",)))
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_tfjs_files_that_are_damaged_or_missing(tmp_path):
    manifest = write_tfjs(tmp_path, {"a": np.zeros((2, 3), "f4")})
    (tmp_path / "face.bin").write_bytes(b"short")
    with pytest.raises(ValueError, match="the numbers end before a does"):
        read_tensors(manifest)
    (tmp_path / "face.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"face\.bin"):
        read_tensors(manifest)
    for text in ("[1]", '[{"weights": [{}], "paths": []}]', "[", '[{"weights": []}]'):
        manifest.write_text(text)
        with pytest.raises(ValueError, match=r"manifest\.json"):
            read_tensors(manifest)
