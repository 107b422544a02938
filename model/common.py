"""What all networks share: the model class, how it remembers its builder, and how to run it.

The names `resolve`, `resolve_single` and `evaluate` are those of krasserm/super-resolution. Here
`evaluate` averages over every picture of a batch, not over the first of each.
"""

import contextlib
import functools
import inspect
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from model import weight_file
from model.layers import fixed_kernels
from model.metrics import finite_psnr

_MOST_CONSTANTS = 8_000_000  # numbers of a network that `SRModel.freeze` makes constants


@dataclass(frozen=True)
class BuiltBy:
    """Name and arguments of the function that builds a network again."""

    name: str
    arguments: dict = field(default_factory=dict)


@keras.saving.register_keras_serializable("sr")
class SRModel(keras.Model):
    """A functional Keras network that reads and writes this library's weight files.

    Takes and gives float32 NHWC RGB pictures in 0..255. `built_by` is set by `builder`,
    `loaded_digest` is text as soon as weights were read from a file: ``""``, or the digest that a
    run noted of them. `half_loss_db` is what half precision costs (PSNR-Y, dB), where the file
    says it.
    """

    built_by = None
    loaded_digest = None
    half_loss_db = None

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
        """Write all weights, with the builder's name and arguments, to HDF5 or safetensors.

        The file appears complete or not at all; missing folders are made.

        Args:
            filepath: Where to write, ``*.h5`` or ``*.safetensors``.
            overwrite: False: raise `FileExistsError` if the file is there.
            half: Store float16 numbers of 8 significant bits, as bfloat16 has, which makes the
                file 0.4 times as large. Read again they are float32. Tensors that float16 holds
                exactly keep all their bits.

        Raises:
            ValueError: The name has another ending; with `half`, a number is above 65504.
        """
        weight_file.save(self, filepath, overwrite, half=half)

    def load_weights(self, filepath):
        """Read weights, checking that the file has every tensor, in its shape, and no other.

        Args:
            filepath: A file of `save_weights`, or one in the older Keras 2 layout, with
                tensorflow-addons' ``WeightNormalization`` or without.

        Raises:
            ValueError: The file is damaged, or belongs to another network: names what is missing,
                unexpected or of another shape.
        """
        weight_file.load(self, filepath)
        self.loaded_digest = ""

    @functools.cached_property
    def traced(self):
        """This network as one `tf.function` for any batch, height and width."""
        return self._function(lambda inputs: self(inputs, training=False))

    def freeze(self):
        """Make the weights that the network has at its next run constants of `traced`.

        TensorFlow folds and prepares constants once, so the first run and small pictures take less
        time. What changes weights later, `traced` does not see. Very large networks, whose weights
        would lie in memory several times, are left as they are.

        Returns:
            This network.
        """
        if self.count_params() > _MOST_CONSTANTS:
            return self

        def forward(inputs):
            with contextlib.ExitStack() as stack:
                with tf.init_scope():  # arrays, and not tensors of the graph
                    stack.enter_context(fixed_kernels(self))
                    kinds = self.trainable_variables, self.non_trainable_variables
                    values = [[np.asarray(variable) for variable in kind] for kind in kinds]
                return self.stateless_call(*values, inputs, training=False)[0]

        vars(self)["traced"] = self._function(forward)
        return self

    def _function(self, forward):
        signature = [tf.TensorSpec(t.shape, tf.float32) for t in self.inputs]
        return tf.function(  # layers need no rewriting by autograph, which takes time
            lambda *inputs: forward(inputs[0] if len(inputs) == 1 else list(inputs)),
            signature,
            autograph=False,
        )


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
    """Run a network and round its output to pictures.

    Args:
        model: A network with the 0..255 picture contract.
        lr_batch: (B, H, W, C) of grey, grey and alpha, RGB, or RGB and alpha, in 0..255 of any
            number type, or uint16 in 0..65535. Grey runs as RGB; alpha is left out:
            `infer.upscale` keeps both, and 16 bits.

    Returns:
        (B, s·H, s·W, 3) uint8, clipped to 0..255.

    Raises:
        ValueError: The shape is not as said above.
    """
    forward = model.traced if isinstance(model, SRModel) else model
    sr_batch = forward(_as_input(model, tf.convert_to_tensor(lr_batch)))
    return tf.cast(tf.round(tf.clip_by_value(sr_batch, 0, 255)), tf.uint8)


def resolve_single(model, lr):
    """Run a network on one picture as `load_image` gives it; see `resolve`.

    Args:
        model: A network with the 0..255 picture contract.
        lr: (H, W) or (H, W, 1 to 4).

    Returns:
        (s·H, s·W, 3) uint8.
    """
    lr = tf.convert_to_tensor(lr)
    return resolve(model, (lr[..., None] if lr.shape.rank == 2 else lr)[None])[0]


def _as_input(model, pictures):
    """Float32 in 0..255 of a batch of any kind of picture, with the channels the network takes."""
    inputs = getattr(model, "inputs", None)
    wanted, channels = inputs[0].shape[-1] if inputs else 3, pictures.shape[-1]
    if pictures.shape.rank != 4 or channels not in (None, 1, 2, 3, 4, wanted):
        raise ValueError(f"pictures must be (B, H, W, 1 to 4), got {tuple(pictures.shape)}")
    scale = 257 if pictures.dtype == tf.uint16 else 1
    pictures = tf.cast(pictures, tf.float32) / scale
    if channels in (None, wanted):
        return pictures
    pictures = pictures[..., :-1] if channels in (2, 4) else pictures
    return tf.repeat(pictures, 3, axis=-1) if channels in (1, 2) else pictures


def evaluate(model, dataset):
    """Mean PSNR of a network over all pictures of a data set.

    Args:
        model: The network.
        dataset: Batches ``(lr, hr)`` in 0..255; HR is s times as large.

    Returns:
        Scalar tensor in dB: RGB, no border cut, on rounded pictures (the blog's convention); a
        picture that is met exactly counts as 100 dB.
        `python -m infer evaluate` gives the papers' (luma, border cut).

    Raises:
        ValueError: The data set is empty.
    """
    psnr_db = [finite_psnr(hr, resolve(model, lr)) for lr, hr in dataset]
    if not psnr_db:
        raise ValueError("nothing to evaluate: the data set is empty")
    return tf.reduce_mean(tf.concat(psnr_db, axis=0))


def self_ensembled(run):
    """Make a function answer with the mean over the eight flips and turns of what it is given.

    Args:
        run: Function of one or more (B, H, W, …) arrays to one (B, s·H, s·W, C).

    Returns:
        The like function, of NumPy arrays.

    Reference: arXiv:1707.02921, section 3.4.
    """

    def mean(*inputs):
        total = 0.0
        for turns in range(4):
            for step in (1, -1):
                turned = [np.rot90(x, turns, (1, 2))[:, :, ::step] for x in inputs]
                output = np.asarray(run(*map(np.ascontiguousarray, turned)))
                total = total + np.rot90(output[:, :, ::step], -turns, (1, 2))
        return total / np.float32(8)

    return mean
