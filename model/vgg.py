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


def vgg_54(weights="imagenet"):
    """Features of the fourth convolution before the fifth pooling, after its ReLU.

    Args and errors as `vgg_22`.

    Returns:
        Frozen network from (B, H, W, 3) to (B, H/16, W/16, 512).
    """
    return _features("block5_conv4", weights)


def _features(layer, weights):
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
    features = keras.Model(vgg.input, vgg.get_layer(layer).output, name=f"vgg19_{layer}")
    features.trainable = False
    return features
