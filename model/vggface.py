"""VGGFace2 networks: what a face looks like, as 2,048 numbers (arXiv:1710.08092).

ResNet-50 (arXiv:1512.03385) and SENet-50 (arXiv:1709.01507, section 6.1) without the classifier.
Layers carry the names of the published files, ``/`` and ``.`` as ``_``. The first network was
converted twice, to Keras and to PyTorch, and the two conversions pad, pool and divide a little
differently: `variant` chooses, and each gives its own files' numbers exactly.
"""

import keras
from keras import ops
from keras.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Multiply,
    ZeroPadding2D,
)

from model.common import SRModel, builder

BGR_MEAN = (91.4953, 103.8827, 131.0912)
"""Mean of the training pictures, BGR in 0..255."""

STAGES = ((2, 3, 64), (3, 4, 128), (4, 6, 256), (5, 3, 512))
"""Number, blocks and inner channels of each stage: table 1 of arXiv:1512.03385."""

_EPSILON = {  # of batch normalisation
    "keras": {"senet50": 1e-4, "resnet50": 1e-3},
    "pytorch": {"senet50": 1e-5, "resnet50": 1e-5},
}
_SQUEEZE = 16  # reduction of SENet's inner layer
_EXPANSION = 4


@keras.saving.register_keras_serializable("sr")
class CaffeInput(keras.layers.Layer):
    """Turn RGB pictures in 0..255 into BGR with a mean subtracted.

    Args:
        bgr_mean: The mean, BGR in 0..255.
    """

    def __init__(self, bgr_mean=BGR_MEAN, **kwargs):
        super().__init__(**kwargs)
        self.bgr_mean = tuple(bgr_mean)

    def call(self, pictures):
        bgr = ops.flip(pictures, axis=-1)
        return bgr - ops.convert_to_tensor(self.bgr_mean, pictures.dtype)

    def get_config(self):
        return super().get_config() | {"bgr_mean": self.bgr_mean}


def _convolution(x, filters, size, name, epsilon, strides=1):
    """Convolution without bias and batch normalisation."""
    x = Conv2D(filters, size, strides, padding="same", use_bias=False, name=name)(x)
    return BatchNormalization(epsilon=epsilon, name=f"{name}_bn")(x)


def squeeze_excite(x, name):
    """Weigh channels by what the whole picture holds: arXiv:1709.01507, figure 3."""
    channels = x.shape[-1]
    weights = GlobalAveragePooling2D(keepdims=True)(x)  # (B, 1, 1, C)
    weights = Conv2D(channels // _SQUEEZE, 1, activation="relu", name=f"{name}_1x1_down")(weights)
    weights = Conv2D(channels, 1, activation="sigmoid", name=f"{name}_1x1_up")(weights)
    return Multiply()([x, weights])


def bottleneck(x_in, filters, name, epsilon, *, strides=1, project=False, excite=False):
    """1×1, 3×3, 1×1 with four times the channels, and the input added.

    The stride is in the first 1×1, as in the Caffe original.
    """
    x = Activation("relu")(_convolution(x_in, filters, 1, f"{name}_1x1_reduce", epsilon, strides))
    x = Activation("relu")(_convolution(x, filters, 3, f"{name}_3x3", epsilon))
    x = _convolution(x, filters * _EXPANSION, 1, f"{name}_1x1_increase", epsilon)
    if excite:
        x = squeeze_excite(x, name)
    if project:
        x_in = _convolution(x_in, filters * _EXPANSION, 1, f"{name}_1x1_proj", epsilon, strides)
    return Activation("relu")(Add()([x, x_in]))


def _stem(x, variant, epsilon):
    """7×7 with stride 2 and a 3×3 pooling with stride 2.

    For even sizes Keras' "same" pads 2 px before and 3 after, PyTorch 3 and 3. PyTorch's pooling
    rounds its size up; behind a ReLU that is one more row and column of zeros.
    """
    conv = {
        "filters": 64,
        "kernel_size": 7,
        "strides": 2,
        "use_bias": False,
        "name": "conv1_7x7_s2",
    }
    if variant == "keras":
        x = Conv2D(padding="same", **conv)(x)
    else:
        x = Conv2D(padding="valid", **conv)(ZeroPadding2D(3)(x))
    x = BatchNormalization(epsilon=epsilon, name="conv1_7x7_s2_bn")(x)
    x = Activation("relu")(x)
    if variant == "pytorch":
        x = ZeroPadding2D(((0, 1), (0, 1)))(x)
    return MaxPooling2D(3, 2)(x)


def _head(x, features):
    if features == "conv5":
        return x
    if features == "pool5":
        return AveragePooling2D(7, 1, name="pool5")(x)
    return GlobalAveragePooling2D(name="avg_pool")(x)


@builder
def vggface(architecture="senet50", variant="keras", features="avg_pool"):
    """Build a VGGFace2 network without its classifier.

    Args:
        architecture: "senet50" or "resnet50".
        variant: "keras" for the files of keras-vggface; "pytorch" for ``senet50_ft_dag`` and
            ``resnet50_ft_dag``.
        features: "avg_pool": (B, 2048), the mean over the picture. "pool5": means over 7×7
            positions, stride 1, (B, H/32 - 6, W/32 - 6, 2048). "conv5": (B, H/32, W/32, 2048).

    Returns:
        Frozen network from (B, H, W, 3), RGB in 0..255, made for 224×224, to the features. Its
        weights are the same whatever the `features`.

    Raises:
        ValueError: An argument is none of these.

    Reference: arXiv:1710.08092, section 4.
    """
    allowed = {
        "architecture": ("senet50", "resnet50"),
        "variant": tuple(_EPSILON),
        "features": ("avg_pool", "pool5", "conv5"),
    }
    given = {"architecture": architecture, "variant": variant, "features": features}
    for name, value in given.items():
        if value not in allowed[name]:
            raise ValueError(f"{name} must be one of {', '.join(allowed[name])}, got {value!r}")
    pictures = keras.Input((None, None, 3), name="pictures")
    epsilon = _EPSILON[variant][architecture]
    x = _stem(CaffeInput()(pictures), variant, epsilon)  # (B, H/4, W/4, 64)
    for stage, blocks, filters in STAGES:
        for block in range(1, blocks + 1):
            x = bottleneck(
                x,
                filters,
                f"conv{stage}_{block}",
                epsilon,
                strides=2 if block == 1 and stage > 2 else 1,
                project=block == 1,
                excite=architecture == "senet50",
            )
    model = SRModel(pictures, _head(x, features), name=f"vggface_{architecture}")
    model.trainable = False
    return model
