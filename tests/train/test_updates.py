"""What one update does: averages, clipping, accumulation, precision, and the guard."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.edsr import edsr
from model.precision import set_precision
from model.restormer import restormer
from model.wdsr import wdsr_b
from tests.conftest import start_anew
from train import SrganTrainer, Trainer, TrainerOptions
from train.losses import l2_loss
from train.schedules import TwoCycles, cosine


def small_edsr():
    return edsr(4, num_filters=4, num_res_blocks=1)


def batches(size=4):
    """Endless batches, all different, of structure that can be learned."""
    random = np.random.default_rng(2)
    hr = np.cumsum(random.integers(-9, 10, (6, size, 28, 20, 3)), axis=2) + 128
    hr = np.clip(hr, 0, 255).astype(np.uint8)
    return tf.data.Dataset.from_tensor_slices((hr[:, :, ::4, ::4], hr)).repeat()


def trained(folder, steps=5, loss=l2_loss, data=None, **options):
    start_anew(1)
    trainer = Trainer(
        small_edsr(), loss, 1e-2, folder, options=TrainerOptions(**options), report=str
    )
    trainer.train(data or batches(), steps=steps)
    return trainer


def assert_close(ours, theirs, atol):
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def test_a_batch_in_parts_gives_the_update_of_the_whole(tmp_path):
    whole = trained(tmp_path / "whole", clip_norm=10.0)
    parts = trained(tmp_path / "parts", clip_norm=10.0, accumulate=2)
    assert_close(parts.model, whole.model, 2e-5)
    with pytest.raises(ValueError, match="accumulate must divide the batch of each replica, 4; "):
        trained(tmp_path / "uneven", accumulate=3)


def test_several_steps_a_call_are_the_same_steps(tmp_path):
    one = trained(tmp_path / "one")
    three = trained(tmp_path / "three", steps_per_call=3)
    assert three.step == 5
    assert_close(three.model, one.model, 0)


@pytest.mark.slow
def test_xla_gives_the_same_update(tmp_path):
    plain = trained(tmp_path / "plain", steps=2)
    compiled = trained(tmp_path / "compiled", steps=2, jit_compile=True, accumulate=2)
    assert_close(compiled.model, plain.model, 1e-4)


def test_clipping_bounds_the_norm_of_the_whole_gradient(tmp_path):
    start_anew(1)
    trainer = Trainer(
        small_edsr(), l2_loss, 0.5, tmp_path, options=TrainerOptions(clip_norm=0.1), report=str
    )
    trainer.checkpoint.optimizer.beta_1 = 0.0  # then Adam's first moment is the gradient
    trainer.train_step(*next(iter(batches())))
    moments = [v for v in trainer.checkpoint.optimizer.variables if "momentum" in v.path]
    assert float(tf.linalg.global_norm(moments)) == pytest.approx(0.1, rel=1e-4)


def test_the_average_follows_the_weights_and_is_what_restore_gives(tmp_path):
    start_anew(1)
    trainer = Trainer(
        small_edsr(), l2_loss, 1e-2, tmp_path, options=TrainerOptions(ema_decay=0.15), report=str
    )
    weights = [v.value for v in trainer.model.trainable_variables]
    updates = tf.Variable(0)  # with their number TensorFlow's own average forgets faster at first
    oracle = tf.train.ExponentialMovingAverage(0.15, num_updates=updates)
    oracle.apply(weights)
    for step, batch in enumerate(batches().take(3)):
        trainer.train_step(*batch)
        updates.assign(step)
        oracle.apply(weights)
    for weight, ours in zip(weights, trainer.evaluated.trainable_variables, strict=True):
        np.testing.assert_allclose(ours, oracle.average(weight), rtol=1e-5, atol=1e-6)
        assert not np.allclose(ours, weight, rtol=1e-5, atol=1e-6)
    trainer.train(batches(), steps=4)
    averaged = [w.copy() for w in trainer.evaluated.get_weights()]
    assert not np.array_equal(averaged[0], trainer.model.get_weights()[0])
    trainer.restore()
    trainer.model.save_weights(tmp_path / "average.weights.h5")
    loaded = small_edsr()
    loaded.load_weights(tmp_path / "average.weights.h5")
    for ours, theirs in zip(loaded.get_weights(), averaged, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("network", ["edsr", "wdsr", "restormer"])
def test_half_precision_learns_and_keeps_weights_and_answer_in_float32(network, precision):
    build = {
        "edsr": small_edsr,
        "wdsr": lambda: wdsr_b(4, num_filters=4, num_res_blocks=1),
        "restormer": lambda: restormer(
            dim=4, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, heads=(1, 1, 1, 1)
        ),
    }[network]
    full, half = build(), build()
    half.set_weights(full.get_weights())
    set_precision(half, precision)
    picture = tf.random.stateless_uniform((1, 13, 11, 3), (1, 2), 0, 255)
    assert half(picture).dtype == tf.float32
    assert {v.dtype for v in half.variables} == {"float32"}
    difference = np.abs(half(picture) - full(picture)).max() / np.abs(full(picture)).max()
    assert 0 < difference < 0.01  # bfloat16 has 8 bits; 0 would mean that nothing is in half


def test_the_loss_scale_falls_at_overflow_and_the_step_is_skipped(tmp_path):
    trainer = trained(tmp_path, 1, lambda hr, sr: l2_loss(hr, sr) * 1e30, precision="mixed_float16")
    before = [w.copy() for w in trainer.model.get_weights()]
    scale = float(trainer.checkpoint.loss_scale)
    losses = trainer.train_step(*next(iter(batches())))
    assert np.isfinite(losses[0]) and float(trainer.checkpoint.loss_scale) == scale / 2
    assert int(trainer.checkpoint.skipped_steps) == 2 and trainer.step == 2
    for ours, theirs in zip(trainer.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert float(trained(tmp_path / "plain", 1).checkpoint.loss_scale) == 1


def breaks(at_steps):
    """A loss that is NaN at some steps. The trainer is known only when it is first called."""
    holder = {}

    def loss(hr, sr):
        step = holder["trainer"].checkpoint.step
        bad = tf.reduce_any(tf.equal(step, tf.constant(at_steps, tf.int64, shape=(len(at_steps),))))
        return l2_loss(hr, sr) * tf.where(bad, np.nan, 1.0)

    return holder, loss


def start(folder, at_steps, sentences=None, **options):
    start_anew(1)
    holder, loss = breaks(at_steps)
    holder["trainer"] = trainer = Trainer(
        small_edsr(),
        loss,
        1e-3,
        folder,
        options=TrainerOptions(**options),
        report=(sentences if sentences is not None else []).append,
    )
    return trainer


def test_a_step_that_is_not_finite_is_skipped_and_counted(tmp_path):
    trainer = start(tmp_path, [2], ema_decay=0.9)
    trainer.train(batches(), steps=6, evaluate_every=3)
    assert trainer.step == 6 and int(trainer.checkpoint.skipped_steps) == 1
    assert int(trainer.checkpoint.optimizer.iterations) == 5
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["skipped_steps"] for line in lines] == [1, 1]
    assert all(np.isfinite(line["loss"]) for line in lines)
    assert all(np.isfinite(w).all() for w in trainer.evaluated.get_weights())


def test_a_bad_step_leaves_batch_normalisation_as_it_was(tmp_path):
    start_anew(1)
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(3, 1),
            keras.layers.UpSampling2D(4),
        ]
    )
    trainer = Trainer(model, l2_loss, 1e-3, tmp_path, report=str)
    lr, hr = next(iter(batches()))
    trainer.train_step(lr, hr)
    before = [w.copy() for w in model.get_weights()]
    trainer.train_step(tf.fill(lr.shape, np.nan), hr)
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(trainer.checkpoint.skipped_steps) == 1


def test_too_many_bad_steps_in_a_row_stop_the_run(tmp_path):
    trainer = start(tmp_path, [4, 5, 6, 7], max_bad_steps=3)
    with pytest.raises(FloatingPointError, match="3 steps in a row up to step 7 .* is .*ckpt-4"):
        trainer.train(batches(), steps=9, evaluate_every=4)
    trainer.restore()
    assert trainer.step == 4 and all(np.isfinite(w).all() for w in trainer.model.get_weights())


def test_or_the_run_goes_back_with_half_the_rate(tmp_path):
    sentences = []
    trainer = start(tmp_path, [], sentences, max_bad_steps=3, after_bad_steps="rollback")

    def heals_at_half_the_rate(hr, sr):
        bad = (trainer.checkpoint.rate_factor == 1) & (trainer.checkpoint.step >= 4)
        return l2_loss(hr, sr) * tf.where(bad, np.nan, 1.0)

    trainer.loss = heals_at_half_the_rate
    trainer.train(batches(), steps=9, evaluate_every=4)
    assert trainer.step == 9 and int(trainer.checkpoint.skipped_steps) == 0
    assert float(trainer.checkpoint.optimizer.learning_rate) == pytest.approx(5e-4)
    assert any("back at step 4, with 0.5 of the learning rate" in s for s in sentences)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 9]


def test_a_run_that_stays_bad_does_not_go_back_for_ever(tmp_path):
    trainer = start(tmp_path, [*range(3, 30)], max_bad_steps=2, after_bad_steps="rollback")
    with pytest.raises(FloatingPointError, match="at 1/64 of the learning rate too"):
        trainer.train(batches(), steps=20, evaluate_every=2)
    nothing = start(tmp_path / "new", [0, 1, 2], max_bad_steps=2, after_bad_steps="rollback")
    with pytest.raises(FloatingPointError, match="no checkpoint to go back to"):
        nothing.train(batches(), steps=20)


def test_options_are_checked():
    wrong = {
        "ema_decay": (1.0, "ema_decay must be between 0 and 1, got 1.0"),
        "clip_norm": (0, "clip_norm must be above 0, got 0"),
        "accumulate": (0, "accumulate must be at least 1, got 0"),
        "optimizer": ("sgd", "optimizer must be 'adam' or 'muon', got 'sgd'"),
        "precision": ("half", "precision must be 'float32', .* or 'mixed_float16', got 'half'"),
        "after_bad_steps": ("hope", "after_bad_steps must be 'stop' or 'rollback', got 'hope'"),
    }
    for name, (value, sentence) in wrong.items():
        with pytest.raises(ValueError, match=sentence):
            dataclasses.replace(TrainerOptions(), **{name: value})


def test_cosine_rises_first_and_two_cycles_stay_first():
    rate = cosine(1e-3, 1e-5, 100, warm_up_steps=10)
    values = [float(rate(step)) for step in (0, 5, 10, 55, 100)]
    np.testing.assert_allclose(values, [0, 5e-4, 1e-3, 5.05e-4, 1e-5], rtol=1e-4, atol=1e-9)
    rate = TwoCycles(3e-4, 1e-6, 300_000)
    values = [float(rate(step)) for step in (0, 92_000, 196_000, 300_000)]
    np.testing.assert_allclose(values, [3e-4, 3e-4, 1.505e-4, 1e-6], rtol=1e-3)
    again = TwoCycles.from_config(rate.get_config())
    assert float(again(196_000)) == float(rate(196_000))


def test_a_gan_has_all_of_it(tmp_path):
    from model.srgan import discriminator

    start_anew(1)
    hr = np.random.default_rng(1).integers(0, 256, (2, 4, 96, 96, 3), np.uint8)
    data = tf.data.Dataset.from_tensor_slices((hr[:, :, ::4, ::4], hr)).repeat()
    trainer = SrganTrainer(
        small_edsr(),
        discriminator(num_filters=2),
        l2_loss,
        1e-3,
        tmp_path,
        options=TrainerOptions(
            optimizer="muon", ema_decay=0.9, clip_norm=1.0, accumulate=2, steps_per_call=2
        ),
        report=str,
    )
    before = [w.copy() for w in trainer.discriminator.get_weights()]
    trainer.train(data, steps=4, evaluate_every=2)
    line = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[1])
    assert line["perceptual_loss"] > 0 and line["discriminator_loss"] > 0
    assert (before[0] != trainer.discriminator.get_weights()[0]).any()
