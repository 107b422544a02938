"""ESRGAN's stages: the loss by hand, what each network gets, numbers of the paper, resuming."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.dlibface import dlib_face
from model.esrgan import rrdb_net, unet_discriminator, vgg_discriminator
from model.layers import PixelShuffle
from model.lpips import lpips
from tests.conftest import start_anew
from train import EsrganGeneratorTrainer, EsrganTrainer, losses
from train.augment import augmented
from train.gan import Adversary
from train.options import TrainerOptions


def networks():
    return rrdb_net(4, 3, 1, 2), vgg_discriminator(2, 64)


def batches():
    random = np.random.default_rng(2)
    hr = random.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    pairs = tf.data.Dataset.from_tensor_slices((hr[:, ::4, ::4], hr))
    return pairs.batch(3).repeat()


def trainer(directory, content_loss=losses.l2_loss, **options):
    return EsrganTrainer(
        *networks(), content_loss, 1e-3, directory, report=lambda _: None, **options
    )


def test_the_losses_are_the_papers(tmp_path):
    run = trainer(tmp_path, face_loss=lambda hr, sr: tf.constant(0.25))
    lr, hr = (tf.cast(part, tf.float32) for part in next(iter(batches())))
    total, against, pixel, content, adversary, face = run.losses(lr, hr)
    sr = run.generator(lr)
    real, fake = (run.discriminator(x, training=True) for x in (hr, sr))
    np.testing.assert_allclose(pixel, tf.reduce_mean(tf.abs(hr - sr)) / 255, rtol=1e-5)
    np.testing.assert_allclose(content, losses.l2_loss(hr, sr), rtol=1e-5)
    expected = losses.relativistic_generator_loss(real, fake)
    np.testing.assert_allclose(adversary, expected, rtol=1e-4)
    expected = losses.relativistic_discriminator_loss(real, fake)
    np.testing.assert_allclose(against, expected, rtol=1e-4)
    expected = 0.01 * pixel + content + 0.005 * adversary + 10 * face
    np.testing.assert_allclose(total, expected, rtol=1e-6)
    assert run.loss_names[5] == "face"


def test_a_grid_is_a_loss_of_its_own(tmp_path):
    run = trainer(tmp_path, grid_weight=1000)
    lr, hr = (tf.cast(part, tf.float32) for part in next(iter(batches())))
    total, _, pixel, content, adversary, grid = run.losses(lr, hr)
    np.testing.assert_allclose(grid, losses.grid_loss(hr, run.generator(lr), 4) / 255**2, rtol=1e-5)
    np.testing.assert_allclose(
        total, 0.01 * pixel + content + 0.005 * adversary + 1000 * grid, rtol=1e-6
    )
    assert run.loss_names[5] == "grid" and run.loss_facts()["grid_weight"] == 1000


@pytest.mark.slow
def test_both_networks_learn_and_feature_networks_do_not(tmp_path):
    content, face = lpips("squeeze"), dlib_face("conv5")
    content_loss = losses.lpips_content_loss(content)
    run = trainer(tmp_path, content_loss, face_loss=losses.face_feature_loss(face))
    every = [run.generator, run.discriminator, content, face]
    before = [network.get_weights() for network in every]
    run.train_step(*next(iter(batches())))
    changed = [
        [not np.array_equal(*pair) for pair in zip(old, network.get_weights(), strict=True)]
        for old, network in zip(before, every, strict=True)
    ]
    assert all(changed[0]) and all(changed[1])
    assert not any(changed[2]) and not any(changed[3])


def smallest():
    """A generator of one convolution and a discriminator of one, with batch normalisation."""
    generator = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(48, 1),
            PixelShuffle(4),
        ],
        name="smallest",
    )
    layers = [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3)]
    layers += [keras.layers.BatchNormalization(), keras.layers.GlobalAveragePooling2D()]
    return generator, keras.Sequential([*layers, keras.layers.Dense(1)])


@pytest.mark.slow
def test_going_on_gives_the_same_as_never_stopping(tmp_path):
    def weights(directory, *stops):
        for steps in stops:
            start_anew(7)
            run = EsrganTrainer(*smallest(), losses.l2_loss, 1e-3, directory, report=lambda _: None)
            run.train(batches(), steps=steps, evaluate_every=2)
        run.restore()
        return run.generator.get_weights() + run.discriminator.get_weights()

    whole, parts = weights(tmp_path / "a", 4), weights(tmp_path / "b", 2, 4)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_rates_and_averages_are_the_papers(tmp_path):
    first = EsrganGeneratorTrainer(networks()[0], tmp_path / "a", report=lambda _: None)
    second = EsrganTrainer(*networks(), losses.l2_loss, None, tmp_path / "b", report=lambda _: None)
    rates = {
        first: {0: 2e-4, 200_001: 1e-4, 999_999: 1.25e-5},
        second: {0: 1e-4, 50_001: 5e-5, 100_001: 2.5e-5, 200_001: 1.25e-5, 399_999: 6.25e-6},
    }
    for run, expected in rates.items():
        optimizer = run.checkpoint.optimizer
        assert (optimizer.beta_1, optimizer.beta_2) == (0.9, 0.99)
        assert run.options.ema_decay == 0.999 and run.evaluated is not run.model
        for step, rate in expected.items():
            optimizer.iterations.assign(step)
            assert float(optimizer.learning_rate) == pytest.approx(rate)
    assert second.checkpoint.discriminator_optimizer.beta_2 == 0.99


def test_the_first_stage_lowers_l1(tmp_path):
    run = EsrganGeneratorTrainer(networks()[0], tmp_path, 1e-3, report=lambda _: None)
    fixed = batches().take(1).repeat()
    before = float(run.losses(*(tf.cast(part, tf.float32) for part in next(iter(fixed))))[0])
    run.train(fixed, steps=30, evaluate_every=30)
    after = float(run.losses(*(tf.cast(part, tf.float32) for part in next(iter(fixed))))[0])
    assert after < 0.8 * before


def test_vgg_content_is_taken_before_the_relu(tmp_path, monkeypatch):
    asked = {}

    def features(**options):
        asked.update(options)
        return keras.Sequential([keras.Input((None, None, 3)), keras.layers.Rescaling(1.0)])

    monkeypatch.setattr("train.recipes.vgg_54", features)
    run = EsrganTrainer(*networks(), checkpoint_dir=tmp_path, report=lambda _: None)
    hr = tf.random.uniform((1, 8, 8, 3), 0, 255, seed=1)
    assert asked == {"before_relu": True}
    assert float(run.content_loss(hr, hr + 29.0)) == pytest.approx(0.5)


def test_refuses_another_content_loss(tmp_path):
    with pytest.raises(ValueError, match="content_loss must be 'VGG54' or a function, got 'VGG22'"):
        EsrganTrainer(*networks(), "VGG22", checkpoint_dir=tmp_path)


def test_options_can_be_given(tmp_path):
    options = TrainerOptions(clip_norm=1.0)
    assert trainer(tmp_path, options=options).options is options


def test_the_discriminator_begins_alone_and_its_weight_rises(tmp_path):
    """The generator stands still for two steps; then the weight is 0, half, whole."""
    adversary = Adversary(weight=0.5, alone_steps=2, ramp_steps=2)
    run = EsrganTrainer(
        smallest()[0],
        unet_discriminator(2),
        losses.l2_loss,
        1e-3,
        tmp_path,
        adversary=adversary,
        report=lambda _: None,
    )
    batch, weights = next(iter(batches())), []
    before = [network.get_weights() for network in (run.generator, run.discriminator)]
    for step in range(5):
        total, _, pixel, content, adversarial = run.train_step(*batch)
        if step == 1:
            np.testing.assert_array_equal(run.generator.get_weights()[0], before[0][0])
            assert not np.array_equal(run.discriminator.get_weights()[0], before[1][0])
        weights.append(float((total - 0.01 * pixel - content) / adversarial))
    np.testing.assert_allclose(weights[2:], [0, 0.25, 0.5], atol=1e-2)
    with pytest.raises(ValueError, match="ramp_steps must be at least 0, got -1"):
        Adversary(ramp_steps=-1)


def test_a_discriminator_sees_both_changed_alike():
    hr = tf.cast(next(iter(batches()))[1], tf.float32)
    sr = tf.Variable(hr)
    with tf.GradientTape() as tape:
        seen_hr, seen_sr = augmented(hr, sr)
        loss = tf.reduce_sum(seen_sr)
    np.testing.assert_array_equal(seen_hr, seen_sr)
    assert seen_hr.shape == hr.shape and not np.allclose(seen_hr, hr)
    hidden = np.mean(np.all(seen_hr.numpy() == 0, -1), axis=(1, 2))
    assert np.all(hidden > 0.05) and np.all(hidden < 0.5)  # a box of half the side, and a shift
    assert tf.reduce_max(tf.abs(tape.gradient(loss, sr))) > 0
    np.testing.assert_array_equal(augmented(hr, hr)[0], seen_hr)  # the same each time


@pytest.mark.slow
def test_a_unet_and_augmented_pictures_resume_exactly(tmp_path):
    def weights(directory, *stops):
        for steps in stops:
            start_anew(7)
            run = EsrganTrainer(
                smallest()[0],
                unet_discriminator(2),
                losses.l2_loss,
                1e-3,
                directory,
                adversary=Adversary(0.1, 1, 2, augment=True),
                options=TrainerOptions(precision="mixed_bfloat16"),
                report=lambda _: None,
            )
            run.train(batches(), steps=steps, evaluate_every=2)
        run.restore()
        return run.generator.get_weights() + run.discriminator.get_weights()

    whole, parts = weights(tmp_path / "a", 4), weights(tmp_path / "b", 2, 4)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)
