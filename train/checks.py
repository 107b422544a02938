"""Whether networks, data and options of a run fit each other, asked before the first step.

Otherwise a mistake ends inside TensorFlow, or after the first evaluation, or not at all.
"""

import math
import numbers

import keras
import numpy as np
import tensorflow as tf


def check_training_data(dataset, model, steps, sizes):
    """Raise `ValueError` if a run cannot be made of a data set; says what is wanted.

    Args:
        dataset: What `Trainer.train` was given.
        model: The network.
        steps: Steps in all.
        sizes: Allowed numbers of tensors in a batch, the first two of which are pictures.
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(
            f"training data must be a tf.data.Dataset of batches, got {type(dataset).__name__}"
        )
    count = int(dataset.cardinality())
    if 0 <= count < steps:
        raise ValueError(
            f"training data must be endless, got {count:,} batches for {steps:,} steps: "
            "add .repeat()"
        )
    check_batch(_first(dataset, "training"), model, sizes, "training")


def check_validation_data(dataset, model, sizes):
    """The same for batches to validate on."""
    check_batch(_first(dataset, "validation"), model, sizes, "validation")


def _first(dataset, name):
    for batch in dataset:
        return batch
    raise ValueError(f"there are no {name} data: the data set is empty")


def check_batch(batch, model, sizes, name):
    """Raise `ValueError` if a batch is none that `model` can be trained or validated with."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in sizes:
        got = len(batch) if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise ValueError(
            f"a {name} batch must be a tuple of {' or '.join(map(str, sizes))} tensors, got {got}"
        )
    given, wanted = batch[:2]
    for pictures in (given, wanted):
        if len(pictures.shape) != 4:
            raise ValueError(
                f"{name} pictures must have the shape (B, H, W, C), got {tuple(pictures.shape)}"
            )
    _check_sizes(model, tuple(given.shape), tuple(wanted.shape), name)
    _check_range(given, wanted, name)


def _check_sizes(model, given, wanted, name):
    if given[1] > wanted[1]:
        raise ValueError(
            f"{name} batches must be (lr, hr), got {given[1]}×{given[2]} px first and "
            f"{wanted[1]}×{wanted[2]} px second: they are swapped"
        )
    channels = getattr(model, "input_shape", None)
    channels = channels[0] if isinstance(channels, list) else channels
    if channels and channels[-1] not in (None, given[-1]):
        raise ValueError(
            f"{name} pictures must have {channels[-1]} channels for {model.name}, got {given[-1]}"
        )
    made = _made_of(model, given)
    if made and made[1:] != wanted[1:]:
        raise ValueError(
            f"{model.name} makes {_px(made)} of {_px(given)}, but the {name} pictures to compare "
            f"with are {_px(wanted)}: network and data are of different scales"
        )


def _made_of(model, shape):
    """Shape of a network's output; None where it has several, or Keras cannot tell."""
    inputs = [keras.KerasTensor(shape, "float32")]
    if len(getattr(model, "inputs", None) or [0]) == 2:  # with a mask beside the pictures
        inputs.append(keras.KerasTensor((*shape[:3], 1), "float32"))
    made = model.compute_output_spec(inputs if len(inputs) > 1 else inputs[0])
    return tuple(made.shape) if hasattr(made, "shape") and None not in made.shape else None


def _px(shape):
    return f"{shape[1]}×{shape[2]} px of {shape[3]} channels"


def _check_range(given, wanted, name):
    for pictures in (given, wanted):
        values = np.asarray(pictures)
        if values.dtype.kind == "f" and 0 < values.max() <= 1:
            raise ValueError(
                f"{name} pictures must be in 0..255, got {values.min():g}..{values.max():g}: "
                "multiply them by 255"
            )


def check_rate(rate):
    """Raise `ValueError` if a learning rate is none."""
    if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) and not (
        isinstance(rate, numbers.Real) and 0 < rate < math.inf
    ):
        raise ValueError(f"learning_rate must be a number above 0 or a Keras schedule, got {rate}")


def check_networks(networks, options):
    """Raise `ValueError` if a network cannot be trained, or not with these options."""
    for network in networks:
        if not network.trainable_variables:
            raise ValueError(
                f"{network.name} has no weights to train: call it once on a batch to build it, and "
                "leave some layers trainable"
            )
        if options.precision != "float32" and not hasattr(network, "outputs"):
            raise ValueError(
                f"precision {options.precision!r} needs a functional network, but {network.name} "
                "is a subclass of keras.Model: give its layers a dtype policy instead"
            )
