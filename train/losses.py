"""Losses as functions of tensors; every one returns a scalar mean over all elements.

Pictures are RGB in 0..255; probabilities are a discriminator's sigmoid output.
"""

import keras
import tensorflow as tf

_CONTENT_SCALE = 12.75
"""Divides VGG features, so that their squared error is of the order of a pixel's (0.006, squared,
over 0..1 pictures in arXiv:1609.04802, section 3.2)."""


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


def feature_loss(hr_features, sr_features):
    """Mean squared error of VGG features divided by 12.75."""
    return l2_loss(hr_features / _CONTENT_SCALE, sr_features / _CONTENT_SCALE)


def vgg_content_loss(features):
    """Make a content loss ``(hr, sr) → scalar`` of a VGG19 feature network.

    Args:
        features: Network from pictures in caffe style (BGR, mean subtracted) to features, such as
            `model.vgg.vgg_54()`.

    Reference: arXiv:1609.04802, equation 5.
    """
    preprocess = keras.applications.vgg19.preprocess_input

    def content_loss(hr, sr):
        return feature_loss(features(preprocess(hr)), features(preprocess(sr)))

    return content_loss


def generator_loss(sr_probability):
    """Cross-entropy of "the generated picture is real". Reference: arXiv:1609.04802, equation 6."""
    return _cross_entropy(tf.ones_like(sr_probability), sr_probability)


def discriminator_loss(hr_probability, sr_probability):
    """Cross-entropy of "HR is real" plus that of "SR is not".

    Reference: arXiv:1609.04802, equation 2.
    """
    real = _cross_entropy(tf.ones_like(hr_probability), hr_probability)
    return real + _cross_entropy(tf.zeros_like(sr_probability), sr_probability)


def _cross_entropy(target, probability):
    return tf.reduce_mean(keras.losses.binary_crossentropy(target, probability))
