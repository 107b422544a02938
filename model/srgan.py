"""SRGAN: the SRResNet generator and its discriminator (arXiv:1609.04802, figure 4).

Layers are created in the order of krasserm/super-resolution, whose weight files load here.
"""

import keras
from keras.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    PReLU,
    Rescaling,
)

from model.common import SRModel, builder
from model.layers import LeakyReLU, PixelShuffle
from model.vgg import vgg_22, vgg_54

__all__ = ["discriminator", "generator", "sr_resnet", "vgg_22", "vgg_54"]

HR_PX = 96
"""Side of the pictures the discriminator judges."""


def residual_block(x_in, num_filters, momentum=0.8):
    """Convolution, batch norm, PReLU, convolution, batch norm, and the input added."""
    x = Conv2D(num_filters, 3, padding="same")(x_in)
    x = BatchNormalization(momentum=momentum)(x)
    x = PReLU(shared_axes=[1, 2])(x)
    x = Conv2D(num_filters, 3, padding="same")(x)
    x = BatchNormalization(momentum=momentum)(x)
    return Add()([x_in, x])


def upsample(x, num_filters):
    """Twice the size: convolution to four times the channels, shuffle, PReLU."""
    x = Conv2D(num_filters * 4, 3, padding="same")(x)
    return PReLU(shared_axes=[1, 2])(PixelShuffle(2)(x))


@builder
def sr_resnet(num_filters=64, num_res_blocks=16):
    """Build SRResNet, the ×4 generator.

    Args:
        num_filters: Channels.
        num_res_blocks: Number of residual blocks.

    Returns:
        Network from (B, H, W, 3) to (B, 4·H, 4·W, 3), RGB in 0..255.

    Reference: arXiv:1609.04802, figure 4, top.
    """
    pictures = keras.Input((None, None, 3), name="lr")
    x = Rescaling(1 / 255)(pictures)
    x = Conv2D(num_filters, 9, padding="same")(x)
    x = head = PReLU(shared_axes=[1, 2])(x)
    for _ in range(num_res_blocks):
        x = residual_block(x, num_filters)
    x = Conv2D(num_filters, 3, padding="same")(x)
    x = BatchNormalization()(x)
    x = Add()([head, x])
    x = upsample(upsample(x, num_filters), num_filters)  # (B, 4·H, 4·W, num_filters)
    x = Conv2D(3, 9, padding="same", activation="tanh")(x)
    x = Rescaling(127.5, offset=127.5)(x)
    return SRModel(pictures, x, name="sr_resnet")


generator = sr_resnet


def discriminator_block(x, num_filters, strides=1, batch_norm=True, momentum=0.8):
    """Convolution, batch norm, leaky ReLU."""
    x = Conv2D(num_filters, 3, strides=strides, padding="same")(x)
    if batch_norm:
        x = BatchNormalization(momentum=momentum)(x)
    return LeakyReLU(negative_slope=0.2)(x)


@builder
def discriminator(num_filters=64):
    """Build the discriminator.

    Args:
        num_filters: Channels of the first block; the last has eight times as many.

    Returns:
        Network from (B, 96, 96, 3), RGB in 0..255, to the probability (B, 1) of a real picture.

    Reference: arXiv:1609.04802, figure 4, bottom.
    """
    pictures = keras.Input((HR_PX, HR_PX, 3), name="hr")
    x = Rescaling(1 / 127.5, offset=-1)(pictures)
    x = discriminator_block(x, num_filters, batch_norm=False)
    x = discriminator_block(x, num_filters, strides=2)
    for width in (2, 4, 8):
        x = discriminator_block(x, num_filters * width)
        x = discriminator_block(x, num_filters * width, strides=2)
    x = LeakyReLU(negative_slope=0.2)(Dense(1024)(Flatten()(x)))  # (B, 6·6·8·num_filters) in
    x = Dense(1, activation="sigmoid")(x)
    return SRModel(pictures, x, name="discriminator")
