"""Muon beside Keras' own on matrices, beside Adam on all else, and through runs that stop."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.train.test_updates import assert_close, trained
from train.optimizers import Muon

RATE = 0.03


def stepped(optimizer, values, gradients):
    """Weights after one update a gradient."""
    variables = [keras.Variable(value) for value in values]
    optimizer.build(variables)
    for gradient in gradients:
        optimizer.apply([tf.constant(part) for part in gradient], variables)
    return [variable.numpy() for variable in variables]


def numbers(*shapes, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("shape", [(3, 3, 8, 24), (1, 1, 40, 6), (5, 5, 3, 3)])
def test_kernels_move_as_their_matrices_do_by_keras_own_muon(shape):
    matrix = (-1, shape[-1])
    values = numbers(shape, shape)
    gradients = [numbers(shape, shape, seed=i + 1) for i in range(4)]
    keras_own = keras.optimizers.Muon(RATE, weight_decay=1e-2, adam_weight_decay=1e-2)
    theirs = stepped(
        keras_own,
        [value.reshape(matrix) for value in values],
        [[part.reshape(matrix) for part in gradient] for gradient in gradients],
    )
    ours = stepped(Muon(RATE, weight_decay=1e-2), values, gradients)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.reshape(matrix), b, rtol=0, atol=2e-5)


def test_a_step_is_orthogonal_nearly_and_as_long_as_adams():
    value, gradient = numbers((3, 3, 16, 8), (3, 3, 16, 8))
    (after,) = stepped(Muon(1.0), [value], [[gradient]])
    step = (value - after).reshape(-1, 8)
    singular = np.linalg.svd(step, compute_uv=False) / (0.2 * np.sqrt(len(step)))
    assert singular.min() > 0.6 and singular.max() < 1.3
    assert np.sqrt(np.mean(np.square(step))) == pytest.approx(0.2, rel=0.3)


def test_biases_and_depthwise_kernels_are_adams():
    shapes = (7,), (3, 3, 6, 1), ()
    gradients = [numbers(*shapes, seed=i) for i in range(3)]
    settings = {"beta_2": 0.99, "epsilon": 1e-8, "weight_decay": 1e-2}
    adam = keras.optimizers.Adam(RATE, **settings)
    theirs = stepped(adam, numbers(*shapes), gradients)
    ours = stepped(Muon.in_place_of(adam, RATE), numbers(*shapes), gradients)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_adam_gives_way_to_it():
    with pytest.raises(ValueError, match="Muon can take the place of Adam only, not of SGD"):
        Muon.in_place_of(keras.optimizers.SGD(), RATE)


def test_a_run_that_stops_resumes_bit_for_bit_and_not_with_adam(tmp_path):
    whole = trained(tmp_path / "whole", steps=4, optimizer="muon")
    trained(tmp_path / "parts", steps=2, optimizer="muon")
    parts = trained(tmp_path / "parts", steps=4, optimizer="muon")
    assert_close(parts.model, whole.model, 0)
    trained(tmp_path / "adam", steps=1)
    with pytest.raises(ValueError, match="options.optimizer was adam, is muon"):
        trained(tmp_path / "adam", steps=2, optimizer="muon")
