"""What all networks share: the model class, how it remembers its builder, and how to run it.

The names `resolve`, `resolve_single` and `evaluate` are those of krasserm/super-resolution. Here
`evaluate` averages over every picture of a batch, not over the first of each.
"""

import functools
import inspect
from dataclasses import dataclass, field

import keras
import tensorflow as tf

from model import weight_file
from model.metrics import psnr


@dataclass(frozen=True)
class BuiltBy:
    """Name and arguments of the function that builds a network again."""

    name: str
    arguments: dict = field(default_factory=dict)


@keras.saving.register_keras_serializable("sr")
class SRModel(keras.Model):
    """A functional Keras network that reads and writes this library's weight files.

    Takes and gives float32 NHWC RGB pictures in 0..255. `built_by` is set by `builder`.
    """

    built_by = None

    def get_config(self):
        built_by = self.built_by and [self.built_by.name, self.built_by.arguments]
        return super().get_config() | {"built_by": built_by}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        built_by = config.pop("built_by", None)
        model = super().from_config(config, custom_objects)
        model.built_by = built_by and BuiltBy(*built_by)
        return model

    def save_weights(self, filepath, overwrite=True, *, half=False):
        """Write all weights, with the builder's name and arguments, to an HDF5 file.

        The file appears whole or not at all. Any name ending in ``.h5`` will do; missing folders
        are made.

        Args:
            filepath: Where to write, ``*.h5``.
            overwrite: False: raise `FileExistsError` if the file is there.
            half: Store float16 numbers, which makes the file half as large. Read again they are
                float32, rounded to 11 significant bits.

        Raises:
            ValueError: The name does not end in ``.h5``; with `half`, a number is above 65504.
        """
        weight_file.save(self, filepath, overwrite, half=half)

    def load_weights(self, filepath):
        """Read weights, checking that the file has every tensor, in its shape, and no other.

        Args:
            filepath: A file of `save_weights`, or one in the older Keras 2 layout, with
                tensorflow-addons' ``WeightNormalization`` or without.

        Raises:
            ValueError: The file is not HDF5, or belongs to another network: names what is missing,
                unexpected or of another shape.
        """
        weight_file.load(self, filepath)

    @functools.cached_property
    def traced(self):
        """This network as one `tf.function` for any batch, height and width."""
        signature = [tf.TensorSpec(t.shape, tf.float32) for t in self.inputs]
        return tf.function(lambda *inputs: self(_one_or_all(inputs), training=False), signature)


def _one_or_all(inputs):
    return inputs[0] if len(inputs) == 1 else list(inputs)


def builder(function):
    """Make a building function note its name and arguments on the network it returns."""

    @functools.wraps(function)
    def build(*args, **kwargs):
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        model = function(*args, **kwargs)
        model.built_by = BuiltBy(function.__name__, dict(bound.arguments))
        return model

    return build


def resolve(model, lr_batch):
    """Run a network and round its answer to pictures.

    Args:
        model: A network with the 0..255 picture contract.
        lr_batch: (B, H, W, 3) RGB in 0..255, any number type.

    Returns:
        (B, s·H, s·W, 3) uint8, clipped to 0..255.
    """
    forward = model.traced if isinstance(model, SRModel) else model
    sr_batch = forward(tf.cast(lr_batch, tf.float32))
    return tf.cast(tf.round(tf.clip_by_value(sr_batch, 0, 255)), tf.uint8)


def resolve_single(model, lr):
    """Run a network on one picture, (H, W, 3) in 0..255, and return (s·H, s·W, 3) uint8."""
    return resolve(model, tf.expand_dims(lr, axis=0))[0]


def evaluate(model, dataset):
    """Mean PSNR of a network over all pictures of a data set.

    Args:
        model: The network.
        dataset: Batches ``(lr, hr)`` in 0..255; HR is s times as large.

    Returns:
        Scalar tensor in dB: RGB, no border cut, on rounded pictures (the blog's convention).
        `python -m infer evaluate` gives the papers' (luma, border cut).

    Raises:
        ValueError: The data set is empty.
    """
    psnr_db = [psnr(hr, resolve(model, lr)) for lr, hr in dataset]
    if not psnr_db:
        raise ValueError("nothing to evaluate: the data set is empty")
    return tf.reduce_mean(tf.concat(psnr_db, axis=0))
