"""Losses against the reference numbers."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.metrics import face_similarity, face_vector
from train import losses


@pytest.fixture
def values(golden):
    return json.loads((golden / "losses" / "values.json").read_text())


@pytest.fixture
def tensors(golden):
    return np.load(golden / "losses" / "tensors.npz")


def test_pixel_losses(values, tensors):
    hr, sr = tensors["pixel_target"], tf.constant(tensors["pixel_pred"])
    expected = values["pixel"]["as_stored_0_255"]
    assert float(losses.l1_loss(hr, sr)) == pytest.approx(expected["l1_mean"], rel=1e-5)
    assert float(losses.l2_loss(hr, sr)) == pytest.approx(expected["mse_mean"], rel=1e-5)
    charbonnier = float(losses.charbonnier_loss(hr, sr, epsilon=1e-3))
    assert charbonnier == pytest.approx(expected["charbonnier_eps1e-06_mean"], rel=1e-5)


@pytest.mark.parametrize(("case", "tolerance"), [("prob", 1e-5), ("prob_saturated", 1e-2)])
def test_srgan_losses(values, tensors, case, tolerance):
    sr, hr = tensors[f"srgan_{case}_sr"], tensors[f"srgan_{case}_hr"]
    features = tensors["srgan_features_hr"], tf.constant(tensors["srgan_features_sr"])
    expected = values["srgan"][case]
    content = float(losses.feature_loss(*features))
    adversarial = float(losses.generator_loss(sr))
    assert content == pytest.approx(expected["content_mse_of_features_over_12.75"], rel=1e-5)
    assert adversarial == pytest.approx(expected["generator_bce"], rel=tolerance)
    assert content + 0.001 * adversarial == pytest.approx(
        expected["perceptual_total"], rel=tolerance
    )
    against = float(losses.discriminator_loss(hr, sr))
    assert against == pytest.approx(expected["discriminator_total"], rel=tolerance)


@pytest.mark.parametrize("logit", [-30.0, -17.0, 0.0, 17.0, 30.0])
def test_srgan_losses_of_logits_have_a_slope_however_sure_the_discriminator_is(logit):
    z = tf.Variable([[logit]])
    with tf.GradientTape(persistent=True) as tape:
        generator = losses.logit_generator_loss(z)
        as_real = losses.logit_discriminator_loss(z, tf.fill((1, 1), -99.0))
        as_generated = losses.logit_discriminator_loss(tf.fill((1, 1), 99.0), z)
    sigmoid = 1 / (1 + np.exp(-logit))
    assert float(generator) == pytest.approx(np.log1p(np.exp(-logit)), rel=1e-5)
    for loss, slope in ((generator, sigmoid - 1), (as_real, sigmoid - 1), (as_generated, sigmoid)):
        assert float(tape.gradient(loss, z)[0, 0]) == pytest.approx(slope, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("logit", [-30.0, -17.0, -5.0])
def test_srgan_losses_of_small_probabilities_have_the_slope_of_logits(logit):
    z = tf.Variable([[logit]])
    with tf.GradientTape(persistent=True) as tape:
        generator = losses.generator_loss(tf.sigmoid(z))
        against = losses.discriminator_loss(tf.sigmoid(z), tf.zeros([1, 1]))
    for loss in (generator, against):
        assert float(tape.gradient(loss, z)[0, 0]) == pytest.approx(-1, abs=0.01)


def test_vgg_content_loss_of_equal_pictures_is_zero_and_has_a_gradient():
    from model.vgg import vgg_22, vgg_54

    hr = tf.random.uniform((1, 34, 38, 3), 0, 255, seed=1)
    for features in (vgg_22(weights=None), vgg_54(weights=None)):
        loss = losses.vgg_content_loss(features)
        assert loss(hr, hr) == 0
        sr = tf.Variable(hr + 5)
        with tf.GradientTape() as tape:
            value = loss(hr, sr)
        assert value > 0
        assert tf.reduce_max(tf.abs(tape.gradient(value, sr))) > 0
        assert not features.trainable_variables


def test_vgg_before_its_relu_has_both_signs_and_is_otherwise_the_same():
    from model.vgg import vgg_54

    after, before = vgg_54(weights=None), vgg_54(weights=None, before_relu=True)
    for variable in after.variables[-2:]:
        variable.assign(keras.random.normal(variable.shape, stddev=0.1, seed=3))
    before.set_weights(after.get_weights())
    pictures = tf.random.uniform((1, 34, 38, 3), 0, 255, seed=1)
    signed = before(pictures)
    assert tf.reduce_min(signed) < 0 < tf.reduce_max(signed)
    np.testing.assert_allclose(after(pictures), tf.nn.relu(signed), rtol=1e-5)
    assert not before.trainable_variables
    loss = losses.vgg_content_loss(before, losses.feature_l1_loss)
    difference = before(keras.applications.vgg19.preprocess_input(pictures)) - before(
        keras.applications.vgg19.preprocess_input(pictures + 9.0)
    )
    expected = tf.reduce_mean(tf.abs(difference)) / 58
    assert float(loss(pictures, pictures + 9.0)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("case", ["vector", "patch", "saturated"])
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_relativistic_losses_and_their_gradients(values, tensors, case, wrap):
    expected = values["gan"][case]["relativistic"]
    hr, sr = (tf.constant(tensors[f"{case}_{kind}"]) for kind in ("real", "fake"))

    @wrap
    def run(hr, sr):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch((hr, sr))
            generator = losses.relativistic_generator_loss(hr, sr)
            against = losses.relativistic_discriminator_loss(hr, sr)
        return generator, against, tape.gradient(generator, sr), *tape.gradient(against, (hr, sr))

    generator, against, *gradients = run(hr, sr)
    assert 0.005 * float(generator) == pytest.approx(expected["l_g_gan"], rel=1e-5)
    assert float(against) == pytest.approx(expected["l_d_total"], rel=1e-5)
    for name, factor, gradient in zip(
        ("g_grad_fake", "d_grad_real", "d_grad_fake"), (0.005, 1, 1), gradients, strict=True
    ):
        reference = tensors[f"{case}_ra_{name}"]
        atol = 1e-5 * np.abs(reference).max()
        np.testing.assert_allclose(factor * gradient, reference, rtol=0, atol=atol)


class Stored(keras.layers.Layer):
    """Answers black pictures with one stored batch of features, others with another."""

    def __init__(self, black, other):
        super().__init__()
        self.black, self.other = black, other

    def call(self, pictures):
        return tf.where(tf.reduce_max(pictures) > 0, self.other, self.black)


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_face_feature_loss(values, tensors, wrap):
    hr, sr = tensors["face_features_hr"], tensors["face_features_sr"]
    np.testing.assert_allclose(face_vector(hr), tensors["face_vector_hr"], rtol=1e-5)
    expected = values["face"]
    similarity = face_similarity(hr, sr)
    np.testing.assert_allclose(similarity, expected["cosine_per_sample"], rtol=1e-5)
    pictures = keras.Input((None, None, 3))
    features = keras.Model(pictures, Stored(hr, sr)(pictures))
    loss = wrap(losses.face_feature_loss(features))
    black = tf.zeros((5, 7, 11, 3))
    assert float(loss(black, black + 1)) == pytest.approx(expected["loss_mean"], rel=1e-5)
    assert float(loss(black, black)) == pytest.approx(0, abs=1e-5)


@pytest.mark.slow
def test_face_feature_loss_has_a_gradient_in_the_picture_only():
    from model.vggface import vggface

    features = vggface("resnet50", features="pool5")
    loss = losses.face_feature_loss(features)
    hr = tf.random.uniform((2, 37, 31, 3), 0, 255, seed=1)
    sr = tf.Variable(255 - hr)
    with tf.GradientTape() as tape:
        value = loss(hr, sr)
    gradient = tape.gradient(value, sr)
    assert 0 < value < 1
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    assert not features.trainable_variables


def test_face_feature_loss_of_black_features_is_finite():
    features = tf.Variable(tf.zeros((1, 2, 2, 5)))
    with tf.GradientTape() as tape:
        similarity = face_similarity(features, features)
    assert float(similarity[0]) == 0
    assert np.abs(tape.gradient(similarity, features)).max() == 0


def test_face_feature_loss_refuses_features_without_positions():
    from model.vggface import vggface

    with pytest.raises(ValueError, match=r"features must be \(B, h, w, C\), got \(None, 2048\)"):
        losses.face_feature_loss(vggface("resnet50"))


def test_lpips_content_loss_has_a_gradient():
    from model.lpips import lpips

    loss = losses.lpips_content_loss(lpips("squeeze"))
    hr = tf.random.uniform((2, 67, 71, 3), 0, 255, seed=1)
    sr = tf.Variable(255 - hr)
    with tf.GradientTape() as tape:
        value = loss(hr, sr)
    assert value > 0 and loss(hr, hr) == 0
    assert np.abs(tape.gradient(value, sr)).max() > 0


def test_vgg_without_network_says_how_to_get_weights(monkeypatch):
    from model.vgg import vgg_54

    def no_network(**_):
        raise Exception("URL fetch failure")  # what keras.utils.get_file raises

    monkeypatch.setattr(keras.applications, "VGG19", no_network)
    with pytest.raises(OSError, match=r"copy vgg19_weights.*notop\.h5 to"):
        vgg_54()


def test_grid_loss_sees_what_repeats_and_nothing_else():
    rng = np.random.default_rng(3)
    hr = rng.uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    pattern = rng.normal(0, 1, (4, 4, 3)).astype(np.float32)
    grid = np.tile(pattern, (24, 24, 1))
    found = losses.grid_loss(hr, hr + grid + 7, 4)
    np.testing.assert_allclose(found, pattern.reshape(16, 3).var(axis=0).mean(), rtol=1e-4)
    assert losses.grid_loss(hr, hr + 7, 4) < 1e-6
    noise = rng.normal(0, 1, hr.shape).astype(np.float32)
    assert losses.grid_loss(hr, hr + noise, 4) < 0.05 * found


def test_edge_loss_adds_the_differences_between_neighbours():
    hr = np.zeros((1, 5, 7, 3), np.uint8)
    sr = np.zeros((1, 5, 7, 3), np.float32)
    assert float(losses.edge_loss(hr, sr + 4)) == 4  # no edge is wrong
    sr[:, :, 3:] = 7  # one column of edges: 5 of 35 places, of 7 grey levels
    assert float(losses.edge_loss(hr, sr)) == pytest.approx(7 * 4 / 7 + 7 * 5 / 35)


def test_psnr_loss_is_minus_the_mean_psnr_of_the_pictures():
    hr = np.full((2, 8, 8, 3), 100, np.uint8)
    sr = hr + np.float32([10, 40])[:, None, None, None]
    found = losses.psnr_loss(hr, sr) - losses.psnr_loss(hr, tf.cast(hr, tf.float32))
    np.testing.assert_allclose(found, 10 * np.log10([101, 1601]).mean(), rtol=1e-5)
    psnr = np.mean(tf.image.psnr(tf.cast(hr, tf.float32), sr, 255))
    assert float(losses.psnr_loss(hr, sr)) == pytest.approx(20 * np.log10(255) - psnr, abs=0.05)
    assert losses.psnr_loss(hr, tf.cast(hr, tf.bfloat16)).dtype == tf.float32


def test_frequency_loss_is_l1_of_pixels_and_of_numpys_transform():
    random = np.random.default_rng(0)
    hr, sr = random.uniform(0, 255, (2, 2, 12, 10, 3)).astype(np.float32)
    spectrum = np.fft.rfft2(sr - hr, axes=(1, 2))
    expected = np.mean([np.abs(spectrum.real), np.abs(spectrum.imag)])
    found = losses.frequency_loss(hr, sr, 0.1)
    np.testing.assert_allclose(found, losses.l1_loss(hr, sr) + 0.1 * expected, rtol=1e-5)
    assert (
        losses.frequency_loss(hr, tf.constant(hr, tf.bfloat16)) > 0
    )  # a network in half precision
    assert losses.frequency_loss(hr, hr) == 0
