"""ESRGAN: residual-in-residual dense blocks without batch norm, and a VGG-style discriminator
(arXiv:1809.00219); and Real-ESRGAN's discriminator, a U-Net (arXiv:2107.10833).

Layers carry the names of the published PyTorch files, dots as underscores, so that
`weights/convert.py` can match them by name. Scales 1 and 2 are the ×4 network on a picture whose
pixels are first un-shuffled into channels by 4 and 2, as in arXiv:2107.10833, section 4.1; those of
older files, and BSRGAN's ×2, enlarge by as many doublings as their scale needs instead.
"""

import keras
from keras.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Rescaling,
    UpSampling2D,
)

from model.common import SRModel, builder
from model.layers import LeakyReLU, PixelUnshuffle, ResidualScale, SpectralNormConv2D, Upscale

RESIDUAL_SCALING = 0.2
"""Factor on the residual of each dense block and of each group of three: section 3.1."""

_INNER_SCALE = 4
_DOUBLINGS = {1: 0, 2: 1, 4: 2, 8: 3, 16: 4}
_DISCRIMINATOR_STEP = 32  # its five halvings


def _convolution(x, filters, name, initializer="glorot_uniform"):
    return Conv2D(filters, 3, padding="same", kernel_initializer=initializer, name=name)(x)


def _kaiming_tenth():
    """Kaiming's normal initialiser times 0.1: its variance times 0.01, section 3.1."""
    return keras.initializers.VarianceScaling(2 * 0.1**2, "fan_in", "untruncated_normal")


def dense_block(x_in, num_growth, name):
    """Five convolutions, each of which sees all before it: figure 4, right."""
    num_filters = x_in.shape[-1]
    features = [x_in]
    for i in range(1, 5):
        x = Concatenate()(features) if len(features) > 1 else x_in
        x = _convolution(x, num_growth, f"{name}_conv{i}", _kaiming_tenth())
        features.append(LeakyReLU(negative_slope=0.2)(x))
    x = _convolution(Concatenate()(features), num_filters, f"{name}_conv5", _kaiming_tenth())
    return Add()([x_in, ResidualScale(RESIDUAL_SCALING)(x)])


def rrdb(x_in, num_growth, name):
    """Residual in residual: three dense blocks and the input added, figure 4, left."""
    x = x_in
    for i in range(1, 4):
        x = dense_block(x, num_growth, f"{name}_rdb{i}")
    return Add()([x_in, ResidualScale(RESIDUAL_SCALING)(x)])


def upsample(x, name):
    """Twice the size by repeating pixels, then a convolution and leaky ReLU."""
    x = UpSampling2D(2, interpolation="nearest")(x)
    return LeakyReLU(negative_slope=0.2)(_convolution(x, x.shape[-1], name))


@builder
def rrdb_net(scale=4, num_filters=64, num_blocks=23, num_growth=32, *, unshuffle=True):
    """Build ESRGAN's generator, RRDBNet.

    The defaults are the paper's network (16.7 M parameters).

    Args:
        scale: 1, 2, 4, 8 or 16. For 1 and 2 un-shuffled, height and width must be multiples of 4
            and 2.
        num_filters: Channels between the dense blocks.
        num_blocks: Number of residual-in-residual blocks.
        num_growth: Channels each convolution adds inside a dense block.
        unshuffle: False: for scales 1 and 2 leave out doublings instead of un-shuffling, which
            costs sixteen and four times as much.

    Returns:
        Network from (B, H, W, 3) to (B, s·H, s·W, 3), RGB in 0..255.

    Raises:
        ValueError: `scale` is none of these.

    Reference: arXiv:1809.00219, section 3.1 and figure 4.
    """
    if scale not in _DOUBLINGS:
        raise ValueError(f"scale must be 1, 2, 4, 8 or 16 for rrdb_net, got {scale}")
    pictures = keras.Input((None, None, 3), name="lr")
    x = Rescaling(1 / 255)(pictures)
    unshuffle = unshuffle and scale < _INNER_SCALE
    if unshuffle:
        x = PixelUnshuffle(_INNER_SCALE // scale)(x)  # (B, s·H/4, s·W/4, 3·(4/s)²)
    x = head = _convolution(x, num_filters, "conv_first")
    for i in range(num_blocks):
        x = rrdb(x, num_growth, f"body_{i}")
    x = Add()([head, _convolution(x, num_filters, "conv_body")])
    for i in range(_DOUBLINGS[_INNER_SCALE if unshuffle else scale]):
        x = upsample(x, f"conv_up{i + 1}")  # at last (B, s·H, s·W, num_filters)
    x = LeakyReLU(negative_slope=0.2)(_convolution(x, num_filters, "conv_hr"))
    x = _convolution(x, 3, "conv_last")
    return SRModel(pictures, Rescaling(255)(x), name="rrdb_net")


def discriminator_block(x, num_filters, name, first_norm=True):
    """Two convolutions, the second of which halves the size, each with leaky ReLU."""
    x = Conv2D(num_filters, 3, padding="same", use_bias=not first_norm, name=f"{name}_0")(x)
    if first_norm:
        x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_0_bn")(x)
    x = LeakyReLU(negative_slope=0.2)(x)
    x = Conv2D(num_filters, 4, strides=2, padding="same", use_bias=False, name=f"{name}_1")(x)
    x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_1_bn")(x)
    return LeakyReLU(negative_slope=0.2)(x)


@builder
def vgg_discriminator(num_filters=64, px=128):
    """Build ESRGAN's discriminator, five halvings and two dense layers.

    Args:
        num_filters: Channels of the first block; the last two have eight times as many.
        px: Side of the pictures, a multiple of 32; None: any size, with the mean over all
            positions in place of the paper's flattening.

    Returns:
        Network from (B, px, px, 3), RGB in 0..255, to logits (B, 1): above 0 for "real".

    Raises:
        ValueError: `px` is no multiple of 32.

    Reference: arXiv:1809.00219, section 4.1 ("VGG-128"); arXiv:1609.04802, figure 4, bottom.
    """
    if px is not None and (px < _DISCRIMINATOR_STEP or px % _DISCRIMINATOR_STEP):
        raise ValueError(f"px must be a multiple of {_DISCRIMINATOR_STEP} or None, got {px}")
    pictures = keras.Input((px, px, 3), name="hr")
    x = Rescaling(1 / 255)(pictures)
    for i, width in enumerate((1, 2, 4, 8, 8)):
        x = discriminator_block(x, num_filters * width, f"conv{i}", first_norm=i > 0)
    x = Flatten()(x) if px else GlobalAveragePooling2D()(x)
    x = LeakyReLU(negative_slope=0.2)(Dense(100, name="linear1")(x))
    return SRModel(pictures, Dense(1, name="linear2")(x), name="vgg_discriminator")


@builder
def unet_discriminator(num_filters=64):
    """Build Real-ESRGAN's discriminator: it judges every pixel, in three sizes and back.

    Args:
        num_filters: Channels at full size; at an eighth of it there are eight times as many.

    Returns:
        Network from (B, H, W, 3), RGB in 0..255, H and W multiples of 8, to logits (B, H, W, 1):
        above 0 for "real".

    Reference: arXiv:2107.10833, section 3.4 and figure 6.
    """
    pictures = keras.Input((None, None, 3), name="hr")
    x = Conv2D(num_filters, 3, padding="same", name="conv0")(Rescaling(1 / 255)(pictures))
    sizes = [LeakyReLU(negative_slope=0.2)(x)]
    for i, width in enumerate((2, 4, 8), 1):
        sizes.append(_spectral(sizes[-1], num_filters * width, f"conv{i}", 4, strides=2))
    x = sizes.pop()
    for i, width in enumerate((4, 2, 1), 4):
        x = Upscale(2, "bilinear")(x)
        x = Add()([_spectral(x, num_filters * width, f"conv{i}"), sizes.pop()])
    x = _spectral(_spectral(x, num_filters, "conv7"), num_filters, "conv8")
    x = Conv2D(1, 3, padding="same", name="conv9")(x)
    return SRModel(pictures, x, name="unet_discriminator")


def _spectral(x, num_filters, name, px=3, strides=1):
    """Convolution with spectral normalisation and no bias, leaky ReLU."""
    layer = SpectralNormConv2D(num_filters, px, strides, padding="same", use_bias=False, name=name)
    return LeakyReLU(negative_slope=0.2)(layer(x))
