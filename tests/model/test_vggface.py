"""VGGFace2 networks: keras-vggface's answers, the PyTorch variant's arithmetic, gradients."""

import json
import zlib

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from model import vggface as vggface_module
from model.vggface import BGR_MEAN, vggface
from tests.conftest import GOLDEN
from weights.convert import load_foreign
from weights.load import load_model
from weights.recognised import build
from weights.torch_networks import recognise

SMALL_STAGES = ((2, 2, 16), (3, 2, 8), (4, 1, 16), (5, 3, 24))


@pytest.fixture
def small(monkeypatch):
    """Networks with all that the real ones have, in seconds instead of half a minute."""
    monkeypatch.setattr(vggface_module, "STAGES", SMALL_STAGES)


def value(name, shape):
    """The reference's rule for the value of a weight, from its name."""
    random = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)
    x = random.standard_normal(size=shape).astype("f4")
    leaf = name.split("/")[-1]
    if "moving_variance" in leaf:
        return (0.5 + np.abs(x)).astype("f4")
    if "gamma" in leaf:
        return (1 + 0.1 * x).astype("f4")
    if "kernel" not in leaf:
        return (0.1 * x).astype("f4")
    return x * np.float32(np.sqrt(2.0 / int(np.prod(shape[:-1]))))


def write_keras_vggface(path, golden, architecture, root="/", top=False):
    """Write a weight file in keras-vggface's layout, filled by rule."""
    spec = json.loads((golden / "vggface" / f"{architecture}.json").read_text())
    weights = {layer: dict(shapes) for layer, shapes in spec["weights"]}
    names = list(spec["layer_names"])
    if top:
        names.append("classifier")
        weights["classifier"] = {"classifier/kernel:0": (2048, 7), "classifier/bias:0": (7,)}
    with h5py.File(path, "w") as file:
        group = file.require_group(root)
        group.attrs["layer_names"] = [name.encode() for name in names]
        for layer in names:
            shapes = weights.get(layer, {})
            tensors = group.create_group(layer)
            tensors.attrs["weight_names"] = [name.encode() for name in shapes]
            for name, shape in shapes.items():
                tensors.create_dataset(name, data=value(name, shape))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file an architecture; the SENet is a full-model file with its classifier."""
    folder = tmp_path_factory.mktemp("vggface")
    return {
        "resnet50": write_keras_vggface(folder / "resnet50.h5", GOLDEN, "resnet50"),
        "senet50": write_keras_vggface(
            folder / "senet50.h5", GOLDEN, "senet50", root="model_weights", top=True
        ),
    }


# Keras-vggface's SENet-50 with these values magnifies rounding: its gates are steps. Computing in
# float64 instead of float32 moves conv5_3 by 1e-3 of the largest value and single features by
# much more; a batch normalisation epsilon 10 times as large or small moves it by 1e-1.
TOLERANCE = {"resnet50": (1e-4, 1e-4), "senet50": (3e-3, None)}


@pytest.mark.parametrize("architecture", TOLERANCE)
def test_gives_keras_vggfaces_answer(golden, files, architecture):
    said = []
    model = load_foreign(files[architecture], report=said.append)
    assert f"vggface(architecture='{architecture}', variant='keras'" in said[0]
    expected = np.load(golden / "vggface" / f"{architecture}.npz")
    pictures = expected["image"][None].astype("f4")
    conv = keras.Model(model.input, [model.get_layer("conv5_3_1x1_increase").output, model.output])
    conv5_3, features = (np.asarray(t) for t in conv(pictures))
    largest = np.abs(expected["conv5_3"]).max()
    conv_tolerance, features_tolerance = TOLERANCE[architecture]
    np.testing.assert_allclose(
        conv5_3.mean((0, 1, 2)), expected["conv5_3"], rtol=0, atol=conv_tolerance * largest
    )
    error = np.abs(features - expected["features"])
    if features_tolerance:
        assert error.max() < features_tolerance * expected["features"].max()
    else:  # gates apart that are about to flip
        assert np.median(error) < 1e-3 * expected["features"].std()
    preprocessed = model.layers[1](pictures).numpy().mean((0, 1, 2))
    np.testing.assert_allclose(preprocessed, expected["preprocessed_mean"], rtol=1e-5)


def test_another_architectures_file_is_refused_by_name(files):
    with pytest.raises(ValueError, match="another network") as error:
        vggface("senet50").load_weights(files["resnet50"])
    assert "missing: conv2_1_1x1_down/0, conv2_1_1x1_down/1" in str(error.value)
    assert "and 54 more" in str(error.value)


def random_torch_tensors(architecture, seed=0):
    """Tensors of S. Albanie's modules, small gates so that nothing saturates."""
    random = np.random.default_rng(seed)
    tensors = {}

    def convolution(name, inputs, outputs, size, bias=False):
        gain = (2 / (inputs * size**2)) ** 0.5
        tensors[f"{name}.weight"] = gain * random.normal(size=(outputs, inputs, size, size))
        if bias:
            tensors[f"{name}.bias"] = 0.1 * random.normal(size=outputs)
            return
        tensors[f"{name}_bn.weight"] = 1 + 0.1 * random.normal(size=outputs)
        tensors[f"{name}_bn.bias"] = 0.1 * random.normal(size=outputs)
        tensors[f"{name}_bn.running_mean"] = 0.1 * random.normal(size=outputs)
        # Small enough for the epsilon to matter.
        tensors[f"{name}_bn.running_var"] = 1e-4 * (1 + random.uniform(size=outputs))
        tensors[f"{name}_bn.num_batches_tracked"] = np.array(3)

    convolution("conv1_7x7_s2", 3, 64, 7)
    channels = 64
    for stage, blocks, filters in SMALL_STAGES:
        for block in range(1, blocks + 1):
            name = f"conv{stage}_{block}_1x1"
            convolution(f"{name}_reduce", channels, filters, 1)
            convolution(f"conv{stage}_{block}_3x3", filters, filters, 3)
            convolution(f"{name}_increase", filters, 4 * filters, 1)
            if block == 1:
                convolution(f"{name}_proj", channels, 4 * filters, 1)
            channels = 4 * filters
            if architecture == "senet50":
                convolution(f"{name}_down", channels, channels // 16, 1, bias=True)
                convolution(f"{name}_up", channels // 16, channels, 1, bias=True)
    tensors["classifier.weight"] = np.zeros((7, channels, 1, 1))
    tensors["classifier.bias"] = np.zeros(7)
    # Keep the features near 1 in spite of the small variances.
    for name in tensors:
        if name.endswith("_bn.weight"):
            tensors[name] *= 0.01
        elif name.endswith("_down.weight"):
            tensors[name] *= 0.1
    return {name: np.asarray(tensor, "f4") for name, tensor in tensors.items()}


def pytorch_forward(tensors, rgb):
    """The published module's arithmetic on its own tensors: padding, pooling and order as there."""

    def convolve(x, name, strides=1, padding=0):
        x = tf.pad(x, [[0, 0], [padding] * 2, [padding] * 2, [0, 0]])
        return tf.nn.conv2d(x, tensors[f"{name}.weight"].transpose(2, 3, 1, 0), strides, "VALID")

    def normalised(x, name, strides=1, padding=0):
        x = convolve(x, name, strides, padding)
        weight, bias, mean, variance = (
            tensors[f"{name}_bn.{leaf}"]
            for leaf in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias

    x = tf.nn.relu(normalised(rgb - np.float32(BGR_MEAN[::-1]), "conv1_7x7_s2", 2, 3))
    below = [-(size - 3) % 2 for size in x.shape[1:3]]  # the size is rounded up
    x = tf.pad(x, [[0, 0], [0, below[0]], [0, below[1]], [0, 0]], constant_values=-np.inf)
    x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    for stage, blocks, _ in SMALL_STAGES:
        for block in range(1, blocks + 1):
            name = f"conv{stage}_{block}"
            strides = 2 if block == 1 and stage > 2 else 1
            y = tf.nn.relu(normalised(x, f"{name}_1x1_reduce", strides))
            y = tf.nn.relu(normalised(y, f"{name}_3x3", padding=1))
            y = normalised(y, f"{name}_1x1_increase")
            if f"{name}_1x1_down.weight" in tensors:
                gate = tf.reduce_mean(y, axis=(1, 2), keepdims=True)
                gate = convolve(gate, f"{name}_1x1_down") + tensors[f"{name}_1x1_down.bias"]
                gate = convolve(tf.nn.relu(gate), f"{name}_1x1_up") + tensors[f"{name}_1x1_up.bias"]
                y = y * tf.sigmoid(gate)
            if block == 1:
                x = normalised(x, f"{name}_1x1_proj", strides)
            x = tf.nn.relu(x + y)
    return x


@pytest.mark.parametrize("architecture", ["resnet50", "senet50"])
@pytest.mark.parametrize(("height", "width"), [(64, 70), (75, 67)])
@pytest.mark.usefixtures("small")
def test_pytorch_variant_is_exact(architecture, height, width):
    tensors = random_torch_tensors(architecture)
    found = recognise(tensors)
    assert found.arguments == {"architecture": architecture, "variant": "pytorch"}
    model = build(found, "tensors", {"features": "conv5"})
    pictures = np.random.default_rng(1).uniform(0, 255, (2, height, width, 3)).astype("f4")
    expected = pytorch_forward(tensors, pictures).numpy()
    output = model(pictures).numpy()
    assert output.shape == expected.shape
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-4 * expected.std())
    nearly = build(found, "tensors", {"features": "conv5", "variant": "keras"})(pictures).numpy()
    assert np.abs(nearly[:, :1, :1] - expected[:, :1, :1]).max() > 1e-2 * expected.std()


@pytest.mark.usefixtures("small")
def test_kinds_of_features_share_their_weights():
    model = {features: vggface("resnet50", features=features) for features in ("conv5", "pool5")}
    model["avg_pool"] = vggface("resnet50")
    for other in ("pool5", "avg_pool"):
        model[other].set_weights(model["conv5"].get_weights())
    pictures = np.random.default_rng(1).uniform(0, 255, (1, 224, 256, 3)).astype("f4")
    conv5, pool5, mean = (model[n](pictures).numpy() for n in ("conv5", "pool5", "avg_pool"))
    assert conv5.shape == (1, 7, 8, 96)
    expected = np.stack([conv5[:, :, i : i + 7].mean((1, 2)) for i in (0, 1)], axis=1)[:, None]
    np.testing.assert_allclose(pool5, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(mean, conv5.mean((1, 2)), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("small")
def test_it_is_frozen_but_lets_gradients_through_and_round_trips(tmp_path):
    model = vggface("senet50")
    assert not model.trainable_variables
    pictures = tf.random.uniform((1, 61, 67, 3), 0, 255, seed=2)
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        features = model(pictures)
    assert features.shape == (1, 96)
    assert tf.reduce_max(tf.abs(tape.gradient(features, pictures))) > 0
    again = type(model).from_config(model.get_config())
    assert again.built_by == model.built_by
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(pictures), features)
    model.save_weights(tmp_path / "a.weights.h5")
    conv5 = load_model(tmp_path / "a.weights.h5", {"features": "conv5"})(pictures)
    np.testing.assert_allclose(tf.reduce_mean(conv5, (1, 2)), features, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"architecture": "vgg16"}, "architecture must be one of senet50, resnet50, got 'vgg16'"),
        ({"variant": "caffe"}, "variant must be one of keras, pytorch, got 'caffe'"),
        ({"features": "fc7"}, "features must be one of avg_pool, pool5, conv5, got 'fc7'"),
    ],
)
def test_refuses_what_there_is_not(arguments, message):
    with pytest.raises(ValueError, match=message):
        vggface(**arguments)
