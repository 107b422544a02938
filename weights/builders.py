"""The networks that weight files may be of: their builders, and what may be asked of them.

Adding a network to this library is a line in `BUILDERS`; a user's own is added by `register`, or
by an entry point of the group ``whole_pictures.builders`` in an installed package, which the
commands see too.
"""

import inspect
import math
import reprlib
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points

import keras

from model.common import builder as noting
from model.dlibface import dlib_face
from model.edsr import edsr
from model.esrgan import rrdb_net
from model.lpips import lpips
from model.preupsample import srcnn, vdsr
from model.restormer import restormer
from model.srgan import discriminator, sr_resnet
from model.vggface import vggface
from model.wdsr import wdsr_a, wdsr_b

_SR = (edsr, wdsr_a, wdsr_b, sr_resnet, discriminator, srcnn, vdsr, rrdb_net)
BUILDERS = {f.__name__: f for f in (*_SR, restormer, vggface, dlib_face, lpips)}

_GROUP = "whole_pictures.builders"
_LARGEST = 4096  # filters, heads, …
_MOST_BLOCKS = 256
_FEW_BLOCKS = 32
_LARGEST_NUMBER = 1000.0
_LONGEST = 16  # lists


def register(builder):
    """Make a network of one's own known to `load_model` and the commands; works as a decorator.

    Args:
        builder: Function that returns an `SRModel`; it only puts layers together and reads no
            variable. Its arguments are whole numbers, numbers, texts, booleans, None, or lists of
            whole numbers, and the default (or the annotation) tells which; a file that asks for
            another kind is refused.

    Returns:
        The function to build with: the given one, made to note its arguments on the network.

    Raises:
        ValueError: Another network has that name.
    """
    name = builder.__name__
    if name in BUILDERS and inspect.unwrap(BUILDERS[name]) is not inspect.unwrap(builder):
        raise ValueError(f"there is a network named {name} already; name your function otherwise")
    BUILDERS[name] = builder if hasattr(builder, "__wrapped__") else noting(builder)
    return BUILDERS[name]


def builder_named(name, path):
    """Return the builder that a file names; `ValueError` lists the known ones."""
    if name not in BUILDERS:
        for entry in entry_points(group=_GROUP, name=name):
            register(entry.load())
    if name not in BUILDERS:
        raise ValueError(
            f"{path} is of a network named {reprlib.repr(name)}, which is not known here; known "
            f"are {', '.join(BUILDERS)}. weights.register(builder) adds one"
        )
    return BUILDERS[name]


def check_arguments(builder, arguments):
    """Raise `ValueError` unless a builder can be called with arguments from a file.

    Args:
        builder: The function.
        arguments: Dict of what was read from a file, or given by a user.
    """
    name, parameters = builder.__name__, inspect.signature(builder).parameters
    if unknown := [argument for argument in arguments if argument not in parameters]:
        raise ValueError(
            f"{name} has no argument {reprlib.repr(unknown[0])}; it has {', '.join(parameters)}"
        )
    for argument, parameter in parameters.items():
        if argument in arguments:
            value = arguments[argument]
            largest = _MOST_BLOCKS if _counts_blocks(argument) else _LARGEST
            if allowed := _misfit(value, _example(parameter), largest, _counts_blocks(argument)):
                raise ValueError(
                    f"{name} with {argument}={reprlib.repr(value)} is not believable: it must be "
                    f"{allowed}"
                )
        elif parameter.default is parameter.empty:
            raise ValueError(f"{name} needs an argument {argument}, which is not given")


def _example(parameter):
    """A value of the kind that is wanted: the default, or one of the annotated type."""
    kinds = {bool: False, float: 0.5, str: "", int: 1, tuple: (1,), list: (1,)}
    if parameter.default is parameter.empty:
        return kinds.get(parameter.annotation, 1)
    return parameter.default


def _counts_blocks(argument):
    return argument.startswith("num_") and argument.endswith(("blocks", "layers"))


def _misfit(value, example, largest, may_be_0):
    """What is allowed, in words, if `value` is not of the kind of `example`, else ""."""
    if isinstance(example, (bool, str)):
        kind = type(example)
        return "" if isinstance(value, kind) else "text" if kind is str else "true or false"
    if isinstance(example, int):
        fits = type(value) is int and (0 if may_be_0 else 1) <= value <= largest
        return "" if fits else f"a whole number of at most {largest}"
    if isinstance(example, (tuple, list)):
        first = example[0] if example else 1
        fits = isinstance(value, (tuple, list)) and 0 < len(value) <= _LONGEST
        fits = fits and not any(_misfit(v, first, largest, may_be_0) for v in value)
        return "" if fits else f"a list of whole numbers of at most {largest}"
    if value is None and example is None:
        return ""
    fits = type(value) in (int, float) and math.isfinite(value) and abs(value) <= _LARGEST_NUMBER
    return "" if fits else f"a number of at most {_LARGEST_NUMBER:g}"


def laid_out(builder, arguments):
    """Build a network whose variables have shapes, but no values and so no memory.

    That is done in a thread of its own, because Keras keeps a list of such variables for each.
    """

    def build():
        with keras.StatelessScope(initialize_variables=False):
            return builder(**arguments)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(build).result()


def make_variables(model, arrays_of_layers):
    """Give the variables of a network that is `laid_out` their values, without random ones before.

    Args:
        model: The network.
        arrays_of_layers: Dict from each layer with weights to its arrays.
    """
    for layer, arrays in arrays_of_layers.items():
        for variable, array in zip(layer.weights, arrays, strict=True):
            variable._initialize(keras.ops.convert_to_tensor(array, variable.dtype))
    for variable in model.variables:  # no weights: seeds
        if variable._value is None:
            variable._deferred_initialize()


def check_blocks(builder, arguments, tensors, path):
    """Raise `ValueError` if a network of many blocks has far more tensors than its file.

    Laying out a block takes about 0.1 s, so this is known before: from networks of one and of two
    blocks.

    Args:
        builder: The network's function.
        arguments: Checked arguments.
        tensors: Number of tensors in the file.
        path: The file, for the message.
    """
    counts = {n: value for n, value in arguments.items() if _counts_blocks(n)}
    flat = [n for value in counts.values() for n in (value if _is_list(value) else [value])]
    if not flat or max(flat) <= _FEW_BLOCKS:
        return
    one, two = (
        len(laid_out(builder, arguments | {n: _filled(v, i) for n, v in counts.items()}).weights)
        for i in (1, 2)
    )
    needed = one + (sum(flat) - len(flat)) * (two - one) // len(flat)
    if needed > 2 * tensors:  # twice: blocks of different levels differ in their tensors
        raise ValueError(
            f"{path} holds {tensors} tensors; {builder.__name__} with {max(flat)} blocks has about "
            f"{needed}"
        )


def _is_list(value):
    return isinstance(value, (tuple, list))


def _filled(value, number):
    return [number] * len(value) if _is_list(value) else number
