"""What a pickle of tensors describes: storages, views of them, and the few calls that make those.

Everything is checked to be of the kind PyTorch writes: sizes are whole numbers from 0 on, keys are
texts or whole numbers.
"""

from dataclasses import dataclass

import numpy as np

from model.safetensors_file import BFLOAT16

_MAX_DIMENSIONS = 16
_LARGEST = 2**62
_STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class RefusedError(ValueError):
    """A file that asks for more than tensors, or for more memory than they need."""


@dataclass(frozen=True, eq=False)
class Storage:
    """A flat run of numbers of one type; `first` is its place in the storage `key`."""

    dtype: str
    key: str
    first: int
    count: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a storage: offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple

    @property
    def size(self):
        """How many numbers the view shows."""
        return int(np.prod(self.shape, dtype=object))

    def array(self, flat):
        """Return the values as an array of their own, from the storage's numbers."""
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((n - 1) * step for n, step in steps)
        if self.size and last >= len(flat):
            raise ValueError("a tensor reaches beyond its storage")
        strides = tuple(step * flat.itemsize for step in self.strides)
        start = self.offset if self.size else 0
        view = np.lib.stride_tricks.as_strided(flat[start:], self.shape, strides)
        return np.array(view, view.dtype.newbyteorder("="))


def _whole(value, smallest=0):
    if type(value) is not int or not smallest <= value < _LARGEST:
        raise RefusedError("its pickle has something else where a tensor's sizes belong")
    return value


def _whole_numbers(values):
    if not isinstance(values, (tuple, list)) or len(values) > _MAX_DIMENSIONS:
        raise RefusedError(f"its pickle has a tensor without a shape of at most {_MAX_DIMENSIONS}")
    if any(type(value) is int and value < 0 for value in values):
        raise ValueError("a tensor reaches beyond its storage")
    return tuple(_whole(value) for value in values)


def _tensor(storage=None, offset=0, shape=None, strides=None, *_grad_and_hooks):
    if not isinstance(storage, Storage):
        raise RefusedError("its pickle has a tensor without a storage")
    shape, strides = _whole_numbers(shape), _whole_numbers(strides)
    if len(shape) != len(strides):
        raise RefusedError("its pickle has a tensor whose shape and strides differ in number")
    if type(offset) is int and offset < 0:
        raise ValueError("a tensor reaches beyond its storage")
    return Tensor(storage, storage.first + _whole(offset), shape, strides)


def _parameter(tensor=None, *_grad_and_hooks):
    if not isinstance(tensor, Tensor):
        raise RefusedError("its pickle has a parameter without a tensor")
    return tensor


def _ordered_dict(pairs=(), *_):
    if not isinstance(pairs, (tuple, list)):
        raise RefusedError("its pickle has a dict of something else than pairs")
    made = {}
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise RefusedError("its pickle has a dict of something else than pairs")
        made[dict_key(pair[0])] = pair[1]
    return made


def _size(values=(), *_):
    return _whole_numbers(values)


def dict_key(value):
    """Return what may be the key of a dict, a text or a whole number."""
    if type(value) not in (str, int):
        raise RefusedError(f"its pickle has a {type(value).__name__} as the key of a dict")
    return value


_CALLABLE = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
}
_KINDS = {f"torch.{name}": dtype for name, dtype in _STORAGES.items()}


@dataclass(frozen=True, eq=False)
class _Named:
    """A function or a kind of numbers that a pickle names."""

    name: str


def named(module, name):
    """Return what stands for a function or a kind of numbers that a pickle may name."""
    full = f"{module}.{name}"
    if full not in _CALLABLE and full not in _KINDS:
        raise RefusedError(
            f"its pickle names {full[:200]}, which is not needed to build tensors and may run "
            "anything"
        )
    return _Named(full)


def called(function, arguments):
    """Call one of the functions that build tensors."""
    if not isinstance(function, _Named) or function.name not in _CALLABLE:
        raise RefusedError("its pickle calls something else than what builds tensors")
    if not isinstance(arguments, tuple):
        raise RefusedError("its pickle calls a function without arguments")
    return _CALLABLE[function.name](*arguments)


def storage(described):
    """Return a storage from a persistent id: ("storage", kind, key, device, count[, view])."""
    kind = described[0] if isinstance(described, tuple) and described else None
    if kind != "storage" or len(described) < 5:
        shown = kind if isinstance(kind, str) else "thing without a name"
        raise RefusedError(f"its pickle holds a {shown[:50]}: only tensors can be read")
    _, dtype, key, _device, count, *view = described
    if not isinstance(dtype, _Named) or dtype.name not in _KINDS or type(key) not in (str, int):
        raise RefusedError("its pickle has a storage without a kind of numbers and a key")
    first = 0
    if view and isinstance(view[0], (tuple, list)) and len(view[0]) > 1:  # (key, first, count)
        first = _whole(view[0][1])
    return Storage(_KINDS[dtype.name], str(key)[:200], first, _whole(count))
