"""What masks do to a whole Restormer: nothing where all is real, and what `restore` keeps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.masked import FillDamaged
from model.restoration import keep_known_pixels
from model.restormer import restormer
from tests.model.test_restormer import SMALLEST


@pytest.mark.parametrize("unshuffle", [1, 2])
def test_a_mask_of_ones_changes_nothing_and_damaged_pixels_do_not_count(tmp_path, unshuffle):
    options = SMALLEST | {"unshuffle": unshuffle}
    plain, masked = restormer(**options), restormer(**options, mask_aware=True)
    plain.save_weights(tmp_path / "plain.weights.h5")
    masked.load_weights(tmp_path / "plain.weights.h5")
    pictures = np.random.default_rng(2).uniform(0, 255, (2, 13, 19, 3)).astype(np.float32)
    ones = np.ones((2, 13, 19, 1), np.float32)
    np.testing.assert_array_equal(masked.traced(pictures, ones), plain.traced(pictures))
    valid = ones.copy()
    valid[0, 3:11, 5:9] = valid[1, :2] = 0
    result = masked.traced(pictures, valid).numpy()
    painted = np.where(valid, pictures, np.float32(200))
    np.testing.assert_array_equal(masked.traced(painted, valid), result)
    assert np.abs(result - plain.traced(pictures)).max() > 1  # the mask is not ignored
    flipped = masked.traced(pictures, 1 - valid).numpy()
    assert np.abs(result - flipped).max() > 1  # nor is its polarity


@pytest.mark.slow
def test_a_mask_embedding_starts_at_nothing_and_then_marks_damaged_pixels(tmp_path):
    masked = restormer(**SMALLEST, mask_aware=True)
    model = restormer(**SMALLEST, mask_aware=True, mask_embedding=True)
    assert model.count_params() == masked.count_params() + SMALLEST["dim"]
    layer = model.get_layer("mask_embed")
    for other in (other for other in masked.layers if other.weights):
        model.get_layer(other.name).set_weights(other.get_weights())
    pictures = np.random.default_rng(2).uniform(0, 255, (2, 13, 19, 3)).astype(np.float32)
    valid = np.ones((2, 13, 19, 1), np.float32)
    valid[0, 3:11, 5:9] = 0  # the second picture is whole
    before = masked.traced(pictures, valid).numpy()
    np.testing.assert_array_equal(model.traced(pictures, valid), before)
    layer.set_weights([np.array([[1, -2, 3, -4]], np.float32)])
    after = model.traced(pictures, valid).numpy()
    assert np.abs(after[0] - before[0]).max() > 1
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_allclose(model([pictures, valid]), after, atol=1e-2)  # eager
    painted = np.where(valid, pictures, np.float32(200))
    np.testing.assert_array_equal(model.traced(painted, valid), after)
    model.save_weights(tmp_path / "a.weights.h5")
    again = restormer(**SMALLEST, mask_aware=True, mask_embedding=True)
    again.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(again.traced(pictures, valid), after)


def test_folded_pixels_are_marked_one_by_one():
    model = restormer(**SMALLEST, mask_aware=True, mask_embedding=True, unshuffle=2)
    layer = model.get_layer("mask_embed")
    assert [w.shape for w in layer.weights] == [(4, SMALLEST["dim"])]
    layer.set_weights([np.eye(4, dtype=np.float32)])
    pictures = np.random.default_rng(2).uniform(0, 255, (1, 13, 19, 3)).astype(np.float32)
    results = []
    for row, column in ((4, 6), (4, 7), (5, 6), (5, 7)):  # of one 2×2 block
        valid = np.ones((1, 13, 19, 1), np.float32)
        valid[0, row, column] = 0
        results.append(model.traced(np.where(valid, pictures, 0), valid).numpy())
    differences = [np.abs(a - b).max() for a in results for b in results if a is not b]
    assert min(differences) > 0.1


def test_known_pixels_are_kept():
    pictures, restored = np.full((1, 5, 7, 3), 9, np.uint8), np.full((1, 5, 7, 3), 4.5, np.float32)
    valid = np.zeros((1, 5, 7, 1))
    valid[0, 2:] = 1
    kept = keep_known_pixels(restored, pictures, valid).numpy()
    assert (kept[0, 2:] == 9).all() and (kept[0, :2] == 4.5).all()


def filled(pictures, valid, steps):
    """The rule of `FillDamaged`, pixel by pixel."""
    result, known = pictures * valid, valid[..., 0].astype(bool)
    mean = [p[k].mean(axis=0) if k.any() else 0 for p, k in zip(result, known, strict=True)]
    for _ in range(steps):
        before, was = result.copy(), known.copy()
        for b, y, x in zip(*np.nonzero(~was), strict=True):
            rows, columns = slice(max(0, y - 1), y + 2), slice(max(0, x - 1), x + 2)
            near = before[b, rows, columns][was[b, rows, columns]]
            if len(near):
                result[b, y, x], known[b, y, x] = near.mean(axis=0), True
    for b, y, x in zip(*np.nonzero(~known), strict=True):
        result[b, y, x] = mean[b]
    return result


@pytest.mark.parametrize("traced", [False, True])
def test_filling_goes_inwards_and_then_takes_the_mean(traced):
    random = np.random.default_rng(6)
    pictures = random.uniform(0, 1, (3, 13, 17, 3)).astype(np.float32)
    valid = np.ones((3, 13, 17, 1), np.float32)
    valid[0, 2:11, 5:14] = valid[1] = 0  # 9 px wide: two steps do not reach its middle
    valid[2, random.random((13, 17)) < 0.4] = 0
    layer = FillDamaged(steps=2, levels=0)
    call = tf.function(layer) if traced else layer
    result = call(pictures, valid).numpy()
    np.testing.assert_allclose(result, filled(pictures, valid, 2), atol=1e-6)
    np.testing.assert_array_equal(result[valid[..., 0] > 0], pictures[valid[..., 0] > 0])
    assert (result[1] == 0).all()


@pytest.mark.parametrize("traced", [False, True])
def test_deep_holes_are_filled_from_coarse_to_fine(traced):
    """A slope goes on through a hole of 80 px, where the mean would be off by half of it."""
    slopes = np.meshgrid(np.linspace(0, 1, 160), np.linspace(0, 1, 176))
    pictures = np.stack(slopes, axis=2)[None].astype(np.float32)
    valid = np.ones((1, 176, 160, 1), np.float32)
    valid[:, 40:120, 40:120] = 0
    layers = FillDamaged(levels=0), FillDamaged()
    coarse, fine = ((tf.function(layer) if traced else layer)(pictures, valid) for layer in layers)
    errors = [np.abs(result - pictures)[valid[..., 0] == 0].mean() for result in (coarse, fine)]
    assert errors[1] < 0.65 * errors[0]
    shallow = np.ones_like(valid)
    shallow[:, 50:66, 30:150] = 0  # nothing lies deeper than eight pixels
    results = [layer(pictures, shallow) for layer in layers]
    np.testing.assert_array_equal(*results)
    config = FillDamaged(levels=1).get_config()
    assert FillDamaged.from_config(config).levels == 1


def test_an_untrained_answer_is_near_the_filled_picture():
    """The network adds to it: with the last layer at zero nothing else is left."""
    answers = []
    ramp = np.linspace(0, 255, 19, dtype=np.float32)[None, None, :, None].repeat(13, 1).repeat(3, 3)
    valid = np.ones((1, 13, 19, 1), np.float32)
    valid[:, 3:9, 5:8] = 0
    for fill in (True, False):
        model = restormer(**SMALLEST, mask_aware=True, mask_fill=fill)
        output = model.get_layer("output")
        output.set_weights([np.zeros_like(weight) for weight in output.get_weights()])
        answers.append(np.abs(model.traced(ramp, valid).numpy() - ramp).max())
    assert answers[0] < 20 and answers[1] > 80


@pytest.mark.parametrize("layer_norm", ["with_bias", "bias_free"])
def test_gradients_in_training_are_those_of_the_plain_layers(layer_norm):
    keras.utils.set_random_seed(1)
    model = restormer(
        dim=4,
        num_blocks=(1, 1, 1, 1),
        heads=(1, 2, 1, 2),
        num_refinement_blocks=1,
        layer_norm=layer_norm,
        use_bias=True,
        mask_aware=True,
    )
    for number, weight in enumerate(model.trainable_variables):
        weight.assign_add(0.1 * tf.random.stateless_normal(weight.shape, (1, number)))
    pictures = tf.random.stateless_uniform((2, 19, 23, 3), (3, 4), 0, 255)
    valid = tf.cast(tf.random.stateless_uniform((2, 19, 23, 1), (5, 6)) > 0.2, tf.float32)
    gradients = {}
    for training in (False, True):
        with tf.GradientTape() as tape:
            error = model([pictures, valid], training=training) - pictures
            loss = tf.reduce_mean(tf.sqrt(1 + error**2))
        gradients[training] = tape.gradient(loss, model.trainable_variables)
    for plain, fused in zip(gradients[False], gradients[True], strict=True):
        assert tf.norm(plain - fused) <= 1e-3 * tf.norm(plain) + 1e-7
