"""dlib's face recognition network: what a face looks like, from a 6 MB file in the public domain.

A residual network (arXiv:1512.03385) of 29 convolutions, half as wide as ResNet-34, trained on
three million faces by D. King. Here without its last linear layer. Its batch norms are constant
and are folded into the convolutions. It stands in for VGGFace2 where that cannot be had.
"""

import keras
from keras.layers import (
    Activation,
    Add,
    AveragePooling2D,
    Concatenate,
    Conv2D,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Rescaling,
    ZeroPadding2D,
)

from model.common import SRModel, builder

PX = 150
"""Side of the pictures it was trained on."""

RGB_MEAN = (122.782, 117.001, 104.298)
"""Subtracted from pictures in 0..255, which are then divided by 256."""

STAGES = (("32", 3), ("64", 3), ("128", 2), ("256", 2))
"""Channels of each stage, and its residual blocks that keep the size."""


def residual_block(x_in, name):
    """Two 3×3 convolutions, and the input added."""
    filters = x_in.shape[-1]
    x = Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_conv1")(x_in)
    x = Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(x)
    return Activation("relu")(Add()([x, x_in]))


def halving_block(x_in, filters, name):
    """As `residual_block`, with half the size; the input is pooled, new channels of it are zero.

    The first convolution is not padded: where that costs a row and a column they become zeros.
    """
    x = Conv2D(filters, 3, strides=2, activation="relu", name=f"{name}_conv1")(x_in)
    x = Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(x)
    pooled = AveragePooling2D(2)(x_in)
    x = ZeroPadding2D(((0, pooled.shape[1] - x.shape[1]), (0, pooled.shape[2] - x.shape[2])))(x)
    if pooled.shape[-1] < filters:
        pooled = Concatenate()([pooled, Rescaling(0.0)(pooled)])  # zeros as many as channels
    return Activation("relu")(Add()([x, pooled]))


@builder
def dlib_face(features="avg_pool"):
    """Build dlib's face recognition network up to its last linear layer.

    Args:
        features: "avg_pool": (B, 256), the mean over the picture. "conv5": (B, 2, 2, 256).

    Returns:
        Frozen network from (B, 150, 150, 3), RGB in 0..255, a face with a quarter of its size
        around it, to the features. Its weights are the same whatever the `features`.

    Raises:
        ValueError: There are no such features.
    """
    if features not in ("avg_pool", "conv5"):
        raise ValueError(f"features must be one of avg_pool, conv5, got {features!r}")
    pictures = keras.Input((PX, PX, 3), name="pictures")
    x = Rescaling(1 / 256, [-mean / 256 for mean in RGB_MEAN])(pictures)
    x = Conv2D(32, 7, strides=2, activation="relu", name="conv32_down")(x)
    x = MaxPooling2D(3, 2)(x)  # (B, 35, 35, 32)
    for width, blocks in STAGES:
        if width != "32":
            x = halving_block(x, int(width), f"conv{width}_down")
        for block in range(1, blocks + 1):
            x = residual_block(x, f"conv{width}_{block}")
    x = halving_block(x, 256, "conv256_down_out")  # (B, 2, 2, 256)
    if features == "avg_pool":
        x = GlobalAveragePooling2D(name="avg_pool")(x)
    model = SRModel(pictures, x, name="dlib_face")
    model.trainable = False
    return model
