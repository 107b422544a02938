"""Layers of Restormer that know which pixels are real: norms, depthwise convolution, attention.

Each works without a mask as arXiv:2111.09881 has it. Given a mask, damaged pixels contribute
nothing, and an all-ones mask gives the very same numbers. Only `MaskEmbedding`, an option, has
parameters for the mask; one set of all others serves networks with and without it. A mask is
float, (B, H, W, 1), 1 = a real pixel, 0 = damaged.
"""

import keras
import numpy as np
from keras import ops

from model import fused

_SQRT_HALF = 0.5**0.5
_WINDOW_PX = 9  # pixels in a 3×3 window


@keras.saving.register_keras_serializable("sr")
class ChannelNorm(keras.layers.Layer):
    """Layer normalisation over the channels of each pixel, with bias or bias-free.

    With bias ``(x - mean) / sqrt(var + 1e-5) · w + b``; bias-free ``x / sqrt(var + 1e-5) · w``,
    where the mean is subtracted inside the variance only.

    Args:
        use_bias: False for the bias-free kind.
        epsilon: Added to the variance.

    Reference: arXiv:2111.09881, section 3; bias-free networks: arXiv:1906.05478, section 4.
    """

    def __init__(self, use_bias=True, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.use_bias = use_bias
        self.epsilon = epsilon

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma", autocast=False)
        self.beta = None
        if self.use_bias:
            self.beta = self.add_weight(
                shape=shape, initializer="zeros", name="beta", autocast=False
            )

    def call(self, features, training=False):
        if training:
            gamma = ops.copy(self.gamma)
            beta = None if self.beta is None else ops.copy(self.beta)
            return fused.channel_norm(features, gamma, beta, self.epsilon)
        x = ops.cast(features, "float32")
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        scale = ops.rsqrt(variance + self.epsilon)
        normed = (
            x * scale * self.gamma
            if self.beta is None
            else (centred * scale * self.gamma + self.beta)
        )
        return ops.cast(normed, features.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"use_bias": self.use_bias, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("sr")
class PartialRatio(keras.layers.Layer):
    """What a 3×3 partial convolution does with a mask.

    Takes `valid` (B, H, W, 1) and returns ``[ratio, updated]`` of that shape: `ratio` is 9 over the
    number of valid pixels in the window, positions outside the picture counted as valid, and 0
    where the window has no valid pixel of the picture; `updated` is 1 where it has one.

    Reference: arXiv:1804.07723, equations 1 and 2.
    """

    stays_float32 = True

    def call(self, valid):
        box = ops.ones((3, 3, 1, 1), valid.dtype)
        damaged = ops.conv(1 - valid, box, padding="same")  # outside: not damaged
        updated = ops.max_pool(valid, 3, strides=1, padding="same")  # outside: never the largest
        return [_WINDOW_PX / ops.maximum(_WINDOW_PX - damaged, 1) * updated, updated]

    def compute_output_shape(self, input_shape):
        return [input_shape, input_shape]


@keras.saving.register_keras_serializable("sr")
class PartialDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Depthwise 3×3 convolution, partial where a mask is given.

    Without a mask it is Keras' layer. With one, damaged pixels are taken as 0 and the sum is
    multiplied by `PartialRatio`; the bias is added where the window has a valid pixel.

    Args:
        use_bias: Whether there is a bias.

    Reference: arXiv:1804.07723, equation 1, on depthwise convolution.
    """

    def __init__(self, use_bias=False, **kwargs):
        super().__init__(3, padding="same", use_bias=use_bias, **kwargs)

    def build(self, features_shape):
        super().build(features_shape)

    def call(self, features, valid=None, ratio=None, training=False):
        if valid is None and not training:
            return super().call(features)
        times = fused.times_plane if training else ops.multiply
        if valid is not None:
            features = times(features, valid)
        kernel = ops.copy(self.kernel)
        if training:
            features = fused.depthwise(features, kernel)
        else:
            features = ops.depthwise_conv(features, kernel, padding="same")
        if valid is not None:
            features = times(features, ratio)
        if self.use_bias:
            bias = ops.copy(self.bias)
            features = features + (
                bias if valid is None else bias * ops.cast(ratio > 0, bias.dtype)
            )
        return features

    def compute_output_shape(self, features_shape, *_):
        return super().compute_output_shape(features_shape)

    def get_config(self):
        config = keras.layers.Layer.get_config(self)
        return config | {"use_bias": self.use_bias}


@keras.saving.register_keras_serializable("sr")
class FillDamaged(keras.layers.Layer):
    """Replace damaged pixels by means of real ones near them, from the edge of a hole inwards.

    Takes pictures (B, H, W, C) and a mask. In each step every damaged pixel that touches known ones
    becomes their mean over its 3×3 window. What lies deeper in a hole than `steps` pixels is filled
    in the same way in a picture of which each pixel is the mean of `steps` × `steps` known ones,
    which is then enlarged; and so on for `levels` such pictures. What lies deeper still becomes the
    mean of the last one, or 0 where nothing is real.

    Scratches of 2 to 6 px on Kodak24 rise by that alone from 15.5 to 34.4 dB, so a network that
    adds its answer to a filled picture has little left to learn.

    Args:
        steps: How far to go in a picture; each costs one 3×3 convolution of it.
        levels: Number of smaller pictures; each is `steps` times smaller than the one before.
    """

    def __init__(self, steps=8, levels=2, **kwargs):
        super().__init__(**kwargs)
        self.steps, self.levels = steps, levels

    def call(self, pictures, valid):
        return self._filled(pictures, valid, self.levels)

    def _filled(self, pictures, valid, levels):
        filled, known = self._inwards(pictures * valid, valid)
        if levels:
            small = self._filled(*self._reduced(filled * known, known), levels - 1)
            deep = self._enlarged(small, filled)
        else:
            count = ops.maximum(ops.sum(valid, axis=(1, 2), keepdims=True), 1)
            deep = ops.sum(pictures * valid, axis=(1, 2), keepdims=True) / count
        return ops.where(known > 0, filled, deep)

    def _inwards(self, filled, known):
        """Go `steps` pixels into each hole; what is filled and what is known then."""
        box = ops.ones((3, 3, 1, 1), filled.dtype)
        boxes = ops.ones((3, 3, filled.shape[-1], 1), filled.dtype)
        for _ in range(self.steps):
            near = ops.conv(known, box, padding="same")
            sums = ops.depthwise_conv(filled, boxes, padding="same")
            filled = ops.where(known > 0, filled, sums / ops.maximum(near, 1))
            known = ops.cast(near > 0, known.dtype)
        return filled, known

    def _reduced(self, filled, known):
        """Means of the known pixels of each block, and where there are any."""
        sums, share = (
            ops.average_pool(planes, self.steps, self.steps, "same") for planes in (filled, known)
        )
        return sums / ops.maximum(share, 1e-3), ops.cast(share > 0, known.dtype)

    def _enlarged(self, small, like):
        """Repeat pixels and smooth their borders; `ops.image.resize` refuses unknown sizes."""
        height, width = ops.shape(like)[1:3]
        side = self.steps // 2 * 2 + 1
        large = ops.repeat(small, self.steps, axis=1)[:, :height]
        large = ops.repeat(large, self.steps, axis=2)[:, :, :width]
        for window in ((side, 1), (1, side)):
            large = ops.average_pool(large, window, 1, "same")
        return large

    def compute_output_shape(self, pictures_shape, *_):
        return pictures_shape

    def get_config(self):
        return super().get_config() | {"steps": self.steps, "levels": self.levels}


@keras.saving.register_keras_serializable("sr")
class MaskEmbedding(keras.layers.Layer):
    """Add a learned vector to the features of all damaged pixels, which tells them from black.

    Takes features (B, H, W, C) and a mask (B, H, W, P) of the P pixels folded into each position,
    one in most networks; each has a vector of its own, 0 at first. Measured on scratches after
    300 steps (docs/restore.md): worth 1.2 dB where damaged pixels are seen as 0, nothing where
    `FillDamaged` has filled them.
    """

    def build(self, features_shape, valid_shape):
        shape = (valid_shape[-1], features_shape[-1])
        self.vectors = self.add_weight(shape=shape, initializer="zeros", name="vectors")

    def call(self, features, valid):
        return features + ops.matmul(1 - valid, self.vectors)

    def compute_output_shape(self, features_shape, *_):
        return features_shape


@keras.saving.register_keras_serializable("sr")
class Gate(keras.layers.Layer):
    """Halve the channels: ``gelu(a) · b`` of the two halves a and b, with the exact (erf) GELU.

    Reference: arXiv:2111.09881, equation 2.
    """

    def call(self, features, training=False):
        if training:
            return fused.gate(features)
        a, b = ops.split(features, 2, axis=-1)  # the gradient of slices pads and adds: half a step
        return a * b * (0.5 * ops.erf(a * _SQRT_HALF) + 0.5)  # a fifth faster than ops.gelu(a) · b

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] // 2)


@keras.saving.register_keras_serializable("sr")
class ChannelAttention(keras.layers.Layer):
    """The attention map of MDTA, over channels instead of pixels, and its product with the values.

    Takes queries, keys and values side by side, (B, H, W, 3·C), channel = head · C/heads + i, and
    gives (B, H, W, C). Where a mask is given, queries and keys of damaged pixels do not count.
    The cost grows with H·W, not with its square: the map is (C/heads, C/heads).

    Args:
        heads: Number of heads, which divides C.

    Reference: arXiv:2111.09881, section 3.1, equation 1.
    """

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, qkv_shape):
        shape = (self.heads, 1, 1)
        self.temperature = self.add_weight(
            shape=shape, initializer="ones", name="temperature", autocast=False
        )

    def call(self, qkv, valid=None, training=False):
        channels = qkv.shape[-1] // 3
        qk, v = ops.split(qkv, [2 * channels], axis=-1)
        if valid is not None:
            qk = fused.times_plane(qk, valid) if training else qk * valid
        weights = ops.cast(self.attention_map(qk), v.dtype)
        attended = ops.matmul(self._by_head(v, 1), ops.transpose(weights, (0, 1, 3, 2)))
        if self.heads > 1:
            attended = ops.transpose(attended, (0, 2, 1, 3))
        return ops.reshape(attended, (*ops.shape(qkv)[:-1], channels))

    def attention_map(self, qk):
        """Softmax of the scaled cosines of channels: (B, heads, C/heads, C/heads) float32.

        The products of all queries and keys with each other, themselves included, hold the norms
        too: one matrix product instead of further passes over all pixels, in both directions.

        Args:
            qk: (B, H, W, 2·C), queries first; 0 where they do not count.
        """
        qk = self._by_head(qk, 2)
        if keras.backend.standardize_dtype(qk.dtype) == "float16":  # sums over all pixels overflow
            qk = ops.cast(qk, "float32")
        products = ops.cast(ops.matmul(ops.transpose(qk, (0, 1, 3, 2)), qk), "float32")
        n = qk.shape[-1] // 2
        diagonal = ops.convert_to_tensor(np.eye(2 * n, dtype="float32"))  # ops.eye: not in TFLite
        squares = ops.sum(products * diagonal, axis=-1)
        # the bound lies inside the square root, whose gradient at 0 is infinite
        norms = ops.sqrt(ops.maximum(squares, 1e-24))
        norms = norms[..., :n, None] * norms[..., None, n:]
        return ops.softmax(products[..., :n, n:] / norms * self.temperature, axis=-1)

    def _by_head(self, features, parts):
        """(B, H, W, parts · heads · c) to (B, heads, HW, parts · c)."""
        batch, height, width, channels = ops.shape(features)
        if self.heads == 1:
            return ops.reshape(features, (batch, 1, height * width, channels))
        shape = (batch, height * width, parts, self.heads, channels // self.heads // parts)
        by_head = ops.transpose(ops.reshape(features, shape), (0, 3, 1, 2, 4))
        return ops.reshape(by_head, (batch, self.heads, height * width, channels // self.heads))

    def compute_output_shape(self, qkv_shape, *_):
        return (*qkv_shape[:-1], qkv_shape[-1] // 3)

    def get_config(self):
        return super().get_config() | {"heads": self.heads}
