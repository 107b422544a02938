"""A reader of pickles that hold tensors, which runs nothing.

A pickle is a program for a small stack machine, and Python's own may call any function in it. The
machine here knows the instructions a state dict needs, makes dicts, lists, tuples, texts, numbers
and descriptions of tensors, and nothing else. Keys are texts or whole numbers, so that none takes
long to compare; instructions are counted.
"""

import io
import pickletools
from dataclasses import dataclass

import numpy as np

BFLOAT16 = "bfloat16"
MAX_INSTRUCTIONS = 400_000
"""A network of 1,000 tensors needs about 40,000, with its optimiser three times as many."""

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
        made[_key(pair[0])] = pair[1]
    return made


def _size(values=(), *_):
    return _whole_numbers(values)


def _key(value):
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


def _named(module, name):
    full = f"{module}.{name}"
    if full not in _CALLABLE and full not in _KINDS:
        raise RefusedError(
            f"its pickle names {full[:200]}, which is not needed to build tensors and may run "
            "anything"
        )
    return _Named(full)


def _called(function, arguments):
    if not isinstance(function, _Named) or function.name not in _CALLABLE:
        raise RefusedError("its pickle calls something else than what builds tensors")
    if not isinstance(arguments, tuple):
        raise RefusedError("its pickle calls a function without arguments")
    return _CALLABLE[function.name](*arguments)


def _storage(described):
    """A storage from a persistent id: ("storage", kind, key, device, count[, view])."""
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


_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}
_VALUES = _NUMBERS | {"FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"}
_VALUES |= {"STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = {"PROTO", "FRAME"}


class _Machine:
    """The stack and the memo, and a method for each instruction that is not a plain value."""

    def __init__(self):
        self.stack, self.memo = [], {}

    def step(self, name, argument):
        """Carry out one instruction."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            count = _TUPLES[name]
            self.stack.append(tuple([self.pop() for _ in range(count)][::-1]))
        elif name not in _IGNORED:
            method = getattr(self, f"do_{name.lower()}", None)
            if method is None:
                raise RefusedError(f"its pickle uses {name}, which no tensors need")
            method(argument)

    def pop(self):
        if not self.stack or self.stack[-1] is _MARK:
            raise EOFError("its pickle takes what it has not put")
        return self.stack.pop()

    def pop_to_mark(self):
        taken = []
        while self.stack:
            value = self.stack.pop()
            if value is _MARK:
                return taken[::-1]
            taken.append(value)
        raise EOFError("its pickle takes what it has not put")

    def top(self, kind):
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise RefusedError(f"its pickle fills something else than a {kind.__name__}")
        return self.stack[-1]

    def fill(self, keys_and_values):
        target = self.top(dict)
        if len(keys_and_values) % 2:
            raise EOFError("its pickle has a key without a value")
        for key, value in zip(keys_and_values[::2], keys_and_values[1::2], strict=True):
            target[_key(key)] = value

    def do_mark(self, _):
        self.stack.append(_MARK)

    def do_pop(self, _):
        if not self.stack:
            raise EOFError("its pickle takes what it has not put")
        self.stack.pop()

    def do_pop_mark(self, _):
        self.pop_to_mark()

    def do_empty_dict(self, _):
        self.stack.append({})

    def do_empty_list(self, _):
        self.stack.append([])

    def do_tuple(self, _):
        self.stack.append(tuple(self.pop_to_mark()))

    def do_list(self, _):
        self.stack.append(self.pop_to_mark())

    def do_dict(self, _):
        items = self.pop_to_mark()
        self.stack.append({})
        self.fill(items)

    def do_setitem(self, _):
        value, key = self.pop(), self.pop()
        self.fill([key, value])

    def do_setitems(self, _):
        self.fill(self.pop_to_mark())

    def do_append(self, _):
        value = self.pop()
        self.top(list).append(value)

    def do_appends(self, _):
        values = self.pop_to_mark()
        self.top(list).extend(values)

    def do_put(self, number):
        value = self.pop()
        self.stack.append(value)
        self.memo[number] = value

    do_binput = do_long_binput = do_put

    def do_memoize(self, _):
        self.do_put(len(self.memo))

    def do_get(self, number):
        if number not in self.memo:
            raise EOFError("its pickle takes what it has not put")
        self.stack.append(self.memo[number])

    do_binget = do_long_binget = do_get

    def do_global(self, argument):
        self.stack.append(_named(*argument.split(" ", 1)))

    def do_stack_global(self, _):
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise RefusedError("its pickle names something without a name")
        self.stack.append(_named(module, name))

    def do_reduce(self, _):
        arguments, function = self.pop(), self.pop()
        self.stack.append(_called(function, arguments))

    def do_build(self, _):
        """A state dict's ``_metadata`` is of no use here; nothing else has a state to set."""
        self.pop()
        self.top(dict)

    def do_binpersid(self, _):
        self.stack.append(_storage(self.pop()))


def unpickle(data):
    """Read the first pickle in `data`.

    Returns:
        What it holds, and its length in bytes.

    Raises:
        RefusedError: It holds something else than tensors and plain values, or is too long.
        EOFError, ValueError: It is damaged.
    """
    machine = _Machine()
    for count, (opcode, argument, position) in enumerate(pickletools.genops(io.BytesIO(data))):
        if opcode.name == "STOP":
            return machine.pop(), position + 1
        if count >= MAX_INSTRUCTIONS:
            raise RefusedError(f"its pickle has over {MAX_INSTRUCTIONS} instructions")
        machine.step(opcode.name, argument)
    raise EOFError("no end of the pickle")
