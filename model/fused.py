"""What lies between the convolutions of a network, computed in one pass over memory in training.

Written as single operations, layer normalisation and the gate read and write all features some
twenty times in a training step, which costs more than the convolutions between them. Here each
direction is one function that XLA compiles into one loop; its gradient is the formula, so that
nothing but the input is kept for it. Numbers are float32 inside whatever the features are.

XLA compiles a function anew for every size of features. Training has few sizes; inference has
many, and uses the layers' plain operations.
"""

import keras
from keras import ops

_SQRT_HALF = 0.5**0.5
_DENSITY_AT_0 = 0.3989422804014327  # of the normal distribution: 1 / sqrt(2·pi)
_TAIL = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
"""Coefficients of the error function in 1 / (1 + 0.3275911·z), within 1.5e-7 (Abramowitz and
Stegun, equation 7.1.26). Its exponential is the one that the gate's gradient needs anyway."""


def _one_loop(function):
    """Compile by XLA on TensorFlow; other backends compile a training step as one anyway."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False)


@_one_loop
def _gated(features):
    a, b = ops.split(ops.cast(features, "float32"), 2, axis=-1)
    return ops.cast(a * b * (0.5 * ops.erf(a * _SQRT_HALF) + 0.5), features.dtype)


@_one_loop
def _gate_gradients(features, upstream):
    """Gradients of both halves: joined outside, because XLA is slow in joining."""
    a, b = ops.split(ops.cast(features, "float32"), 2, axis=-1)
    upstream = ops.cast(upstream, "float32")
    bell = ops.exp(-0.5 * a * a)
    t = 1 / (1 + 0.3275911 * _SQRT_HALF * ops.absolute(a))
    tail = 0.5 * bell * t * _polynomial(_TAIL, t)
    below = ops.where(a > 0, 1 - tail, tail)
    gradients = (upstream * b * (below + _DENSITY_AT_0 * a * bell), upstream * a * below)
    return [ops.cast(gradient, features.dtype) for gradient in gradients]


def _polynomial(coefficients, x):
    total = coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


@ops.custom_gradient
def gate(features):
    """``gelu(a) · b`` of the two halves a and b of the channels, as `model.masked.Gate`."""

    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        return ops.concatenate(_gate_gradients(features, upstream), axis=-1)

    return _gated(features), gradient


@_one_loop
def _normed(features, gamma, beta, epsilon):
    x, centred, scale = _statistics(features, epsilon)
    normed = x * scale * gamma if beta is None else centred * scale * gamma + beta
    return ops.cast(normed, features.dtype)


@_one_loop
def _norm_gradients(features, gamma, upstream, epsilon, with_bias):
    """Gradients of features, and of gamma and beta still to be summed over (B, W)."""
    x, centred, scale = _statistics(features, epsilon)
    upstream = ops.cast(upstream, "float32")
    weighted = upstream * gamma
    directions = centred * scale
    if with_bias:
        passed = weighted - ops.mean(weighted, axis=-1, keepdims=True)
        bent = ops.mean(weighted * directions, axis=-1, keepdims=True)
        of_gamma = upstream * directions
    else:
        passed = weighted
        bent = ops.mean(weighted * x, axis=-1, keepdims=True) * scale
        of_gamma = upstream * x * scale
    of_features = ops.cast(scale * (passed - directions * bent), features.dtype)
    return of_features, ops.sum(of_gamma, axis=1), ops.sum(upstream, axis=1)


def _statistics(features, epsilon):
    x = ops.cast(features, "float32")
    centred = x - ops.mean(x, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    return x, centred, ops.rsqrt(variance + epsilon)


def channel_norm(features, gamma, beta, epsilon):
    """Layer normalisation over channels, as `model.masked.ChannelNorm`.

    Args:
        features: (B, H, W, C) in any precision.
        gamma: (C,) float32.
        beta: (C,) float32, or None for the bias-free kind.
        epsilon: Added to the variance.
    """
    if beta is None:
        return _bias_free_norm(features, gamma, epsilon)
    return _norm(features, gamma, beta, epsilon)


@ops.custom_gradient
def _norm(features, gamma, beta, epsilon):
    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        parts = _norm_gradients(features, gamma, upstream, epsilon, True)
        return parts[0], ops.sum(parts[1], axis=(0, 1)), ops.sum(parts[2], axis=(0, 1)), None

    return _normed(features, gamma, beta, epsilon), gradient


@ops.custom_gradient
def _bias_free_norm(features, gamma, epsilon):
    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        parts = _norm_gradients(features, gamma, upstream, epsilon, False)
        return parts[0], ops.sum(parts[1], axis=(0, 1)), None

    return _normed(features, gamma, None, epsilon), gradient


@_one_loop
def _product(features, plane):
    return features * plane


@_one_loop
def _sloped(outputs, upstream, slope):
    return ops.where(outputs > 0, upstream, upstream * ops.cast(slope, upstream.dtype))


def relu(features, slope=0.0):
    """ReLU, leaky with a `slope` above 0; in bfloat16 its gradient takes two thirds of the time.

    Args:
        features: Of any shape and type.
        slope: Factor on what is below 0.
    """

    @ops.custom_gradient
    def activated(features):
        outputs = ops.leaky_relu(features, slope) if slope else ops.relu(features)

        def gradient(*args, upstream=None):
            return _sloped(outputs, args[0] if upstream is None else upstream, slope)

        return outputs, gradient

    return activated(features)


@ops.custom_gradient
def times_plane(features, plane):
    """Features (B, H, W, C) times a mask (B, H, W, 1), which needs no gradient."""

    def gradient(*args, upstream=None):
        return _product(args[0] if upstream is None else upstream, plane), None

    return _product(features, plane), gradient


def depthwise(features, kernel):
    """Depthwise convolution whose kernel's gradient is computed in float32.

    In bfloat16 oneDNN takes twice as long for it on the CPU, and sums in it are long.

    Args:
        features: (B, H, W, C).
        kernel: (3, 3, C, 1), of the same type.
    """
    if (
        keras.backend.backend() != "tensorflow"
        or keras.backend.standardize_dtype(features.dtype) != "bfloat16"
    ):
        return ops.depthwise_conv(features, kernel, padding="same")
    return _bfloat16_depthwise(features, kernel)


@ops.custom_gradient
def _bfloat16_depthwise(features, kernel):
    import tensorflow as tf

    geometry = {"strides": [1, 1, 1, 1], "padding": "SAME"}

    def gradient(upstream):
        of_features = tf.nn.depthwise_conv2d_backprop_input(
            tf.shape(features), kernel, upstream, **geometry
        )
        x, y = (tf.cast(t, tf.float32) for t in (features, upstream))
        of_kernel = tf.nn.depthwise_conv2d_backprop_filter(x, tf.shape(kernel), y, **geometry)
        return of_features, tf.cast(of_kernel, kernel.dtype)

    return tf.nn.depthwise_conv2d(features, kernel, **geometry), gradient
