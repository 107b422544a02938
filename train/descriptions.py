"""What losses, networks and learning rates are, as JSON can hold it: for ``run.json``.

Two descriptions are equal where the things described train alike. Of a function they hold its name
and all that was bound to it when it was made: numbers, other functions, networks with a digest of
their weights.
"""

import functools
import hashlib
import inspect
import types

import keras
import numpy as np
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from model.weight_file import digest

_OURS = ("train", "model")
_DEEPEST = 6  # functions bound to functions


def describe_rate(rate):
    """A learning rate: a number, or name and arguments of a schedule."""
    if isinstance(rate, LearningRateSchedule):
        return {"schedule": type(rate).__name__} | describe_value(rate.get_config())
    return float(rate)


def describe_network(network):
    """Builder, arguments and size of a network, and a digest of the weight file it was read from.

    Weights that were not read from a file are not described: they are drawn anew by each session.
    """
    built_by = getattr(network, "built_by", None)
    facts = {"builder": built_by.name, **built_by.arguments} if built_by else {}
    if getattr(network, "loaded_digest", None) == "":
        network.loaded_digest = digest(network)  # before it is trained
    loaded = getattr(network, "loaded_digest", None)
    return facts | {"parameters": network.count_params(), "begins_with": loaded}


def describe_loss(loss, depth=0):
    """A loss: its name, or a dict of its name and of what it was made of."""
    if depth > _DEEPEST:
        return type(loss).__name__
    if isinstance(loss, keras.Model):
        return describe_network(loss) | {"weights": digest(loss)}
    if isinstance(loss, functools.partial):
        bound = {"arguments": list(loss.args)} | loss.keywords
        return {"function": describe_loss(loss.func, depth + 1)} | _described(bound, depth)
    if hasattr(loss, "python_function"):  # of tf.function
        return describe_loss(loss.python_function, depth + 1)
    if inspect.ismethod(loss):
        owner = describe_value(loss.__self__, depth + 1)
        return {"function": loss.__func__.__qualname__, "of": owner}
    if not inspect.isfunction(loss):
        config = loss.get_config() if hasattr(loss, "get_config") else {}
        return {"object": type(loss).__qualname__} | _described(config, depth)
    if "site-packages" in loss.__code__.co_filename:
        return loss.__qualname__
    bound = _described(_bound(loss), depth)
    if loss.__module__.split(".")[0] not in _OURS:
        bound["code"] = hashlib.sha256(repr(_code(loss.__code__)).encode()).hexdigest()[:16]
    return {"function": loss.__qualname__} | bound if bound else loss.__qualname__


def _bound(function):
    """Name → value of what a function got when it was made: defaults, and variables around it."""
    values = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    }
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            values[name] = None
    return values


def _code(code):
    """What a function does, without where it stands."""
    constants = [_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return code.co_code.hex(), code.co_names, sorted(constants)


def _described(values, depth):
    return {name: describe_value(value, depth + 1) for name, value in values.items()}


def describe_value(value, depth=0):
    """Any value as JSON can hold it; of things that are no numbers, text or functions the type."""
    if depth > _DEEPEST:
        return type(value).__name__
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, tf.Tensor, tf.Variable)):
        array = np.asarray(value)
        return array.tolist() if array.size < 10 else digest([array])
    if isinstance(value, LearningRateSchedule):
        return describe_rate(value)
    if isinstance(value, (list, tuple)):
        return [describe_value(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return _described({str(key): item for key, item in value.items()}, depth)
    return describe_loss(value, depth) if callable(value) else type(value).__name__
