"""LPIPS: how different two pictures look, by the features of a classifier (arXiv:1801.03924).

Version 0.1 with AlexNet, VGG16 or SqueezeNet 1.1. Layers carry torchvision's names, dots as
underscores, and those of the published linear layers. Both pictures run as one batch. Different on
purpose: the norm of a feature vector is bounded inside its square root, whose gradient is infinite
at zero, so that the distance serves as a loss also where features or pictures are equal.
"""

import keras
from keras import ops
from keras.layers import Add, Concatenate, Conv2D, MaxPooling2D, Rescaling, ZeroPadding2D

from model.common import SRModel, builder

_MEAN = (-0.030, -0.088, -0.188)  # of pictures in -1..1, section 3 of the published code
_DEVIATION = (0.458, 0.448, 0.450)
_VGG_BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
_VGG_CHANNELS = (64, 128, 256, 512, 512)
_ALEX = {3: (192, 5), 6: (384, 3), 8: (256, 3), 10: (256, 3)}  # channels and kernel size
_FIRES = {3: 16, 4: 16, 6: 32, 7: 32, 9: 48, 10: 48, 11: 64, 12: 64}  # squeezed channels
_FIRE_TAPS = (4, 7, 9, 10, 11, 12)


@keras.saving.register_keras_serializable("sr")
class FeatureDistance(keras.layers.Layer):
    """Weighted distance of the features of pairs of pictures.

    Takes (2·B, H, W, C), the first half of each pair before all second halves, and gives (B,):
    feature vectors of unit length, squared differences, weighted by channel, mean over positions.

    Reference: arXiv:1801.03924, equation 1.
    """

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.weight = self.add_weight(shape=shape, initializer="ones", name="weight")

    def call(self, features):
        squares = ops.sum(ops.square(features), axis=-1, keepdims=True)
        unit = features / (ops.sqrt(ops.maximum(squares, 1e-20)) + 1e-10)
        first, second = ops.split(unit, 2)  # the gradient of slices pads and adds
        squared_difference = ops.square(first - second)
        return ops.mean(ops.sum(squared_difference * self.weight, axis=-1), axis=(1, 2))

    def compute_output_shape(self, input_shape):
        return (input_shape[0] and input_shape[0] // 2,)


def _convolution(x, filters, size, name):
    return Conv2D(filters, size, padding="same", activation="relu", name=name)(x)


def _pool_rounding_up(x):
    """3×3 pooling with stride 2 whose size is rounded up: behind a ReLU, one more row of zeros."""
    return MaxPooling2D(3, 2)(ZeroPadding2D(((0, 1), (0, 1)))(x))


def alexnet(x):
    """Features after each of AlexNet's five ReLUs (arXiv:1404.5997, figure 1)."""
    x = ZeroPadding2D(2)(x)
    x = Conv2D(64, 11, strides=4, activation="relu", name="features_0")(x)
    taps = [x]
    for index, (filters, size) in _ALEX.items():
        if index <= 6:  # as torchvision, which has no pooling between the last three
            x = MaxPooling2D(3, 2)(x)
        x = _convolution(x, filters, size, f"features_{index}")
        taps.append(x)
    return taps


def vgg16(x):
    """Features after the last ReLU of each of VGG16's five blocks (arXiv:1409.1556, table 1, D)."""
    taps = []
    for block, filters in zip(_VGG_BLOCKS, _VGG_CHANNELS, strict=True):
        if taps:
            x = MaxPooling2D(2)(x)
        for index in block:
            x = _convolution(x, filters, 3, f"features_{index}")
        taps.append(x)
    return taps


def fire(x, squeezed, name):
    """1×1 to few channels, then 1×1 and 3×3 side by side (arXiv:1602.07360, figure 1)."""
    x = _convolution(x, squeezed, 1, f"{name}_squeeze")
    wide = _convolution(x, 4 * squeezed, 1, f"{name}_expand1x1")
    return Concatenate()([wide, _convolution(x, 4 * squeezed, 3, f"{name}_expand3x3")])


def squeezenet(x):
    """Features of SqueezeNet 1.1: after the first ReLU and after six of its fires."""
    x = Conv2D(64, 3, strides=2, activation="relu", name="features_0")(x)
    taps = [x]
    for index, squeezed in _FIRES.items():
        if index in (3, 6, 9):
            x = _pool_rounding_up(x)
        x = fire(x, squeezed, f"features_{index}")
        if index in _FIRE_TAPS:
            taps.append(x)
    return taps


TRUNKS = {"alex": alexnet, "vgg": vgg16, "squeeze": squeezenet}


@builder
def lpips(net="squeeze"):
    """Build LPIPS.

    Without weights its answers mean nothing: ``weights.load.load_model("lpips-squeeze")`` loads
    them, after ``python -m infer weights get lpips-squeeze``.

    Args:
        net: "squeeze" (small), "alex" (the paper's choice as a metric) or "vgg" (as a loss).

    Returns:
        Frozen network from ``[a, b]``, each (B, H, W, 3), RGB in 0..255, at least 64 px a side, to
        the distance (B,): 0 for equal pictures, above 0 otherwise. The layers ``lin0``, ``lin1``,
        … give its parts.

    Raises:
        ValueError: There is no such net.

    Reference: arXiv:1801.03924, section 3.
    """
    if net not in TRUNKS:
        raise ValueError(f"net must be one of {', '.join(TRUNKS)}, got {net!r}")
    pictures = [keras.Input((None, None, 3), name=name) for name in ("a", "b")]
    scale = [1 / (127.5 * deviation) for deviation in _DEVIATION]
    offset = [(-1 - mean) / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)]
    x = Rescaling(scale, offset)(Concatenate(axis=0)(pictures))  # (2·B, H, W, 3)
    parts = [FeatureDistance(name=f"lin{i}")(tap) for i, tap in enumerate(TRUNKS[net](x))]
    model = SRModel(pictures, Add()(parts), name=f"lpips_{net}")
    model.trainable = False
    return model
