"""Losses as functions of tensors; every one returns a scalar mean over all elements.

Pictures are RGB in 0..255; logits are a discriminator's output before the sigmoid, probabilities
after it.
"""

import math

import keras
import tensorflow as tf

from model.metrics import face_similarity_of

_CONTENT_SCALE = 12.75
"""Divides VGG features, so that their squared error is of the order of a pixel's (0.006, squared,
over 0..1 pictures in arXiv:1609.04802, section 3.2)."""

_IMAGENET_DEVIATION = 58.0
"""Of pixels, in grey levels (0.225 of 255). ESRGAN's VGG takes pictures divided by it; ours does
not, and its features are larger by as much."""

_LEAST_PROBABILITY = 1e-7  # of a loss's value, as in Keras
_LEAST_SLOPED = 1e-37  # of its slope: down to logits of -85

_GRID_WINDOW = 12  # blocks

GRID_PX = 8  # of SqueezeNet's and VGG's third stage; a picture for LPIPS loses as much

_FACE_EXPONENT = 6  # by definition of this project, as the two steps before it


def l1_loss(hr, sr):
    """Mean absolute error. Reference: arXiv:1707.02921, section 3.1."""
    return tf.reduce_mean(tf.abs(tf.cast(hr, sr.dtype) - sr))


def l2_loss(hr, sr):
    """Mean squared error. Reference: arXiv:1609.04802, equation 4."""
    return tf.reduce_mean(tf.square(tf.cast(hr, sr.dtype) - sr))


def charbonnier_loss(hr, sr, epsilon=1e-3):
    """Mean of ``sqrt(d² + ε²)``: L1 that is smooth at zero.

    Args:
        epsilon: Width of the smooth part, in grey levels.

    Reference: arXiv:1710.01992, section 3.3.
    """
    difference = tf.cast(hr, sr.dtype) - sr
    return tf.reduce_mean(tf.sqrt(tf.square(difference) + epsilon**2))


def psnr_loss(hr, sr):
    """Mean of ``-PSNR`` over pictures, up to a constant: ten times the logarithm of the error.

    A picture counts for how much better it gets, not for how bad it is: with L1, slightly damaged
    ones hardly count beside others. One grey level² is added to the mean squared error, so that a
    picture that is nearly right does not outweigh all others.

    Args:
        hr: (B, H, W, C) in 0..255.
        sr: The same of the network.

    Reference: arXiv:2105.06086, its PSNR loss.
    """
    errors = tf.square(tf.cast(sr, tf.float32) - tf.cast(hr, tf.float32))
    by_picture = tf.reduce_mean(errors, axis=[1, 2, 3])
    return 10 / math.log(10) * tf.reduce_mean(tf.math.log(by_picture + 1))


def edge_loss(hr, sr):
    """L1 of pixels plus L1 of the differences between neighbours, for what is made of edges."""
    hr, sr = tf.cast(hr, sr.dtype), tf.convert_to_tensor(sr)
    edges = zip(tf.image.image_gradients(hr), tf.image.image_gradients(sr), strict=True)
    return l1_loss(hr, sr) + sum(l1_loss(a, b) for a, b in edges)


def frequency_loss(hr, sr, weight=0.1):
    """L1 of pixels plus `weight` times L1 of their Fourier transform, for what was blurred.

    A pixel's loss sees little of a frequency that blur took away nearly everywhere; here each
    frequency has a term of its own, the mean of absolute real and imaginary parts.

    Args:
        hr: (B, H, W, C) in 0..255.
        sr: The same of the network.
        weight: Of the second part. Its numbers grow as the square root of H·W.

    Reference: arXiv:2108.05054, its frequency reconstruction loss, here at one scale.
    """
    difference = tf.cast(sr, tf.float32) - tf.cast(hr, tf.float32)
    spectrum = tf.signal.rfft2d(tf.transpose(difference, (0, 3, 1, 2)))
    parts = tf.abs(tf.math.real(spectrum)) + tf.abs(tf.math.imag(spectrum))
    return tf.reduce_mean(tf.abs(difference)) + weight * tf.reduce_mean(parts) / 2


def grid_loss(hr, sr, period):
    """Mean squared error that repeats from one block of SR to the next, and so shows as a grid.

    A network that makes its output block by block may err at the same place of each block.
    Discriminator and features hardly see an error of a grey level; on skin people do. It is found
    as the mean error of each place of a block, over windows of 12 × 12 blocks, less that of all.

    Args:
        hr: (B, H, W, C) in 0..255.
        sr: The same of the network; H and W are multiples of the period.
        period: Side of a block in px, the network's scale, at least 2.
    """
    errors = tf.nn.space_to_depth(tf.cast(sr, tf.float32) - tf.cast(hr, tf.float32), period)
    means = tf.nn.avg_pool2d(errors, _GRID_WINDOW, _GRID_WINDOW // 2, "SAME")
    by_place = tf.reshape(means, (-1, period**2, sr.shape[-1]))
    return tf.reduce_mean(tf.math.reduce_variance(by_place, axis=1))


def feature_loss(hr_features, sr_features):
    """Mean squared error of VGG features divided by 12.75."""
    return l2_loss(hr_features / _CONTENT_SCALE, sr_features / _CONTENT_SCALE)


def feature_l1_loss(hr_features, sr_features):
    """Mean absolute error of VGG features divided by 58, as ESRGAN has it.

    Reference: arXiv:1809.00219, section 3.3.
    """
    return l1_loss(hr_features, sr_features) / _IMAGENET_DEVIATION


def vgg_content_loss(features, distance=feature_loss):
    """Make a content loss ``(hr, sr) → scalar`` of a VGG19 feature network.

    Args:
        features: Network from pictures in caffe style (BGR, mean subtracted) to features, such as
            `model.vgg.vgg_54()`.
        distance: Function ``(hr_features, sr_features) → scalar``.

    Reference: arXiv:1609.04802, equation 5.
    """
    preprocess = keras.applications.vgg19.preprocess_input

    def content_loss(hr, sr):
        return distance(features(preprocess(hr)), features(preprocess(sr)))

    return content_loss


def logit_generator_loss(sr_logits):
    """Cross-entropy of "the generated picture is real", which has a slope however sure "no" is.

    Reference: arXiv:1609.04802, equation 6.
    """
    return tf.reduce_mean(tf.nn.softplus(-sr_logits))


def logit_discriminator_loss(hr_logits, sr_logits):
    """Cross-entropy of "HR is real" plus that of "SR is not".

    Reference: arXiv:1609.04802, equation 2.
    """
    real = tf.reduce_mean(tf.nn.softplus(-hr_logits))
    return real + tf.reduce_mean(tf.nn.softplus(sr_logits))


def generator_loss(sr_probability):
    """`logit_generator_loss` of a probability, bounded by 16.1.

    A probability above 1 - 6e-8 is 1 in float32: where there are logits, use these.
    """
    return -_mean_log(sr_probability)


def discriminator_loss(hr_probability, sr_probability):
    """`logit_discriminator_loss` of probabilities; see `generator_loss`."""
    return -_mean_log(hr_probability) - _mean_log(1 - sr_probability)


def _mean_log(probability):
    """Mean logarithm, bounded below; its slope is that of the logarithm there too."""
    free = tf.math.log(tf.maximum(probability, _LEAST_SLOPED))
    bounded = tf.math.log(tf.maximum(probability, _LEAST_PROBABILITY))
    return tf.reduce_mean(free + tf.stop_gradient(bounded - free))


def relativistic_generator_loss(hr_logits, sr_logits):
    """Cross-entropy of "generated pictures look more real than the average real one, …".

    Args:
        hr_logits: Discriminator's answer to real pictures, any shape.
        sr_logits: To generated ones, the same shape.

    Returns:
        Scalar, the mean of both halves; zero logits give ln 2.

    Reference: arXiv:1809.00219, equation 2.
    """
    less = tf.nn.softplus(hr_logits - tf.reduce_mean(sr_logits))
    more = tf.nn.softplus(tf.reduce_mean(hr_logits) - sr_logits)
    return (tf.reduce_mean(less) + tf.reduce_mean(more)) / 2


def relativistic_discriminator_loss(hr_logits, sr_logits):
    """Cross-entropy of "real pictures look more real than the average generated one, …".

    Arguments and result as `relativistic_generator_loss`. No gradient flows through the two means,
    as in the published training.

    Reference: arXiv:1809.00219, equation 1.
    """
    hr_mean, sr_mean = (tf.stop_gradient(tf.reduce_mean(x)) for x in (hr_logits, sr_logits))
    real = tf.reduce_mean(tf.nn.softplus(sr_mean - hr_logits))
    generated = tf.reduce_mean(tf.nn.softplus(sr_logits - hr_mean))
    return (real + generated) / 2


def lpips_content_loss(distance):
    """Make a content loss ``(hr, sr) → scalar`` of an LPIPS network, in place of VGG features.

    The network's strides weigh pixels by their place in its grid, and a generator that always meets
    the same grid draws it into its pictures. Both pictures are therefore cut alike by up to 8 px at
    the top and left, drawn from the batch itself, so that a step can be made again.

    Args:
        distance: Network of `model.lpips` with its weights.

    Reference: arXiv:1801.03924, section 3.
    """

    def content_loss(hr, sr):
        hr = tf.cast(hr, sr.dtype)
        seed = tf.cast(tf.reduce_sum(hr[:, ::8, ::8]), tf.int32)
        top, left = tf.unstack(tf.random.stateless_uniform([2], [seed, 0], 0, GRID_PX, tf.int32))
        height, width = tf.unstack(tf.shape(sr)[1:3] - GRID_PX)
        cut = [p[:, top : top + height, left : left + width] for p in (hr, sr)]
        return tf.reduce_mean(distance(cut, training=False))

    return content_loss


def face_feature_loss(features, px=224):
    """Make a loss ``(hr, sr) → scalar`` that asks for the same face: the mean of 1 - cos⁶.

    Args and errors as `face_similarity_of`.
    """
    similarity = face_similarity_of(features, px)
    return lambda hr, sr: tf.reduce_mean(1 - similarity(hr, sr) ** _FACE_EXPONENT)
