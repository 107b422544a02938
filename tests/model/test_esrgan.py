"""RRDBNet: BasicSR's answers, shapes, initial values, round trips, gradients, bad input.

And the discriminator.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.esrgan import rrdb_net, unet_discriminator, vgg_discriminator
from model.layers import SpectralNormConv2D
from weights.convert import load_foreign


def small(scale=4):
    return rrdb_net(scale, num_filters=5, num_blocks=2, num_growth=3)


@pytest.mark.parametrize("name", ["x1-nf8-nb1-gc4", "x2-nf16-nb1-gc8", "x4-nf16-nb2-gc8"])
def test_gives_basicsrs_answer(golden, name):
    model = load_foreign(golden / "torch" / f"rrdbnet-{name}.pth")
    expected = np.load(golden / "torch" / f"rrdbnet-{name}.npz")
    output = model(255 * expected["input"]).numpy() / 255
    spread = expected["output"].std()
    np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-4 * spread)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_shape_config_and_weights_round_trip(tmp_path, scale):
    model = small(scale)
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 12, 20, 3)).astype("f4")
    output = model(pictures).numpy()
    assert output.shape == (2, scale * 12, scale * 20, 3)
    again = type(model).from_config(model.get_config())
    assert again.built_by == model.built_by
    model.save_weights(tmp_path / "a.weights.h5")
    again.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(again(pictures), output)
    np.testing.assert_allclose(model.traced(pictures), output, atol=1e-3)


def test_the_papers_size():
    """Blocks are alike: 23 of them follow from one and two."""
    one, two = (rrdb_net(num_blocks=count).count_params() for count in (1, 2))
    assert one + 22 * (two - one) == 16_697_987


def test_gradient_reaches_every_variable():
    model = small()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(tf.random.uniform((1, 7, 5, 3), 0, 255, seed=3)) ** 2)
    for variable in model.trainable_variables:
        assert variable.trainable
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert gradient is not None and tf.reduce_max(tf.abs(gradient)) > 0


def test_initial_values_are_a_tenth_of_kaimings_inside_dense_blocks_only():
    model = rrdb_net(num_filters=32, num_blocks=1, num_growth=16)
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Conv2D):
            continue
        rows, columns, inputs, outputs = layer.kernel.shape
        kaiming = (2 / (rows * columns * inputs)) ** 0.5
        glorot = (2 / (rows * columns * (inputs + outputs))) ** 0.5
        expected = 0.1 * kaiming if "rdb" in layer.name else glorot
        assert np.std(layer.kernel) == pytest.approx(expected, rel=0.1), layer.name
        assert not np.any(layer.bias)


def test_residuals_are_scaled_by_a_fifth_twice():
    """With its last convolution a constant, a dense block adds 0.2 of that, a group 0.2 of three.

    Each of the three dense blocks adds 0.2·c to the features, the group 0.2·(3 · 0.2·c).
    """
    model = rrdb_net(num_filters=5, num_blocks=1, num_growth=3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(np.zeros(layer.kernel.shape))
            layer.bias.assign(np.full(layer.bias.shape, 7.0 if "conv5" in layer.name else 0.0))
    after_blocks = keras.Model(model.input, model.get_layer("conv_body").input)
    features = after_blocks(np.zeros((1, 3, 4, 3), "f4"))
    np.testing.assert_allclose(features, 0.2 * 3 * 0.2 * 7, rtol=1e-6)


@pytest.mark.parametrize("scale", [0, 3, 32])
def test_refuses_a_scale_it_cannot_do(scale):
    with pytest.raises(
        ValueError, match=f"scale must be 1, 2, 4, 8 or 16 for rrdb_net, got {scale}"
    ):
        rrdb_net(scale)


def test_discriminator_has_the_papers_size():
    """Convolutions 3→64→64→128→128→256→256→512→512→512→512, 8192→100→1, and norms."""
    widths = [3, 64, 64, 128, 128, 256, 256, 512, 512, 512, 512]
    sizes = [3, 4] * 5
    convolutions = sum(k * k * a * b for k, a, b in zip(sizes, widths, widths[1:], strict=False))
    norms = 2 * sum(widths[2:])
    expected = convolutions + 64 + norms + (512 * 16 * 100 + 100) + 101
    model = vgg_discriminator()
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == expected


@pytest.mark.parametrize(("px", "size"), [(64, (64, 64)), (None, (37, 53))])
def test_discriminator_gives_logits_and_round_trips(tmp_path, px, size):
    model = vgg_discriminator(3, px)
    pictures = tf.random.uniform((5, *size, 3), 0, 255, seed=3)
    with tf.GradientTape() as tape:
        logits = model(pictures, training=True)
        loss = tf.reduce_sum(logits**2)
    assert logits.shape == (5, 1)
    last = model.get_layer("linear2")
    assert last.activation is keras.activations.linear  # logits, not probabilities
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert tf.reduce_max(tf.abs(gradient)) > 0
    again = type(model).from_config(model.get_config())
    model.save_weights(tmp_path / "d.weights.h5")
    again.load_weights(tmp_path / "d.weights.h5")
    np.testing.assert_allclose(again.traced(pictures), model(pictures), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("px", [0, 16, 100])
def test_discriminator_refuses_a_size_it_cannot_halve(px):
    with pytest.raises(ValueError, match=f"px must be a multiple of 32 or None, got {px}"):
        vgg_discriminator(3, px)


def test_unet_discriminator_judges_every_pixel_and_round_trips(tmp_path):
    model = unet_discriminator(2)
    pictures = tf.random.uniform((2, 24, 40, 3), 0, 255, seed=3)
    with tf.GradientTape() as tape:
        logits = model(pictures, training=True)
        loss = tf.reduce_sum(logits**2)
    assert logits.shape == (2, 24, 40, 1)
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert tf.reduce_max(tf.abs(gradient)) > 0
    again = type(model).from_config(model.get_config())
    model.save_weights(tmp_path / "d.weights.h5")
    again.load_weights(tmp_path / "d.weights.h5")
    np.testing.assert_allclose(again.traced(pictures), model(pictures), rtol=1e-4, atol=1e-5)


def test_unet_discriminator_has_the_published_size():
    """Of 64 channels: 4,376,897, as in the file RealESRGAN_x4plus_netD.pth."""
    model = unet_discriminator()
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == 4_376_897


def test_spectral_norm_divides_by_the_largest_singular_value():
    layer = SpectralNormConv2D(4, 3, padding="same", use_bias=False)
    features = tf.random.normal((1, 6, 6, 5), seed=1)
    for _ in range(50):  # power iterations
        layer(features, training=True)
    kernel = layer.kernel.numpy()
    largest = np.linalg.svd(kernel.reshape(-1, 4), compute_uv=False)[0]
    expected = tf.nn.conv2d(features, kernel / largest, 1, "SAME")
    np.testing.assert_allclose(layer(features), expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(layer.kernel, kernel)  # not overwritten, as by Keras' own
