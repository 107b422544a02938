"""A reader of pickles that hold tensors, which runs nothing.

A pickle is a program for a small stack machine, and Python's own may call any function in it. The
machine here knows the instructions a state dict needs, makes dicts, lists, tuples, texts, numbers
and descriptions of tensors, and nothing else. Keys are texts or whole numbers, so that none takes
long to compare; instructions are counted.
"""

import io
import pickletools

from weights.pickled_tensors import RefusedError, called, dict_key, named, storage

MAX_INSTRUCTIONS = 400_000
"""A network of 1,000 tensors needs about 40,000, with its optimiser three times as many."""

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
            target[dict_key(key)] = value

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
        self.stack.append(named(*argument.split(" ", 1)))

    def do_stack_global(self, _):
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise RefusedError("its pickle names something without a name")
        self.stack.append(named(module, name))

    def do_reduce(self, _):
        arguments, function = self.pop(), self.pop()
        self.stack.append(called(function, arguments))

    def do_build(self, _):
        """A state dict's ``_metadata`` is of no use here; nothing else has a state to set."""
        self.pop()
        self.top(dict)

    def do_binpersid(self, _):
        self.stack.append(storage(self.pop()))


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
