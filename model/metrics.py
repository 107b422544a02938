"""PSNR and SSIM, one value a picture, in the conventions papers use.

Both can be taken on RGB or on BT.601 luma, with a border cut off first. Super-resolution papers
report luma with a border of the scale in px; this library always says which it prints.
"""

import tensorflow as tf

_LUMA_WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)


def luma(pictures):
    """BT.601 luma as MATLAB's ``rgb2ycbcr`` has it, 16..235, not rounded.

    Args:
        pictures: (..., 3) RGB in 0..255.

    Returns:
        (..., 1) float32.
    """
    weighted = tf.cast(pictures, tf.float32) * tf.constant(_LUMA_WEIGHTS)
    return tf.reduce_sum(weighted, axis=-1, keepdims=True) + 16


def psnr(a, b, *, border_px=0, luminance=False):
    """Peak signal-to-noise ratio in dB with a peak of 255.

    Args:
        a: (B, H, W, C) in 0..255, any number type.
        b: The same shape.
        border_px: Pixels cut from each side first.
        luminance: Compare BT.601 luma; pictures of one channel are taken to be luma already.

    Returns:
        (B,) float32; infinity where the two are equal.
    """
    return tf.image.psnr(*_comparable(a, b, border_px, luminance), max_val=255)


def ssim(a, b, *, border_px=0, luminance=False):
    """Structural similarity: 11×11 Gaussian window, sigma 1.5, valid region, mean of channels.

    Args and shapes as `psnr`; both sides must be at least 11 px after the border is cut.

    Returns:
        (B,) float32, at most 1.

    Reference: Wang et al., IEEE TIP 13(4), 2004, equation 13.
    """
    return tf.image.ssim(*_comparable(a, b, border_px, luminance), max_val=255)


def _comparable(a, b, border_px, luminance):
    if a.shape[-3:] != b.shape[-3:]:
        raise ValueError(f"pictures must have the same size, got {a.shape} and {b.shape}")
    return (_convention(a, border_px, luminance), _convention(b, border_px, luminance))


def _convention(pictures, border_px, luminance):
    height, width = tf.shape(pictures)[1], tf.shape(pictures)[2]
    pictures = pictures[:, border_px : height - border_px, border_px : width - border_px]
    if luminance and pictures.shape[-1] == 3:
        return luma(pictures)
    return tf.cast(pictures, tf.float32)
