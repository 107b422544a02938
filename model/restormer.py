"""Restormer: a U-shaped transformer whose attention runs over channels (arXiv:2111.09881).

Written from the paper, not from its authors' source. Different on purpose: pictures of any height
and width are padded inside the network; ``mask_aware=True`` adds an input of real pixels and turns
depthwise convolutions and attention into masked ones, without further parameters. Layers carry
the authors' module names with dots as underscores (Keras on PyTorch takes no dots),
so that a layer can be found by the name in their weight files.
"""

from dataclasses import dataclass

import keras
from keras.layers import Add, Concatenate, Conv2D, MaxPooling2D, Multiply, Rescaling, UpSampling2D

from model.common import SRModel, builder
from model.layers import CropLike, HalveByUnshuffle, PadToMultiple, PixelShuffle, PixelUnshuffle
from model.masked import (
    ChannelAttention,
    ChannelNorm,
    FillDamaged,
    Gate,
    MaskEmbedding,
    PartialDepthwiseConv2D,
    PartialRatio,
)

MULTIPLE_PX = 8
"""Three halvings: sides are padded to a multiple of this."""

LAYER_NORMS = ("with_bias", "bias_free")


def attention(x, valid, heads, use_bias, name):
    """MDTA, figure 2(a): mix pixels by 1×1 and depthwise 3×3, attend over channels, project.

    Returns:
        The features, and the mask after the depthwise convolution (None without masks).

    Reference: arXiv:2111.09881, section 3.1.
    """
    channels = x.shape[-1]
    x = Conv2D(3 * channels, 1, use_bias=use_bias, name=f"{name}_qkv")(x)
    x, updated = _depthwise(x, valid, use_bias, f"{name}_qkv_dwconv")
    attend = ChannelAttention(heads, name=name)
    x = attend(x) if valid is None else attend(x, valid)  # the mask before the convolution
    return Conv2D(channels, 1, use_bias=use_bias, name=f"{name}_project_out")(x), updated


def feed_forward(x, valid, expansion, use_bias, name):
    """GDFN, figure 2(b): two wide branches, one gates the other through GELU. Returns as MDTA.

    Reference: arXiv:2111.09881, section 3.2, equation 2.
    """
    channels = x.shape[-1]
    hidden = int(channels * expansion)
    x = Conv2D(2 * hidden, 1, use_bias=use_bias, name=f"{name}_project_in")(x)
    x, valid = _depthwise(x, valid, use_bias, f"{name}_dwconv")
    x = Gate()(x)
    return Conv2D(channels, 1, use_bias=use_bias, name=f"{name}_project_out")(x), valid


def _depthwise(x, valid, use_bias, name):
    convolve = PartialDepthwiseConv2D(use_bias, name=name)
    if valid is None:
        return convolve(x), None
    ratio, updated = PartialRatio()(valid)
    return convolve(x, valid, ratio), updated


@dataclass(frozen=True)
class BlockOptions:
    """What all blocks of a network share; see `restormer`."""

    ffn_expansion: float = 2.66
    use_bias: bool = False
    layer_norm: str = "with_bias"


def transformer_block(x, valid, heads, options, name):
    """``h = x + MDTA(norm(x))``, then ``h + GDFN(norm(h))``: equations 1 and 2.

    The mask grows by one pixel in each of the two depthwise convolutions. Returns as MDTA.
    """
    with_bias = options.layer_norm == "with_bias"
    normed = ChannelNorm(with_bias, name=f"{name}_norm1_body")(x)
    mixed, valid = attention(normed, valid, heads, options.use_bias, f"{name}_attn")
    x = Add()([x, mixed])
    normed = ChannelNorm(with_bias, name=f"{name}_norm2_body")(x)
    mixed, valid = feed_forward(
        normed, valid, options.ffn_expansion, options.use_bias, f"{name}_ffn"
    )
    return Add()([x, mixed]), valid


def transformer_blocks(x, valid, count, heads, options, name):
    """`count` blocks in a row, named ``NAME_0``, ``NAME_1``, …"""
    for i in range(count):
        x, valid = transformer_block(x, valid, heads, options, f"{name}_{i}")
    return x, valid


def downsample(x, valid, name):
    """Half the size, twice the channels. A pixel is real where any of its four was."""
    x = Conv2D(x.shape[-1] // 2, 3, padding="same", use_bias=False, name=name)(x)
    return HalveByUnshuffle()(x), None if valid is None else MaxPooling2D(2)(valid)


def upsample(x, valid, name):
    """Twice the size, half the channels; the mask repeats each pixel."""
    x = Conv2D(x.shape[-1] * 2, 3, padding="same", use_bias=False, name=name)(x)
    return PixelShuffle(2)(x), None if valid is None else UpSampling2D(2)(valid)


@builder
def restormer(
    in_channels=3,
    out_channels=3,
    dim=48,
    num_blocks=(4, 6, 6, 8),
    num_refinement_blocks=4,
    heads=(1, 2, 4, 8),
    *,
    ffn_expansion=2.66,
    use_bias=False,
    layer_norm="with_bias",
    dual_pixel=False,
    mask_aware=False,
    mask_fill=True,
    mask_embedding=False,
    unshuffle=1,
):
    """Build Restormer, figure 2.

    Args:
        in_channels: Channels of the damaged picture; 6 for dual-pixel pairs side by side.
        out_channels: Channels of the restored picture.
        dim: Channels at full size; doubled at each of the three halvings.
        num_blocks: Transformer blocks of the four levels, full size first.
        num_refinement_blocks: Blocks at full size after the decoder.
        heads: Attention heads of the four levels.
        ffn_expansion: Width of the feed-forward network over that of the features.
        use_bias: Whether convolutions have a bias, but for the embedding and the size changes.
        layer_norm: "with_bias" (deblurring, deraining) or "bias_free" (denoising).
        dual_pixel: Defocus deblurring from two views: no picture is added at the end.
        mask_aware: Add a second input, `valid_mask`.
        mask_fill: If mask-aware, see damaged pixels as means of real ones near them; False: as 0.
        mask_embedding: Mark damaged pixels by a learned vector; 0 at first, which changes nothing.
        unshuffle: 2: fold blocks of 2×2 px into channels in front and unfold them behind, so that
            all blocks work at half the size, see twice as far, and take a quarter of the time at
            equal `dim`. Not in the paper; ESRGAN's networks for ×1 and ×2 do the same.

    Returns:
        Network from (B, H, W, in_channels) to (B, H, W, out_channels), RGB in 0..255, any H and
        W. If mask-aware it takes ``[pictures, valid_mask]``, `valid_mask` (B, H, W, 1) float32
        with 1 = a real pixel and 0 = damaged: the values of damaged pixels change nothing in the
        answer, and with 1 everywhere it is that of the network without masks.

    Raises:
        ValueError: The numbers do not fit together.

    Reference: arXiv:2111.09881, section 3 and section 4, implementation details.
    """
    _check(in_channels, out_channels, dim, num_blocks, heads, layer_norm, dual_pixel)
    if unshuffle not in (1, 2):
        raise ValueError(f"unshuffle must be 1 or 2, got {unshuffle}")
    if mask_embedding and not mask_aware:
        raise ValueError("mask_embedding=True needs mask_aware=True: there is no mask to embed")
    options = BlockOptions(ffn_expansion, use_bias, layer_norm)
    pictures = keras.Input((None, None, in_channels), name="pictures")
    valid_mask = keras.Input((None, None, 1), name="valid_mask") if mask_aware else None

    known, valid = _padded(pictures, valid_mask, mask_fill, MULTIPLE_PX * unshuffle)
    folded, folded_valid = (
        t if t is None or unshuffle == 1 else PixelUnshuffle(unshuffle)(t) for t in (known, valid)
    )
    x = Conv2D(dim, 3, padding="same", use_bias=False, name="patch_embed_proj")(folded)
    embedded = x = MaskEmbedding(name="mask_embed")(x, folded_valid) if mask_embedding else x
    if mask_aware and unshuffle > 1:
        valid = MaxPooling2D(unshuffle)(valid)  # real where any pixel of the block is, as below
    x, valid = u_net(x, valid, num_blocks, heads, options)
    x, _ = transformer_blocks(x, valid, num_refinement_blocks, heads[0], options, "refinement")
    if dual_pixel:
        x = Add()([x, Conv2D(2 * dim, 1, use_bias=use_bias, name="skip_conv")(embedded)])
    out = out_channels * unshuffle**2
    x = Conv2D(out, 3, padding="same", use_bias=use_bias, name="output")(x)
    x = x if unshuffle == 1 else PixelShuffle(unshuffle)(x)
    x = x if dual_pixel else Add()([x, known])

    restored = CropLike()(Rescaling(255)(x), pictures)
    inputs = [pictures, valid_mask] if mask_aware else pictures
    return SRModel(inputs, restored, name="restormer")


def _padded(pictures, valid_mask, fill, multiple_px):
    """Pictures in 0..1, without the values of damaged pixels, and their mask or None, padded."""
    x = Rescaling(1 / 255)(PadToMultiple(multiple_px)(pictures))
    if valid_mask is None:
        return x, None
    valid = PadToMultiple(multiple_px)(valid_mask)
    return FillDamaged()(x, valid) if fill else Multiply()([x, valid]), valid


def u_net(x, valid, num_blocks, heads, options):
    """Encoder, latent level and decoder: (B, H, W, dim) to (B, H, W, 2·dim), and the mask."""
    dim, skips = x.shape[-1], []
    for i in range(3):
        name = f"encoder_level{i + 1}"
        x, valid = transformer_blocks(x, valid, num_blocks[i], heads[i], options, name)
        skips.append(x)
        x, valid = downsample(x, valid, f"down{i + 1}_{i + 2}_body_0")
    x, valid = transformer_blocks(x, valid, num_blocks[3], heads[3], options, "latent")
    for i in (2, 1, 0):
        x, valid = upsample(x, valid, f"up{i + 2}_{i + 1}_body_0")
        x = Concatenate()([x, skips[i]])  # 2·dim at full size, which keeps both halves
        if i:
            name = f"reduce_chan_level{i + 1}"
            x = Conv2D(dim * 2**i, 1, use_bias=options.use_bias, name=name)(x)
        name = f"decoder_level{i + 1}"
        x, valid = transformer_blocks(x, valid, num_blocks[i], heads[i], options, name)
    return x, valid


def _check(in_channels, out_channels, dim, num_blocks, heads, layer_norm, dual_pixel):
    if layer_norm not in LAYER_NORMS:
        raise ValueError(f"layer_norm must be one of {', '.join(LAYER_NORMS)}, got {layer_norm!r}")
    if len(num_blocks) != 4 or len(heads) != 4:
        raise ValueError(
            f"restormer has four levels: give four num_blocks and four heads, got {num_blocks} "
            f"and {heads}"
        )
    if any((dim * 2**level) % count for level, count in enumerate(heads)) or dim % 2:
        raise ValueError(
            f"dim must be even, and each level's heads divide its channels; got {dim} and {heads}"
        )
    if not dual_pixel and in_channels != out_channels:
        raise ValueError(
            "the picture is added to the answer, so in_channels must equal out_channels unless "
            f"dual_pixel=True; got {in_channels} and {out_channels}"
        )


def restormer_lite(mask_aware=True):
    """Build a Restormer for CPUs: half the width, about half the blocks, 3.8 M parameters.

    Args and returns as `restormer`.
    """
    return restormer(
        dim=24, num_blocks=(2, 3, 3, 4), num_refinement_blocks=2, mask_aware=mask_aware
    )
