"""Layers the networks share that Keras does not have.

All are registered under the package string ``"sr"``, hold no Python closures and use `keras.ops`
only, so a saved network reloads without this library's builders and runs on any Keras backend.
"""

import contextlib

import keras
import numpy as np
from keras import ops
from keras.src import backend

from model import fused

DIV2K_RGB_MEAN = (114.444, 111.4605, 103.02)
"""Mean of the DIV2K training pictures, RGB in 0..255: (0.4488, 0.4371, 0.4040) · 255."""


@keras.saving.register_keras_serializable("sr")
class Normalize(keras.layers.Layer):
    """Bring pictures from 0..255 to zero mean and about -1..1: ``(x - mean) / 127.5``.

    Args:
        mean: RGB mean to subtract, 0..255.
    """

    pointwise = True  # a pixel out depends on one pixel in: read by `infer.reach`
    stays_float32 = True  # 8-bit values would lose grey levels: read by `model.precision`

    def __init__(self, mean=DIV2K_RGB_MEAN, **kwargs):
        super().__init__(**kwargs)
        self.mean = tuple(mean)

    def call(self, pictures):
        return (pictures - ops.convert_to_tensor(self.mean, pictures.dtype)) / 127.5

    def get_config(self):
        return super().get_config() | {"mean": self.mean}


@keras.saving.register_keras_serializable("sr")
class Denormalize(Normalize):
    """Inverse of `Normalize`: ``x · 127.5 + mean``. Not clipped, so gradients reach every pixel."""

    def call(self, pictures):
        return pictures * 127.5 + ops.convert_to_tensor(self.mean, pictures.dtype)


@keras.saving.register_keras_serializable("sr")
class PixelShuffle(keras.layers.Layer):
    """Rearrange (B, H, W, C·s²) into (B, s·H, s·W, C).

    The channel order is TensorFlow's ``depth_to_space``: position in the block first, then colour.
    PyTorch's ``PixelShuffle`` has it the other way round.

    Args:
        scale: Block size s.

    Reference: arXiv:1609.05158, equation 4.
    """

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, features):
        return ops.depth_to_space(features, self.scale)

    def get_config(self):
        return super().get_config() | {"scale": self.scale}


@keras.saving.register_keras_serializable("sr")
class PixelUnshuffle(keras.layers.Layer):
    """Rearrange (B, s·H, s·W, C) into (B, H, W, C·s²): the inverse of `PixelShuffle`.

    Args:
        scale: Block size s; height and width must be multiples of it.
    """

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, features):
        return ops.space_to_depth(features, self.scale)

    def compute_output_shape(self, input_shape):
        height, width = (n and n // self.scale for n in input_shape[1:3])
        return (input_shape[0], height, width, input_shape[3] * self.scale**2)

    def get_config(self):
        return super().get_config() | {"scale": self.scale}


@keras.saving.register_keras_serializable("sr")
class Upscale(keras.layers.Layer):
    """Enlarge (B, H, W, C) to (B, s·H, s·W, C) by interpolation.

    Args:
        scale: Factor s.
        interpolation: "bicubic" (Keys, a = -0.5) or "bilinear".
    """

    stays_float32 = True  # TensorFlow has no gradient of it in half precision

    def __init__(self, scale, interpolation="bicubic", **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.interpolation = interpolation

    def call(self, pictures):
        height, width = ops.shape(pictures)[1:3]
        size = (height * self.scale, width * self.scale)
        # not ops.image.resize: it compares the size with 0, which a traced size does not allow
        return backend.image.resize(
            pictures, size, interpolation=self.interpolation, antialias=True
        )

    def compute_output_shape(self, input_shape):
        height, width = (n and n * self.scale for n in input_shape[1:3])
        return (input_shape[0], height, width, input_shape[3])

    def get_config(self):
        return super().get_config() | {"scale": self.scale, "interpolation": self.interpolation}


@keras.saving.register_keras_serializable("sr")
class ResidualScale(keras.layers.Layer):
    """Multiply a residual branch by a constant, which keeps wide networks stable.

    Args:
        factor: The constant, 0.1 in EDSR.

    Reference: arXiv:1707.02921, section 3.3.
    """

    pointwise = True

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, residual):
        return residual * self.factor

    def get_config(self):
        return super().get_config() | {"factor": self.factor}


@keras.saving.register_keras_serializable("sr")
class WeightNormConv2D(keras.layers.Layer):
    """Convolution whose kernel is a direction times a magnitude: ``g · v / ‖v‖``.

    The norm runs over all but the output channels. The magnitude starts at ``‖v‖``, so a new layer
    equals a plain convolution with the same initial kernel (no data-dependent initialisation).

    Args:
        filters: Output channels.
        kernel_size: Side of the square kernel in px.
        activation: Name of a Keras activation, or None.

    Reference: arXiv:1602.07868, equation 2; its use in super-resolution arXiv:1808.08718, 3.4.
    """

    fixed_kernel = None  # an array, within `fixed_kernels`

    def __init__(self, filters, kernel_size, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        exact = {"autocast": False}  # the norm is a sum of many squares
        self.magnitude = self.add_weight((self.filters,), "ones", name="g", **exact)
        self.direction = self.add_weight(shape, "glorot_uniform", name="v", **exact)
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        if not backend.in_stateless_scope():  # there, values come from elsewhere
            self.magnitude.assign(self._direction_norm())

    def _direction_norm(self):
        return ops.sqrt(ops.maximum(ops.sum(ops.square(self.direction), axis=(0, 1, 2)), 1e-12))

    @property
    def kernel(self):
        """The effective kernel, (k, k, C_in, C_out)."""
        if self.fixed_kernel is not None:
            return self.fixed_kernel
        return self.direction * (self.magnitude / self._direction_norm())

    def call(self, features, training=False):
        kernel = ops.cast(self.kernel, self.compute_dtype)
        features = ops.conv(features, kernel, padding="same")
        # not `+`: TensorFlow joins this one with convolution and ReLU, and sums its gradient faster
        features = ops.add(features, ops.cast(self.bias, self.compute_dtype))
        if training and self.activation is keras.activations.relu:
            return fused.relu(features)
        return self.activation(features)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
        }


@contextlib.contextmanager
def fixed_kernels(model):
    """Let each `WeightNormConv2D` of a network take the kernel that it has now, as an array."""
    layers = [layer for layer in model.layers if isinstance(layer, WeightNormConv2D)]
    for layer in layers:
        layer.fixed_kernel = np.asarray(ops.cast(layer.kernel, layer.compute_dtype))
    try:
        yield
    finally:
        for layer in layers:
            layer.fixed_kernel = None


@keras.saving.register_keras_serializable("sr")
class LeakyReLU(keras.layers.LeakyReLU):
    """Keras' layer with a faster gradient in training; see `model.fused.relu`."""

    pointwise = True

    def call(self, features, training=False):
        if training:
            return fused.relu(features, self.negative_slope)
        return super().call(features)


@keras.saving.register_keras_serializable("sr")
class SpectralNormConv2D(keras.layers.Conv2D):
    """Convolution whose kernel, as a matrix k²·C_in × C_out, is divided by its spectral norm.

    The norm is followed by one power iteration a training step, and gradients flow through it.
    Keras' `SpectralNormalization` overwrites the kernel itself in the forward pass, which a step
    that is skipped could not undo.

    Args:
        *args, **kwargs: As of `keras.layers.Conv2D`.

    Reference: arXiv:1802.05957, section 2.1 and appendix A.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.singular_vector = self.add_weight(
            shape=(self.filters,), initializer="random_normal", trainable=False, name="u"
        )

    def call(self, features, training=False):
        matrix = ops.reshape(self.kernel, (-1, self.filters))
        inner = ops.stop_gradient(_unit(ops.matmul(matrix, self.singular_vector)))
        outer = ops.stop_gradient(_unit(ops.matmul(inner, matrix)))
        if training:
            self.singular_vector.assign(ops.cast(outer, self.singular_vector.dtype))
        largest = ops.sum(ops.matmul(inner, matrix) * outer)
        features = self.convolution_op(features, self.kernel / largest)
        return self.activation(features if self.bias is None else features + self.bias)

    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)  # all: Conv2D's own knows two

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)


def _unit(vector):
    return vector / ops.sqrt(ops.maximum(ops.sum(ops.square(vector)), 1e-12))


def fold_weight_norm(model):
    """Return an equal network in which every `WeightNormConv2D` is a plain convolution.

    Saves the normalisation of each kernel at each call; for inference, not for training.

    Args:
        model: A functional network; it is not changed, and returned itself if there is none.
    """
    if not any(isinstance(layer, WeightNormConv2D) for layer in model.layers):
        return model

    def plain(layer):
        if not isinstance(layer, WeightNormConv2D):
            return layer.__class__.from_config(layer.get_config())
        return keras.layers.Conv2D(
            layer.filters,
            layer.kernel_size,
            padding="same",
            activation=layer.activation,
            name=layer.name,
        )

    folded = keras.models.clone_model(model, clone_function=plain)
    for source, target in zip(model.layers, folded.layers, strict=True):
        if isinstance(source, WeightNormConv2D):
            target.set_weights([source.kernel, source.bias])
        else:
            target.set_weights(source.get_weights())
    for of_file in ("built_by", "half_loss_db"):
        setattr(folded, of_file, getattr(model, of_file, None))
    return folded


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
        return (length + self.multiple_px - 1) // self.multiple_px * self.multiple_px

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
