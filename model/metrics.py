"""PSNR and SSIM, one value a picture, in the conventions papers use.

Both can be taken on RGB or on BT.601 luma, with a border cut off first. Super-resolution papers
report luma with a border of the scale in px; this library always says which it prints.
"""

import tensorflow as tf

EXACT_DB = 100.0
"""What a picture without any difference counts as in a mean."""

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


def finite_psnr(a, b, **options):
    """`psnr` that is at most 100 dB, so that one exact picture leaves a mean finite.

    Args as `psnr`.

    Returns:
        (B,) float32.
    """
    return tf.minimum(psnr(a, b, **options), EXACT_DB)


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


def face_vector(features):
    """Length of each channel over all positions: (B, h, w, C) → (B, C).

    Where a channel is zero everywhere the gradient is zero, not infinite.
    """
    squares = tf.reduce_sum(tf.square(features), axis=(1, 2))
    positive = squares > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, squares, 1.0)), 0.0)


def face_similarity(hr_features, sr_features):
    """Cosine between the `face_vector` of two batches of features: (B,), 1 where they agree."""
    vectors = (tf.nn.l2_normalize(face_vector(f), axis=1) for f in (hr_features, sr_features))
    return tf.reduce_sum(tf.multiply(*vectors), axis=1)


def face_similarity_of(features, px=224):
    """Make a function ``(hr, sr) → (B,)`` that says how alike two faces are: `face_similarity`.

    Args:
        features: Frozen network from RGB pictures in 0..255 to (B, h, w, C), such as
            ``model.vggface.vggface("senet50", features="pool5")`` or
            ``model.dlibface.dlib_face("conv5")``, with its weights.
        px: Side to which pictures are resized (bilinear) for it, if it takes any size.

    Raises:
        ValueError: The network does not give (B, h, w, C).
    """
    if len(features.output.shape) != 4:
        raise ValueError(
            f"features must be (B, h, w, C), got {tuple(features.output.shape)}; for a VGGFace2 "
            'network give features="pool5", for dlib_face features="conv5"'
        )
    side = features.input.shape[1] or px

    def similarity(hr, sr):
        pairs = [
            features(tf.image.resize(pictures, (side, side)), training=False)
            for pictures in (hr, sr)
        ]
        return face_similarity(*pairs)

    return similarity
