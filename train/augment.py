"""What a discriminator sees of real and generated pictures: both changed alike, differentiably."""

import tensorflow as tf

_SHIFT_PARTS = 8  # of a side: the largest shift is one of them
_HIDDEN_PARTS = 2  # of a side: the hidden box has one of them


def augmented(hr, sr):
    """Change colour, place and a hidden part of real and generated pictures alike.

    Few pictures teach a discriminator themselves, not what is real about them; changed ones do so
    later. Each pair has its own colours and hidden part; all share one shift. Everything is drawn
    from the batch itself, so that a step can be made again.

    Args:
        hr: Real pictures (B, H, W, 3), RGB in 0..255.
        sr: Generated ones, of the same shape.

    Returns:
        Both, float32 of the same shapes; gradients flow through.

    Reference: arXiv:2006.10738, section 3 (colour, translation, cutout).
    """
    hr = tf.cast(hr, tf.float32)
    seed = tf.cast(tf.reduce_sum(hr[:, ::8, ::8]), tf.int32)
    pairs = tf.stack([hr, tf.cast(sr, tf.float32)], axis=1)  # (B, 2, H, W, 3)
    pairs = _hidden_part(_shifted(_recoloured(pairs, seed), seed), seed)
    return tf.unstack(pairs, axis=1)


def _draw(seed, number, pairs, low, high):
    """One number a pair, (B, 1, 1, 1, 1)."""
    shape = [tf.shape(pairs)[0], 1, 1, 1, 1]
    return tf.random.stateless_uniform(shape, [seed, number], low, high)


def _recoloured(pairs, seed):
    """Brightness by up to half the range, saturation by 0 to 2, contrast by 0.5 to 1.5."""
    pairs += _draw(seed, 1, pairs, -127.5, 127.5)
    grey = tf.reduce_mean(pairs, axis=-1, keepdims=True)
    pairs = grey + (pairs - grey) * _draw(seed, 2, pairs, 0.0, 2.0)
    mean = tf.reduce_mean(pairs, axis=[2, 3, 4], keepdims=True)
    return mean + (pairs - mean) * _draw(seed, 3, pairs, 0.5, 1.5)


def _shifted(pairs, seed):
    """Shift by up to an eighth of the side; black comes in from outside."""
    height, width = pairs.shape[2:4]
    most = max(height, width) // _SHIFT_PARTS
    padded = tf.pad(pairs, [[0, 0], [0, 0], [most, most], [most, most], [0, 0]])
    top, left = tf.unstack(tf.random.stateless_uniform([2], [seed, 4], 0, 2 * most + 1, tf.int32))
    cut = padded[:, :, top : top + height, left : left + width]
    return tf.ensure_shape(cut, pairs.shape)


def _hidden_part(pairs, seed):
    """Black out a box of half the side, wherever its centre falls."""
    inside = tf.ones((), tf.bool)
    for axis, number in ((2, 5), (3, 6)):
        px = pairs.shape[axis]
        shape = [px if i == axis else 1 for i in range(5)]
        positions = tf.reshape(tf.range(px, dtype=tf.float32), shape)
        centre = _draw(seed, number, pairs, 0.0, float(px))
        inside = inside & (tf.abs(positions + 0.5 - centre) < px / _HIDDEN_PARTS / 2)
    return tf.where(inside, 0.0, pairs)
