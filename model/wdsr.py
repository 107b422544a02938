"""WDSR: wide activation before ReLU, weight normalisation, one shuffle at the end
(arXiv:1808.08718).

Layers are created in the order of krasserm/super-resolution, whose weight files load here.
"""

import keras
from keras.layers import Add

from model.common import SRModel, builder
from model.layers import Denormalize, Normalize, PixelShuffle, ResidualScale, WeightNormConv2D

_LINEAR_SHARE = 0.8  # of the block's width, in WDSR-B's low-rank middle: section 3.2


def residual_block_a(x, num_filters, expansion):
    """Wide 3×3, ReLU, narrow 3×3: figure 2, middle."""
    x = WeightNormConv2D(num_filters * expansion, 3, activation="relu")(x)
    return WeightNormConv2D(num_filters, 3)(x)


def residual_block_b(x, num_filters, expansion):
    """Wide 1×1, ReLU, low-rank 1×1, 3×3: figure 2, right."""
    x = WeightNormConv2D(num_filters * expansion, 1, activation="relu")(x)
    x = WeightNormConv2D(int(num_filters * _LINEAR_SHARE), 1)(x)
    return WeightNormConv2D(num_filters, 3)(x)


@builder
def wdsr_a(scale, num_filters=32, num_res_blocks=8, res_block_expansion=4, res_block_scaling=None):
    """Build WDSR-A.

    Args:
        scale: Any whole number from 2 to 8.
        num_filters: Channels between the residual blocks.
        num_res_blocks: Their number.
        res_block_expansion: Width before the activation, in multiples of `num_filters`.
        res_block_scaling: Factor on each residual, or None.

    Returns:
        Network from (B, H, W, 3) to (B, s·H, s·W, 3), RGB in 0..255.

    Raises:
        ValueError: `scale` is out of range.

    Reference: arXiv:1808.08718, section 3.1.
    """
    return _wdsr(
        scale, num_filters, num_res_blocks, res_block_expansion, res_block_scaling, residual_block_a
    )


@builder
def wdsr_b(scale, num_filters=32, num_res_blocks=8, res_block_expansion=6, res_block_scaling=None):
    """Build WDSR-B: wider still, with a linear low-rank convolution after the activation.

    Args, returns and errors as `wdsr_a`.

    Reference: arXiv:1808.08718, section 3.2.
    """
    return _wdsr(
        scale, num_filters, num_res_blocks, res_block_expansion, res_block_scaling, residual_block_b
    )


def _wdsr(scale, num_filters, num_res_blocks, expansion, scaling, residual_block):
    if scale not in range(2, 9):
        raise ValueError(f"scale must be a whole number from 2 to 8 for wdsr, got {scale}")
    pictures = keras.Input((None, None, 3), name="lr")
    normalized = Normalize()(pictures)
    x = WeightNormConv2D(num_filters, 3)(normalized)
    for _ in range(num_res_blocks):
        residual = residual_block(x, num_filters, expansion)
        x = Add()([x, ResidualScale(scaling)(residual) if scaling else residual])
    main = PixelShuffle(scale)(WeightNormConv2D(3 * scale**2, 3)(x))
    skip = PixelShuffle(scale)(WeightNormConv2D(3 * scale**2, 5)(normalized))
    return SRModel(pictures, Denormalize()(Add()([main, skip])), name="wdsr")
