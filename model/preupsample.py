"""SRCNN and VDSR: networks that enlarge with bicubic first and then repair (arXiv:1501.00092,
arXiv:1511.04587).

The field's baselines. Both papers work on luma; here they work on RGB, under the same picture
contract as every other network, and enlarge inside the network.
"""

import keras
from keras.layers import Add, Conv2D

from model.common import SRModel, builder
from model.layers import Denormalize, Normalize, Upscale


@builder
def srcnn(scale, num_filters=(64, 32), kernel_sizes=(9, 5, 5)):
    """Build SRCNN: patch extraction, non-linear mapping, reconstruction.

    Args:
        scale: Whole number from 2 to 8.
        num_filters: Channels after the first and the second convolution.
        kernel_sizes: Of the three convolutions; (9, 5, 5) is the paper's best, (9, 1, 5) its first.

    Returns:
        Network from (B, H, W, 3) to (B, s·H, s·W, 3), RGB in 0..255.

    Raises:
        ValueError: `scale` is out of range.

    Reference: arXiv:1501.00092, section 3.1 and table 3.
    """
    pictures, x = _enlarged(scale, "srcnn")
    for filters, size in zip(num_filters, kernel_sizes, strict=False):
        x = Conv2D(filters, size, padding="same", activation="relu")(x)
    x = Conv2D(3, kernel_sizes[-1], padding="same")(x)
    return SRModel(pictures, Denormalize()(x), name="srcnn")


@builder
def vdsr(scale, num_filters=64, num_layers=20):
    """Build VDSR: a deep plain network that learns what bicubic leaves out.

    Args:
        scale: Whole number from 2 to 8.
        num_filters: Channels.
        num_layers: Convolutions, 20 in the paper.

    Returns:
        Network from (B, H, W, 3) to (B, s·H, s·W, 3), RGB in 0..255.

    Raises:
        ValueError: `scale` is out of range.

    Reference: arXiv:1511.04587, section 3.1 and figure 2.
    """
    pictures, x = _enlarged(scale, "vdsr")
    enlarged = x
    for _ in range(num_layers - 1):
        x = Conv2D(
            num_filters, 3, padding="same", activation="relu", kernel_initializer="he_normal"
        )(x)
    x = Add()([enlarged, Conv2D(3, 3, padding="same")(x)])
    return SRModel(pictures, Denormalize()(x), name="vdsr")


def _enlarged(scale, name):
    if scale not in range(2, 9):
        raise ValueError(f"scale must be a whole number from 2 to 8 for {name}, got {scale}")
    pictures = keras.Input((None, None, 3), name="lr")
    return pictures, Upscale(scale)(Normalize()(pictures))
