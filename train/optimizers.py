"""The optimiser that Keras has for matrices only."""

import math

import keras
import tensorflow as tf

_MOMENTUM = 0.95
_ITERATIONS = 5
_COEFFICIENTS = 3.4445, -4.775, 2.0315  # of the iteration's quintic
_LENGTH = 0.2  # root mean square of Adam's usual step, in learning rates


class Muon(keras.optimizers.Adam):
    """Momentum made orthogonal for kernels; Adam for all else, and for depthwise kernels.

    A kernel (kh, kw, cin, cout) is taken as a matrix of kh·kw·cin × cout; Keras' own Muon leaves
    such kernels to Adam. Steps are as long as Adam's, so that its learning rates and weight decay
    suit. Kernels of one shape are computed as one batch.

    Args:
        learning_rate: Number or schedule.
        kwargs: As `keras.optimizers.Adam`.

    Reference: kellerjordan.github.io/posts/muon; the length of a step: arXiv:2502.16982.
    """

    @classmethod
    def in_place_of(cls, adam, learning_rate):
        """Return one with the numbers of an Adam or AdamW.

        Raises:
            ValueError: It is another optimiser.
        """
        if not isinstance(adam, keras.optimizers.Adam):
            raise ValueError(f"Muon can take the place of Adam only, not of {type(adam).__name__}")
        names = ("beta_1", "beta_2", "epsilon", "weight_decay")
        return cls(learning_rate, **{name: getattr(adam, name) for name in names})

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        replicas = self._distribution_strategy.num_replicas_in_sync  # each has its share of grads
        grads = [tf.identity(gradient) for gradient in grads]  # all of one graph: all_reduce asks
        by_shape = {}
        for i, variable in enumerate(trainable_variables):
            if _is_kernel(variable):
                momentum = _MOMENTUM * self._momentum(variable) + replicas * grads[i]
                ahead = _MOMENTUM * momentum + replicas * grads[i]
                shape = math.prod(variable.shape[:-1]), variable.shape[-1]
                by_shape.setdefault(shape, []).append((i, tf.reshape(ahead, shape)))
        for group in by_shape.values():
            places, matrices = zip(*group, strict=True)
            steps = tf.unstack(_orthogonal(tf.stack(matrices)) / replicas)
            for i, step in zip(places, steps, strict=True):
                step = tf.reshape(step, trainable_variables[i].shape)
                grads[i] = tf.stack([grads[i], step])
        super()._backend_update_step(grads, trainable_variables, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable; with a kernel's gradient comes its step, one behind the other."""
        if not _is_kernel(variable):
            super().update_step(gradient, variable, learning_rate)
            return
        gradient, step = tf.unstack(gradient)
        momentum = self._momentum(variable)
        self.assign(momentum, _MOMENTUM * momentum + gradient)
        self.assign_sub(variable, learning_rate * step)

    def _momentum(self, variable):
        return self._momentums[self._get_variable_index(variable)]


def _is_kernel(variable):
    return len(variable.shape) > 1 and variable.shape[-1] > 1


def _orthogonal(matrices):
    """The nearest orthogonal matrices, nearly, of (N, rows, columns); as long as Adam's steps."""
    rows, columns = matrices.shape[1:]
    x = matrices if rows >= columns else tf.linalg.matrix_transpose(matrices)
    x /= tf.sqrt(tf.reduce_sum(tf.square(x), (1, 2), keepdims=True)) + 1e-7
    first, third, fifth = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        square = tf.matmul(x, x, transpose_a=True)
        x = first * x + tf.matmul(x, third * square + fifth * tf.matmul(square, square))
    x *= _LENGTH * math.sqrt(max(rows, columns))
    return x if rows >= columns else tf.linalg.matrix_transpose(x)
