"""Losses against the reference numbers."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

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


def test_vgg_without_network_says_how_to_get_weights(monkeypatch):
    from model.vgg import vgg_54

    def no_network(**_):
        raise Exception("URL fetch failure")  # what keras.utils.get_file raises

    monkeypatch.setattr(keras.applications, "VGG19", no_network)
    with pytest.raises(OSError, match=r"copy vgg19_weights.*notop\.h5 to"):
        vgg_54()
