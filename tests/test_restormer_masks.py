"""What masks do to a whole Restormer: nothing where all is real, and what `restore` keeps."""

import numpy as np

from model.restormer import keep_known_pixels, restormer
from tests.test_restormer import SMALLEST


def test_a_mask_of_ones_changes_nothing_and_damaged_pixels_do_not_count(tmp_path):
    plain, masked = restormer(**SMALLEST), restormer(**SMALLEST, mask_aware=True)
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
    layer.set_weights([np.array([1, -2, 3, -4], np.float32)])
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


def test_known_pixels_are_kept():
    pictures, restored = np.full((1, 5, 7, 3), 9, np.uint8), np.full((1, 5, 7, 3), 4.5, np.float32)
    valid = np.zeros((1, 5, 7, 1))
    valid[0, 2:] = 1
    kept = keep_known_pixels(restored, pictures, valid).numpy()
    assert (kept[0, 2:] == 9).all() and (kept[0, :2] == 4.5).all()
