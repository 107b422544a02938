"""VGG19 features for content losses (arXiv:1409.1556; their use arXiv:1609.04802, section 2.2.1).

Weights are ImageNet's, from `keras.applications`. Input is caffe style: BGR, mean subtracted.
"""

import keras

_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"


def vgg_22(weights="imagenet"):
    """Features of the second convolution before the second pooling, after its ReLU.

    Args:
        weights: "imagenet", a local file of them, or None for random weights.

    Returns:
        Frozen network from (B, H, W, 3) to (B, H/2, W/2, 128).

    Raises:
        OSError: The weights are not here and cannot be fetched; says where to get them.
    """
    return _features("block2_conv2", weights)


def vgg_54(weights="imagenet", *, before_relu=False):
    """Features of the fourth convolution before the fifth pooling, after its ReLU or before.

    Args:
        weights: As for `vgg_22`, and so are the errors.
        before_relu: True for ESRGAN: arXiv:1809.00219, section 3.3.

    Returns:
        Frozen network from (B, H, W, 3) to (B, H/16, W/16, 512).
    """
    return _features("block5_conv4", weights, before_relu)


def _features(layer, weights, before_relu=False):
    try:
        vgg = keras.applications.VGG19(
            include_top=False, weights=weights and str(weights), input_shape=(None, None, 3)
        )
    except Exception as error:
        if type(error) is not Exception:  # keras.utils.get_file raises just that for no network
            raise
        raise OSError(
            f"VGG19's ImageNet weights could not be fetched ({error}). With a network, "
            f"`keras.applications.VGG19(include_top=False)` fetches them once; without one, copy "
            f"{_FILE} to ~/.keras/models/ or give its path as weights=…"
        ) from error
    last = vgg.get_layer(layer)
    output = _without_relu(last) if before_relu else last.output
    features = keras.Model(vgg.input, output, name=f"vgg19_{layer}")
    features.trainable = False
    return features


def _without_relu(convolution):
    """Output of a convolution whose layer in `keras.applications` has the ReLU inside."""
    linear = keras.layers.Conv2D.from_config(convolution.get_config() | {"activation": "linear"})
    output = linear(convolution.input)
    linear.set_weights(convolution.get_weights())
    return output
