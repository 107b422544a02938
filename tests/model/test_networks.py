"""Each network: reference answers, shapes, config and weight round trips, gradients, bad input."""

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from model import resolve, resolve_single, weight_file
from model.edsr import edsr
from model.layers import LeakyReLU, WeightNormConv2D, fold_weight_norm
from model.preupsample import srcnn, vdsr
from model.srgan import discriminator, sr_resnet
from model.wdsr import wdsr_a, wdsr_b

BLOG = {
    "edsr-x2": lambda: edsr(2, num_filters=16, num_res_blocks=2),
    "edsr-x3": lambda: edsr(3, num_filters=16, num_res_blocks=2, res_block_scaling=0.1),
    "edsr-x4": lambda: edsr(4, num_filters=16, num_res_blocks=3),
    "wdsr-a-x2": lambda: wdsr_a(2, num_filters=8, num_res_blocks=2),
    "wdsr-b-x3": lambda: wdsr_b(3, num_filters=16, num_res_blocks=2),
    "wdsr-b-x4": lambda: wdsr_b(4, num_filters=16, num_res_blocks=3, res_block_scaling=0.1),
    "srgan-generator": lambda: sr_resnet(num_filters=16, num_res_blocks=2),
}
NETWORKS = BLOG | {
    "srcnn-x3": lambda: srcnn(3, num_filters=(5, 7)),
    "vdsr-x2": lambda: vdsr(2, num_filters=5, num_layers=4),
}


def scale_of(name):
    return int(name[-1]) if name[-2] == "x" else 4


def check_blog_answer(model, weights, answer):
    model.load_weights(weights)
    expected = np.load(answer)
    output = model(expected["input"].astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-2)
    return expected["input"].astype(np.float32), output


@pytest.mark.parametrize("name", BLOG)
def test_blog_weights_give_the_blog_answer(golden, name):
    folder = golden / "krasserm"
    model = BLOG[name]()
    check_blog_answer(model, folder / f"{name}.h5", folder / f"{name}.npz")


def test_blog_discriminator_gives_the_blog_answer(shared):
    folder = shared / "reference" / "krasserm"
    model = discriminator(num_filters=4)
    model.load_weights(folder / "srgan-discriminator.h5")
    expected = np.load(folder / "srgan-discriminator.npz")
    output = model(expected["input"].astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["wdsr-a-x2", "wdsr-b-x4"])
def test_folded_network_is_plain_and_equal(golden, name):
    folder = golden / "krasserm"
    model = BLOG[name]()
    pictures, output = check_blog_answer(model, folder / f"{name}.h5", folder / f"{name}.npz")
    folded = fold_weight_norm(model)
    assert not any(type(layer).__name__ == "WeightNormConv2D" for layer in folded.layers)
    np.testing.assert_allclose(folded(pictures).numpy(), output, rtol=0, atol=1e-2)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "layer", [lambda **dtype: WeightNormConv2D(8, 1, activation="relu", **dtype), LeakyReLU]
)
def test_activations_have_keras_gradients(layer, precision):
    layer = layer(dtype=precision)
    features = tf.random.stateless_normal((2, 5, 4, 3), (1, 2))
    results = []
    for training in (False, True):  # with Keras' gradient, and with ours
        with tf.GradientTape() as tape:
            tape.watch(features)
            outputs = layer(features, training=training)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        watched = [features, *layer.trainable_variables]
        results.append([outputs, *tape.gradient(loss, watched)])
    for plain, ours in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, ours)


@pytest.mark.parametrize("name", NETWORKS)
def test_shape_and_config_round_trip(name):
    model = NETWORKS[name]()
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 13, 11, 3)).astype(np.float32)
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    output = model(pictures)
    assert output.shape == (2, scale_of(name) * 13, scale_of(name) * 11, 3)
    assert again.built_by == model.built_by
    np.testing.assert_array_equal(again(pictures), output)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_round_trip_under_the_blog_name(tmp_path, name):
    model, other = NETWORKS[name](), NETWORKS[name]()
    file = tmp_path / "new" / "folder" / "weights.h5"
    model.save_weights(file)
    other.load_weights(file)
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [f.name for f in file.parent.iterdir()] == ["weights.h5"]


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_reaches_every_variable(name):
    model = NETWORKS[name]()
    pictures = tf.random.uniform((1, 13, 11, 3), 0, 255, seed=3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(pictures, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and tf.reduce_max(tf.abs(gradient)) > 0, variable.path


def test_papers_sizes():
    assert edsr(4, num_res_blocks=16).count_params() == 1_517_571
    assert edsr(2, 256, 32, 0.1).count_params() == 40_729_603
    assert wdsr_b(4, num_res_blocks=32).count_params() == 615_088


@pytest.mark.parametrize(
    ("build", "scale"), [(edsr, 8), (wdsr_a, 1), (wdsr_b, 9), (srcnn, 0), (vdsr, 2.5)]
)
def test_refuses_a_scale_it_cannot_do(build, scale):
    with pytest.raises(ValueError, match=rf"scale must be .* for \w+, got {scale}"):
        build(scale)


def test_new_weight_norm_network_equals_its_directions():
    model = wdsr_b(2, num_filters=8, num_res_blocks=1)
    layer = next(layer for layer in model.layers if hasattr(layer, "magnitude"))
    np.testing.assert_allclose(layer.kernel, layer.direction, rtol=1e-5)


def test_resolve_clips_and_rounds():
    model = keras.Sequential([keras.layers.Rescaling(2.0, offset=-100.4)])
    lr = np.array([[[[0, 100, 255], [50, 51, 52], [150, 177, 178]]]], np.uint8)
    expected = [[[[0, 100, 255], [0, 2, 4], [200, 254, 255]]]]
    np.testing.assert_array_equal(resolve(model, lr), expected)
    np.testing.assert_array_equal(resolve_single(model, lr[0]), expected[0])


@pytest.mark.parametrize("channels", [(), (1,), (2,), (3,), (4,)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_resolve_single_takes_what_load_image_gives(channels, dtype):
    model = edsr(2, 4, 1)
    pixels = np.random.default_rng(4).integers(0, 256, (11, 13, *channels))
    lr = (pixels * (257 if dtype == "uint16" else 1)).astype(dtype)
    planes = pixels.reshape(11, 13, -1)
    colours = planes[..., : 1 if planes.shape[2] < 3 else 3]
    rgb = np.broadcast_to(colours, (11, 13, 3)).astype(np.uint8)
    expected = resolve(model, rgb[None])[0]
    np.testing.assert_array_equal(resolve_single(model, lr), expected)


def test_resolve_refuses_what_is_no_batch_of_pictures():
    for shape in [(11, 13, 3), (1, 11, 13, 5)]:
        with pytest.raises(ValueError, match=r"must be \(B, H, W, 1 to 4\), got"):
            resolve(edsr(2, 4, 1), np.zeros(shape, np.uint8))


# --- weight files ------------------------------------------------------------------------------


def test_another_networks_file_is_refused_by_name(tmp_path):
    edsr(2, num_filters=4, num_res_blocks=1).save_weights(tmp_path / "edsr.weights.h5")
    with pytest.raises(ValueError, match="another network") as error:
        edsr(2, num_filters=4, num_res_blocks=9).load_weights(tmp_path / "edsr.weights.h5")
    assert "missing: layers/conv2d_10/vars/0" in str(error.value)
    assert "wrong shape: layers/conv2d_4/vars/0 is (3, 3, 4, 16), not (3, 3, 4, 4)" in str(
        error.value
    )
    assert str(error.value).count("layers/") < 40


def test_keras_2_file_of_another_network_is_refused_by_name(golden):
    file = golden / "krasserm" / "edsr-x2.h5"
    with pytest.raises(ValueError, match="another network"):
        edsr(2, num_filters=8, num_res_blocks=2).load_weights(file)
    with pytest.raises(ValueError, match="unexpected: conv2d"):
        edsr(2, num_filters=16, num_res_blocks=1).load_weights(file)


def test_keras_2_file_before_initialisation_and_of_plain_convolutions(golden, tmp_path):
    source = golden / "krasserm" / "wdsr-b-x3.h5"
    model = BLOG["wdsr-b-x3"]()
    model.load_weights(source)
    norm = keras.ops.sqrt(keras.ops.sum(model.layers[2].direction ** 2, axis=(0, 1, 2)))
    for name, edit in {"flag.h5": _clear_flags, "plain.h5": _make_plain}.items():
        file = tmp_path / name
        file.write_bytes(source.read_bytes())
        with h5py.File(file, "r+") as h5:
            edit(h5)
        other = BLOG["wdsr-b-x3"]()
        other.load_weights(file)
        np.testing.assert_allclose(other.layers[2].magnitude, norm, rtol=1e-5)
        np.testing.assert_array_equal(other.layers[2].direction, model.layers[2].direction)


def _weight_norm_groups(h5):
    for name in h5.attrs["layer_names"]:
        names = [n.decode() for n in h5[name].attrs["weight_names"]]
        if any(n.endswith("/g:0") for n in names):
            yield h5[name], names


def _clear_flags(h5):
    for group, names in _weight_norm_groups(h5):
        for name in names:
            if name.endswith("initialized:0"):
                group[name][()] = False


def _make_plain(h5):
    for group, names in _weight_norm_groups(h5):
        group.attrs["weight_names"] = [n.encode() for n in names if "kernel" in n or "bias" in n]


def test_broken_weight_files_are_refused(tmp_path):
    model = edsr(2, num_filters=4, num_res_blocks=1)
    whole, file = tmp_path / "whole.weights.h5", tmp_path / "broken.weights.h5"
    model.save_weights(whole)
    for content in (b"", b"<html>not found</html>", whole.read_bytes()[:3000]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="not a whole HDF5 weight file"):
            model.load_weights(file)
    with pytest.raises(FileNotFoundError, match=r"no weight file at .*none\.h5"):
        model.load_weights(tmp_path / "none.h5")


def test_saving_refuses_bad_names_and_keeps_what_is_there(tmp_path):
    model = edsr(2, num_filters=4, num_res_blocks=1)
    with pytest.raises(ValueError, match=r"must end in \.h5"):
        model.save_weights(tmp_path / "weights.keras")
    model.save_weights(tmp_path / "weights.h5")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save_weights(tmp_path / "weights.h5", overwrite=False)


def test_half_file_is_smaller_and_keras_reads_it_too(tmp_path):
    model = wdsr_b(3, num_filters=31, num_res_blocks=2)
    files = [tmp_path / name for name in ("whole.weights.h5", "half.weights.h5")]
    for file in files:
        model.save_weights(file, half=file.name.startswith("half"))
    assert files[1].stat().st_size < 0.5 * files[0].stat().st_size
    assert weight_file.read_note(files[1]) == weight_file.read_note(files[0])
    for load in (type(model).load_weights, keras.Model.load_weights):
        other = wdsr_b(3, num_filters=31, num_res_blocks=2)
        load(other, files[1])
        for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=0.0045, atol=1e-6)
            assert theirs.dtype == np.float32
    again = tmp_path / "again.weights.h5"
    other.save_weights(again, half=True)
    assert weight_file.digest(weight_file.read(again).tensors.values()) == weight_file.digest(
        weight_file.read(files[1]).tensors.values()
    )


def test_half_file_of_zeros_and_of_the_largest_numbers_loads(tmp_path):
    model = edsr(2, num_filters=256, num_res_blocks=2)
    largest = np.full(256, 65503.0, np.float32)
    for layer in model.layers:
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    next(layer for layer in model.layers if layer.weights).bias.assign(largest)
    model.save_weights(tmp_path / "zeros.weights.h5", half=True)
    other = edsr(2, num_filters=256, num_res_blocks=2)
    other.load_weights(tmp_path / "zeros.weights.h5")
    for weight, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=2**-8)


def test_half_file_refuses_numbers_it_cannot_hold(tmp_path):
    model = edsr(2, num_filters=4, num_res_blocks=1)
    next(layer for layer in model.layers if layer.weights).bias.assign([1e5] * 4)
    with pytest.raises(ValueError, match=r"too large for 16 bits.*conv2d/vars/1"):
        model.save_weights(tmp_path / "weights.h5", half=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("build", [edsr, wdsr_b])
def test_another_scale_gives_all_but_the_layers_that_enlarge(tmp_path, build):
    file = tmp_path / "x4.weights.h5"
    given = build(4, num_filters=7, num_res_blocks=2)
    given.save_weights(file)
    model = build(3, num_filters=7, num_res_blocks=2)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    left = weight_file.load_other_scale(model, file)
    assert 0 < len(left) < 4
    body = [layer for layer in model.layers if layer.weights and layer.name not in left]
    donors = [layer for layer in given.layers if layer.weights]
    assert len(body) >= 6
    for layer, donor in zip(body, donors, strict=False):
        np.testing.assert_array_equal(layer.get_weights()[0], donor.get_weights()[0])
    for name in left:
        np.testing.assert_array_equal(model.get_layer(name).get_weights()[0], before[name][0])
    with pytest.raises(ValueError, match=r"num_res_blocks.: 2.*needed is.*num_res_blocks.: 3"):
        weight_file.load_other_scale(build(3, num_filters=7, num_res_blocks=3), file)
