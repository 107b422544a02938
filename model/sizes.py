"""Layers that bring pictures of any size into a network that halves them, and out again."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("sr")
class PadToMultiple(keras.layers.Layer):
    """Mirror pictures (B, H, W, C) at the bottom and right until both sides are multiples.

    The edge pixel is not repeated, so a picture one pixel wide is the only one that cannot be
    mirrored; it is repeated.

    Args:
        multiple_px: The number both sides become a multiple of.
    """

    def __init__(self, multiple_px, **kwargs):
        super().__init__(**kwargs)
        self.multiple_px = multiple_px

    def call(self, pictures):
        height, width = ops.shape(pictures)[1:3]
        pictures = ops.take(pictures, self._mirror(height), axis=1)
        return ops.take(pictures, self._mirror(width), axis=2)

    def _mirror(self, length):
        period = ops.maximum(2 * length - 2, 1)
        positions = ops.arange(self._padded(length)) % period
        return ops.minimum(positions, period - positions)

    def _padded(self, length):
        return -(-length // self.multiple_px) * self.multiple_px

    def compute_output_shape(self, input_shape):
        height, width = (n and self._padded(n) for n in input_shape[1:3])
        return (input_shape[0], height, width, input_shape[3])

    def get_config(self):
        return super().get_config() | {"multiple_px": self.multiple_px}


@keras.saving.register_keras_serializable("sr")
class CropLike(keras.layers.Layer):
    """Cut pictures at the bottom and right to the height and width of others."""

    def call(self, pictures, like):
        height, width = ops.shape(like)[1:3]
        return pictures[:, :height, :width]

    def compute_output_shape(self, pictures_shape, like_shape):
        return (pictures_shape[0], *like_shape[1:3], pictures_shape[3])


@keras.saving.register_keras_serializable("sr")
class HalveByUnshuffle(keras.layers.Layer):
    """Rearrange (B, 2·H, 2·W, C) into (B, H, W, 4·C), colour first, then position in the block.

    That is the order of the paper's weights. `PixelShuffle` has TensorFlow's, position first.

    Reference: arXiv:1609.05158, equation 4, backwards.
    """

    def call(self, features):
        batch, height, width, channels = ops.shape(features)
        height, width = height // 2, width // 2
        corners = ops.reshape(features, (batch, height, 2, width, 2, channels))
        corners = ops.transpose(corners, (0, 1, 3, 5, 2, 4))  # its gradient is another transpose
        return ops.reshape(corners, (batch, height, width, 4 * channels))

    def compute_output_shape(self, input_shape):
        height, width = (n and n // 2 for n in input_shape[1:3])
        return (input_shape[0], height, width, 4 * input_shape[3])
