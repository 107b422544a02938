"""LPIPS: the published package's distances, its parts, its gradient, and files it loads from."""

import json
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.lpips import lpips
from weights.convert import load_foreign
from weights.load import load_model
from weights.recognised import build
from weights.torch_networks import recognise

NETS = ("squeeze", "alex", "vgg")


def trunk_by_rule(golden, net):
    """The seeded random trunk of the reference: values follow from the names."""
    tensors = {}
    for name, facts in json.loads((golden / "lpips/backbone_check.json").read_text())[net].items():
        shape = facts["shape_oihw"]
        random = np.random.RandomState(zlib.crc32(f"shared/{net}/{name}".encode()))
        factor = np.sqrt(2 / np.prod(shape[1:])) if len(shape) == 4 else 0.05
        tensors[name] = (random.standard_normal(shape) * factor).astype("f4")
        assert tensors[name].sum(dtype="f8") == pytest.approx(facts["sum_float64"], abs=1e-6)
    return tensors


def linear(golden, net):
    weights = np.load(golden / "lpips" / "lin_weights_v01.npz")
    return {n.removeprefix(f"{net}."): weights[n] for n in weights if n.startswith(net)}


def distance_and_parts(model):
    count = sum(layer.name.startswith("lin") for layer in model.layers)
    parts = [model.get_layer(f"lin{i}").output for i in range(count)]
    return keras.Model(model.inputs, [model.output, *parts])


@pytest.mark.parametrize("net", NETS)
def test_equals_the_published_package(golden, request, net):
    if net == "squeeze":  # trained weights, which are not copied
        shared = request.getfixturevalue("shared")
        model = load_foreign(shared / "reference" / "lpips" / "squeezenet1_1_lpips_v01.npz")
    else:
        model = build(recognise(trunk_by_rule(golden, net) | linear(golden, net)), "trunk")
    images = np.load(golden / "lpips" / "images.npz")
    expected = json.loads((golden / "lpips" / "values.json").read_text())["values"][net]
    run = distance_and_parts(model)
    for facts in expected.values():
        distance, *parts = (
            float(value[0]) for value in run([images[facts[k]].astype("f4") for k in "ab"])
        )
        assert distance == pytest.approx(facts["distance_float64"], rel=1e-5, abs=1e-7)
        assert parts == pytest.approx(facts["per_layer_float64"], rel=1e-4, abs=1e-6)


def test_batches_are_pairs():
    model = lpips("squeeze")
    a, b = np.random.default_rng(0).uniform(0, 255, (2, 3, 71, 67, 3)).astype("f4")
    together = model([a, b]).numpy()
    assert together.shape == (3,)
    alone = [float(model([a[i : i + 1], b[i : i + 1]])[0]) for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


@pytest.mark.parametrize("net", NETS)
def test_as_a_loss_it_is_finite_and_reaches_the_picture(net):
    model = lpips(net)
    assert not model.trainable_variables
    flat = tf.zeros((1, 64, 64, 3))
    noise = tf.random.uniform((1, 64, 64, 3), 0, 255, seed=1)
    for a, b in ((noise, noise), (flat, noise), (flat, flat)):
        with tf.GradientTape() as tape:
            tape.watch(a)
            distance = model([a, b])
        gradient = tape.gradient(distance, a)
        assert np.isfinite(distance).all() and np.isfinite(gradient).all()
    with tf.GradientTape() as tape:
        tape.watch(noise)
        distance = model([noise, noise[:, ::-1]])
    assert distance[0] > 0
    assert tf.reduce_max(tf.abs(tape.gradient(distance, noise))) > 0


def test_config_and_weights_round_trip(tmp_path):
    model = lpips("squeeze")
    pictures = list(np.random.default_rng(0).uniform(0, 255, (2, 1, 64, 67, 3)).astype("f4"))
    again = type(model).from_config(model.get_config())
    model.save_weights(tmp_path / "a.weights.h5")
    again.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(again(pictures), model(pictures))
    assert load_model(tmp_path / "a.weights.h5").built_by == model.built_by


def test_the_two_published_files_together(golden, tmp_path):
    """torchvision's classifier and the package's own names of the linear layers."""
    trunk = trunk_by_rule(golden, "alex")
    np.savez(tmp_path / "trunk.npz", **trunk, **{"classifier.1.weight": np.ones((2, 3), "f4")})
    packaged = {
        n.replace(".weight", ".model.1.weight"): w for n, w in linear(golden, "alex").items()
    }
    np.savez(tmp_path / "linear.npz", **packaged)
    said = []
    model = load_foreign([tmp_path / "trunk.npz", tmp_path / "linear.npz"], report=said.append)
    assert "LPIPS (alex), lpips(net='alex')" in said[0]
    kernel = model.get_layer("features_3").kernel
    np.testing.assert_array_equal(kernel, trunk["features.3.weight"].transpose(2, 3, 1, 0))
    with pytest.raises(ValueError, match=r"LPIPS needs two files.* lin0\.weight is missing"):
        load_foreign(tmp_path / "trunk.npz")
    with pytest.raises(ValueError, match=r"LPIPS needs two files.* features\.0\.weight is missing"):
        load_foreign(tmp_path / "linear.npz")


def test_the_packages_whole_state(golden, tmp_path):
    """A saved `LPIPS` module: slices, scaling layer, and the linear layers twice."""
    trunk, lines = trunk_by_rule(golden, "vgg"), linear(golden, "vgg")
    slices = {0: 1, 2: 1, 5: 2, 7: 2, 10: 3, 12: 3, 14: 3, 17: 4, 19: 4, 21: 4}
    tensors = {"scaling_layer.shift": np.zeros((1, 3, 1, 1), "f4")}
    for name, tensor in trunk.items():
        index = int(name.split(".")[1])
        tensors[name.replace("features", f"net.slice{slices.get(index, 5)}")] = tensor
    for name, tensor in lines.items():
        tensors[name.replace(".weight", ".model.1.weight")] = tensor
        tensors[name.replace("lin", "lins.").replace(".weight", ".model.1.weight")] = tensor
    np.savez(tmp_path / "state.npz", **tensors)
    model = load_foreign(tmp_path / "state.npz")
    np.testing.assert_array_equal(model.get_layer("lin4").weight, lines["lin4.weight"].ravel())


def test_without_weights_it_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="python -m infer weights get lpips-squeeze"):
        load_model("lpips-squeeze")


def test_unknown_net():
    with pytest.raises(ValueError, match="net must be one of alex, vgg, squeeze, got 'resnet'"):
        lpips("resnet")
