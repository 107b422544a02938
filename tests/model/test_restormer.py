"""Restormer against the reference: blocks, mask rule, whole networks, sizes, round trips."""

import collections
import io
import pickle
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.masked import ChannelAttention, ChannelNorm, PartialDepthwiseConv2D, PartialRatio
from model.restormer import (
    BlockOptions,
    attention,
    feed_forward,
    restormer,
    restormer_lite,
    transformer_block,
)

TINY = {"dim": 8, "num_blocks": (1, 2, 1, 2), "num_refinement_blocks": 1}
SMALLEST = {"dim": 4, "num_blocks": (1, 0, 0, 1), "num_refinement_blocks": 0, "heads": (1, 1, 1, 2)}
MASKS = ("ones", "random", "block", "sparse", "one_sample_all_zero", "border")


def load_by_name(model, parameters):
    """Set every layer from PyTorch arrays named as the layer; none may be left over."""
    split = {name: name.rpartition(".") for name in parameters}
    parameters = {f"{a.replace('.', '_')}.{b}": parameters[n] for n, (a, _, b) in split.items()}
    unused = set(parameters)
    for layer in (layer for layer in model.layers if layer.weights):
        ends = [".temperature"] if isinstance(layer, ChannelAttention) else [".weight", ".bias"]
        names = [layer.name + end for end in ends if layer.name + end in parameters]
        layer.set_weights([keras_array(name, parameters[name]) for name in names])
        unused -= set(names)
    assert not unused


def keras_array(name, array):
    if array.ndim < 4:
        return array
    if "dwconv" in name:
        return array.transpose(2, 3, 0, 1)
    array = array.transpose(2, 3, 1, 0)  # OIHW → HWIO
    if not name.startswith("up"):
        return array
    position_first = array.reshape(*array.shape[:3], -1, 4).swapaxes(-1, -2)
    return position_first.reshape(array.shape)


def read_torch(path):
    """Arrays of a state dict in PyTorch's zip format."""
    archive = zipfile.ZipFile(path)
    root = next(name for name in archive.namelist() if name.endswith("data.pkl"))[
        : -len("data.pkl")
    ]

    def rebuild(storage, offset, shape, strides, *_):
        values = np.frombuffer(archive.read(f"{root}data/{storage[2]}"), np.float32)[offset:]
        return np.lib.stride_tricks.as_strided(values, shape, [4 * s for s in strides]).copy()

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, pid):
            return pid

        def find_class(self, module, name):
            known = {"_rebuild_tensor_v2": rebuild, "OrderedDict": collections.OrderedDict}
            return known.get(name, name)

    return Unpickler(io.BytesIO(archive.read(root + "data.pkl"))).load()["params"]


@pytest.fixture
def arrays(golden):
    with np.load(golden / "attention" / "arrays.npz") as file:
        return dict(file)


def weights_of(arrays, prefix):
    return {k.removeprefix(prefix): arrays[k] for k in arrays if k.startswith(prefix)}


def assert_close(result, expected):
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4 * np.std(expected))


def piece(kind, parameters, masked, use_bias=False):
    """A network of MDTA or GDFN alone, with the reference's weights."""
    inputs = [keras.Input((None, None, 10))] + masked * [keras.Input((None, None, 1))]
    valid = inputs[1] if masked else None
    if kind == "mdta":
        outputs = attention(inputs[0], valid, 2, use_bias, "w")
    else:
        outputs = feed_forward(inputs[0], valid, 2.66, use_bias, "w")
    model = keras.Model(inputs, list(outputs) if masked else outputs[0])
    load_by_name(model, {f"w.{name}": array for name, array in parameters.items()})
    return tf.function(lambda *tensors: model(list(tensors)))


@pytest.mark.parametrize("kind", ["mdta", "gdfn"])
@pytest.mark.parametrize("prefix", ["", "bias_"])
def test_blocks_equal_the_authors(arrays, kind, prefix):
    block = piece(kind, weights_of(arrays, f"{prefix}{kind}_w_"), False, use_bias=bool(prefix))
    assert_close(block(arrays["x"]), arrays[f"{prefix}{kind}_out"])


@pytest.mark.parametrize("kind", ["mdta", "gdfn"])
@pytest.mark.parametrize("mask", MASKS)
def test_masked_blocks_follow_the_rule(arrays, kind, mask):
    parameters, valid = weights_of(arrays, f"{kind}_w_"), arrays[f"mask_{mask}"]
    block = piece(kind, parameters, True)
    result, updated = block(arrays["x"], valid)
    assert_close(result, arrays[f"mask_{mask}_{kind}_out"])
    np.testing.assert_array_equal(updated, arrays[f"mask_{mask}_updated"])
    np.testing.assert_array_equal(result, block(np.where(valid, arrays["x"], 99), valid)[0])
    if mask == "ones":
        np.testing.assert_array_equal(result, piece(kind, parameters, False)(arrays["x"]))


def test_queries_and_keys_take_the_mask_before_the_convolution(arrays):
    block = piece("mdta", weights_of(arrays, "mdta_w_"), True)
    result = block(arrays["x"], arrays["mask_block"])[0]
    other = arrays["alternative_mask_block_mdta_out_qk_by_updated_mask"]
    assert np.abs(result - other).max() > 1


@pytest.mark.parametrize("key", ["mdta", "mask_random_mdta"])
def test_attention_map(arrays, key):
    layer = ChannelAttention(2)
    qkv = tf.constant(arrays[f"{key}_qkv_after_dwconv"])
    layer.build(qkv.shape)
    layer.set_weights([arrays["mdta_w_temperature"]])
    valid = arrays["mask_random"] if key.startswith("mask") else 1.0
    qk = qkv[..., :20] * valid
    np.testing.assert_allclose(layer.attention_map(qk), arrays[f"{key}_attn"], atol=1e-5)


def test_partial_convolution(arrays):
    layer = PartialDepthwiseConv2D()
    ratio, updated = PartialRatio()(tf.constant(arrays["pconv_mask"]))
    layer.build((None, None, None, 10))
    layer.set_weights([arrays["pconv_w"].transpose(2, 3, 0, 1)])
    result = layer(tf.constant(arrays["x"]), arrays["pconv_mask"], ratio)
    assert_close(result, arrays["pconv_out"])
    np.testing.assert_array_equal(updated, arrays["pconv_mask_updated"])
    count = np.maximum(arrays["pconv_valid_count"], 1)
    np.testing.assert_allclose(ratio, 9 / count * arrays["pconv_mask_updated"], rtol=1e-6)


@pytest.mark.parametrize(("kind", "use_bias"), [("biasfree", False), ("withbias", True)])
def test_norms_and_whole_blocks(arrays, kind, use_bias):
    norm = ChannelNorm(use_bias)
    norm.build(arrays["x"].shape)
    names = ["weight", "bias"] if use_bias else ["weight"]
    norm.set_weights([arrays[f"ln_{kind}_w_{name}"] for name in names])
    assert_close(norm(arrays["x"]), arrays[f"ln_{kind}_out"])
    features = keras.Input((None, None, 10))
    options = BlockOptions(layer_norm="with_bias" if use_bias else "bias_free")
    model = keras.Model(features, transformer_block(features, None, 2, options, "b")[0])
    weights = weights_of(arrays, f"block_{kind}_w_")
    load_by_name(model, {f"b.{name}": array for name, array in weights.items()})
    assert_close(model(arrays["x"]), arrays[f"block_{kind}_out"])


@pytest.mark.parametrize("mask_aware", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("withbias", {}),
        ("biasfree", {"layer_norm": "bias_free"}),
        ("convbias-gray", {"in_channels": 1, "out_channels": 1, "use_bias": True}),
        ("dualpixel", {"in_channels": 6, "dual_pixel": True}),
    ],
)
def test_networks_equal_the_authors(shared, name, options, mask_aware):
    folder = shared / "reference" / "torch"
    model = restormer(**TINY, **options, mask_aware=mask_aware)
    load_by_name(model, read_torch(folder / f"restormer-{name}.pth"))
    answer = np.load(folder / f"restormer-{name}.npz")
    pictures = answer["input"] * 255
    inputs = [pictures, np.ones_like(pictures[..., :1])] if mask_aware else pictures
    assert_close(model(inputs) / 255, answer["output"])


@pytest.mark.slow
def test_parameter_counts_of_the_paper():
    assert restormer().count_params() == 26_126_644
    assert restormer(layer_norm="bias_free", mask_aware=True).count_params() == 26_111_668
    assert restormer_lite().count_params() == 3_813_230


def test_any_height_and_width():
    model = restormer(**SMALLEST)
    for size in [(1, 1), (1, 11), (7, 5), (13, 17), (16, 8)]:
        pictures = tf.random.uniform((2, *size, 3), 0, 255, seed=3)
        assert model.traced(pictures).shape == (2, *size, 3)


def test_padding_mirrors_the_picture():
    model = restormer(**SMALLEST)
    pictures = np.random.default_rng(1).uniform(0, 255, (1, 13, 11, 3)).astype(np.float32)
    mirrored = np.pad(pictures, ((0, 0), (0, 3), (0, 5), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(model(pictures), model(mirrored)[:, :13, :11])


def test_reloads_from_a_file_with_its_configuration(tmp_path):
    model = restormer(**SMALLEST, mask_aware=True, use_bias=True)
    model.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    pictures = tf.random.uniform((1, 11, 13, 3), 0, 255, seed=5)
    valid = tf.cast(tf.random.uniform((1, 11, 13, 1), seed=6) > 0.3, tf.float32)
    np.testing.assert_array_equal(again.traced(pictures, valid), model.traced(pictures, valid))
    assert again.built_by.name == "restormer"
    assert restormer(**again.built_by.arguments).count_params() == model.count_params()


@pytest.mark.parametrize(
    "options",
    [
        {"mask_embedding": True},
        {"layer_norm": "bias_free"},
        {"mask_embedding": True, "unshuffle": 2},
    ],
)
def test_gradient_reaches_every_variable_even_of_a_damaged_picture(options):
    model = restormer(**SMALLEST, mask_aware=True, use_bias=True, **options)
    pictures = tf.random.uniform((3, 13, 11, 3), 0, 255, seed=3)
    whole, damaged = tf.ones((1, 13, 11, 1)), tf.zeros((1, 13, 11, 1))
    valid = tf.concat([whole, damaged, tf.concat([whole[:, :5], damaged[:, 5:]], 1)], 0)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.abs(model([pictures, valid], training=True)))
    for variable, gradient in zip(
        model.trainable_variables,
        tape.gradient(loss, model.trainable_variables),
        strict=True,
    ):
        assert np.isfinite(gradient).all(), variable.path
        one_channel_a_head = "temperature" in variable.path  # a softmax over one channel is 1
        assert one_channel_a_head or np.any(gradient != 0), variable.path


@pytest.mark.slow
def test_learns():
    model = restormer(**SMALLEST, mask_aware=True)
    optimizer = keras.optimizers.Adam(1e-3)
    random = np.random.default_rng(4)
    clean = random.uniform(0, 255, (2, 3, 3, 3)).repeat(8, 1).repeat(8, 2).astype(np.float32)
    noisy = clean + random.normal(0, 30, clean.shape).astype(np.float32)
    valid = (random.random((2, 24, 24, 1)) > 0.2).astype(np.float32)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(model([noisy, valid], training=True) - clean))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    losses = [float(step()) for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"layer_norm": "none"}, "with_bias, bias_free, got 'none'"),
        ({"num_blocks": (1, 2, 3)}, "four num_blocks and four heads"),
        ({"heads": (5, 2, 4, 8)}, "divide"),
        ({"in_channels": 6}, "in_channels must equal out_channels"),
        ({"mask_embedding": True}, "mask_embedding=True needs mask_aware=True"),
        ({"unshuffle": 3}, "unshuffle must be 1 or 2, got 3"),
    ],
)
def test_refuses_what_does_not_fit(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        restormer(**options)
