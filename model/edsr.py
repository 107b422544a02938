"""EDSR: residual networks without batch normalisation (arXiv:1707.02921).

Layers are created in the order of krasserm/super-resolution, whose weight files load here.
Different on purpose: a scale the network cannot do is refused instead of silently ignored.
"""

import keras
from keras.layers import Add, Conv2D

from model.common import SRModel, builder
from model.layers import Denormalize, Normalize, PixelShuffle, ResidualScale


def residual_block(x_in, num_filters, scaling):
    """Convolution, ReLU, convolution, and the input added: figure 2(c)."""
    x = Conv2D(num_filters, 3, padding="same", activation="relu")(x_in)
    x = Conv2D(num_filters, 3, padding="same")(x)
    if scaling:
        x = ResidualScale(scaling)(x)
    return Add()([x_in, x])


def upsample(x, scale, num_filters):
    """Enlarge features: one ×2 or ×3 step, or two ×2 steps for ×4."""
    for factor in {2: (2,), 3: (3,), 4: (2, 2)}[scale]:
        x = Conv2D(num_filters * factor**2, 3, padding="same")(x)
        x = PixelShuffle(factor)(x)
    return x


@builder
def edsr(scale, num_filters=64, num_res_blocks=8, res_block_scaling=None):
    """Build EDSR, figure 3.

    The paper's baseline is ``edsr(4, num_res_blocks=16)`` (1.5 M parameters); its full network is
    ``edsr(4, num_filters=256, num_res_blocks=32, res_block_scaling=0.1)`` (43 M).

    Args:
        scale: 2, 3 or 4.
        num_filters: Channels of the residual blocks.
        num_res_blocks: Their number.
        res_block_scaling: Factor on each residual, 0.1 for wide networks, or None.

    Returns:
        Network from (B, H, W, 3) to (B, s·H, s·W, 3), RGB in 0..255.

    Raises:
        ValueError: `scale` is not 2, 3 or 4.

    Reference: arXiv:1707.02921, section 3.2 and table 1.
    """
    if scale not in (2, 3, 4):
        raise ValueError(f"scale must be 2, 3 or 4 for edsr, got {scale}")
    pictures = keras.Input((None, None, 3), name="lr")
    x = head = Conv2D(num_filters, 3, padding="same")(Normalize()(pictures))
    for _ in range(num_res_blocks):
        x = residual_block(x, num_filters, res_block_scaling)
    x = Conv2D(num_filters, 3, padding="same")(x)
    x = Add()([head, x])
    x = upsample(x, scale, num_filters)  # (B, s·H, s·W, num_filters)
    x = Conv2D(3, 3, padding="same")(x)
    return SRModel(pictures, Denormalize()(x), name="edsr")
