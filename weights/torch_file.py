"""Tensors by name from PyTorch's files, without PyTorch.

A ``.pth`` is a pickle, and a pickle may run any command when it is opened. The unpickler here knows
only what builds tensors and refuses everything else by name. It reads the zip format and the one
before PyTorch 1.6 (number, version, system, objects, storages, one after the other). Sizes are
checked against the file's own before anything large is made.
"""

import io
import math
import pickle
import pickletools
import zipfile
import zlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

MAX_PICKLE_BYTES = 16 * 2**20
"""Largest pickle opened. A network of 1,000 tensors needs about 0.1 MB."""

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
BFLOAT16 = "bfloat16"
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
_WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
_DAMAGE = (
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    zlib.error,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    UnicodeDecodeError,
)


class RefusedError(ValueError):
    """A file that asks for more than tensors, or for more memory than they need."""


def damaged(path, error):
    """Return the `ValueError` that says a file is not whole."""
    return ValueError(f"{path} is truncated or damaged: {error or type(error).__name__}")


@dataclass(frozen=True)
class _Storage:
    """A flat run of numbers of one type; `first` is its place in the storage `key`."""

    dtype: str
    key: str
    first: int
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage: offset and strides count numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple

    @property
    def bytes(self):
        return math.prod(self.shape) * _item_bytes(self.storage.dtype)

    def array(self, flat):
        """Return the values as an array of their own, from the storage's bytes."""
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((n - 1) * step for n, step in steps)
        negative = min((0, self.offset, *self.shape, *self.strides)) < 0
        if negative or (last >= len(flat) and math.prod(self.shape)):
            raise ValueError("a tensor reaches beyond its storage")
        strides = tuple(step * flat.itemsize for step in self.strides)
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides)
        return np.array(view, view.dtype.newbyteorder("="))


def _item_bytes(dtype):
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def _rebuild_tensor(storage, offset, shape, strides, *_grad_and_hooks):
    if not isinstance(storage, _Storage):
        raise TypeError("a tensor without a storage")
    return _Tensor(storage, storage.first + offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *_grad_and_hooks):
    return tensor


_ALLOWED = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch.Size": tuple,
} | {f"torch.{name}": dtype for name, dtype in _STORAGES.items()}


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if f"{module}.{name}" not in _ALLOWED:
            raise RefusedError(
                f"its pickle names {module}.{name}, which is not needed to build tensors and may "
                "run anything"
            )
        return _ALLOWED[f"{module}.{name}"]

    def persistent_load(self, pid):
        kind, dtype, key, _device, count, *view = pid
        if kind != "storage":
            raise RefusedError(f"its pickle holds a {kind}: only tensors can be read")
        first = view[0][1] if view and view[0] else 0
        return _Storage(dtype, str(key), first, count)


def _unpickle(data):
    return _TensorUnpickler(io.BytesIO(data), encoding="utf-8").load()


def _scan(data):
    """Return the length of the first pickle in `data`; refuse one made to fill the memory."""
    for opcode, argument, position in pickletools.genops(io.BytesIO(data)):
        # The unpickler makes room for as many remembered objects as the highest number says.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > len(data):
            raise RefusedError(f"its pickle numbers an object {argument}, more than it can hold")
        if opcode.name == "STOP":
            return position + 1
    raise EOFError("no end of the pickle")


def checked(path, read):
    """Run `read`, and say of any damage it meets which file it is in."""
    try:
        return read()
    except RefusedError as error:
        raise ValueError(f"{path} is refused: {error}") from error
    except (*_DAMAGE, ValueError) as error:
        raise damaged(path, error) from error


def read_zip(path):
    """Return the tensors of a file of PyTorch 1.6 or later; raises as `read_tensors`."""

    def read():
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            refuse_bomb(path, sum(sizes.values()))
            pickled = next((name for name in sizes if name.endswith("data.pkl")), None)
            if pickled is None:
                raise RefusedError("it is a zip archive without PyTorch's data.pkl")
            if sizes[pickled] > MAX_PICKLE_BYTES:
                raise RefusedError(_too_large(sizes[pickled]))
            data = archive.read(pickled)
            _scan(data)
            root = pickled.removesuffix("data.pkl")
            order = archive.read(f"{root}byteorder") if f"{root}byteorder" in sizes else b"little"
            return _arrays(
                path, _unpickle(data), lambda s: archive.read(f"{root}data/{s.key}"), order.decode()
            )

    return checked(path, read)


def read_legacy(path):
    """Return the tensors of a file in the format before PyTorch 1.6; raises as `read_tensors`."""

    def read():
        with path.open("rb") as file:
            if _next_object(file) != _MAGIC_NUMBER:
                raise RefusedError("it is a pickle, but not one of PyTorch's")
            _next_object(file)  # the format's version, 1001 in every file
            order = "little" if _next_object(file)["little_endian"] else "big"
            tree = _next_object(file)
            storages = {str(key): None for key in _next_object(file)}
            widths = {t.storage.key: _item_bytes(t.storage.dtype) for t in _tensors(tree).values()}
            for key in storages:
                count = int.from_bytes(file.read(8), order)
                if key not in widths:
                    raise RefusedError(f"its storage {key} belongs to no tensor that can be read")
                storages[key] = file.read(min(count * widths[key], path.stat().st_size))
                if len(storages[key]) != count * widths[key]:
                    raise EOFError("its numbers end early")
            return _arrays(path, tree, lambda s: storages[s.key], order)

    return checked(path, read)


def _next_object(file):
    start = file.tell()
    data = file.read(MAX_PICKLE_BYTES)
    try:
        length = _scan(data)
    except ValueError as error:
        if isinstance(error, RefusedError) or len(data) < MAX_PICKLE_BYTES:
            raise
        raise RefusedError(_too_large(f"over {MAX_PICKLE_BYTES}")) from error
    file.seek(start + length)
    return _unpickle(data[:length])


def _too_large(size):
    return f"its pickle has {size} bytes, more than the {MAX_PICKLE_BYTES} allowed"


def _tensors(tree):
    """Tensors of the network in an unpickled tree, by name."""
    for _ in range(len(_WRAPPERS)):
        if not isinstance(tree, dict) or any(isinstance(v, _Tensor) for v in tree.values()):
            break
        tree = next((tree[key] for key in _WRAPPERS if isinstance(tree.get(key), dict)), tree)
    if not isinstance(tree, dict):
        return {}
    return {str(name): value for name, value in tree.items() if isinstance(value, _Tensor)}


def _arrays(path, tree, storage_bytes, byte_order):
    tensors = _tensors(tree)
    refuse_bomb(path, sum(tensor.bytes for tensor in tensors.values()))
    prefix = {"little": "<", "big": ">"}[byte_order]
    flat = {}
    for tensor in tensors.values():
        storage = tensor.storage
        if storage.key not in flat:
            flat[storage.key] = numbers(storage_bytes(storage), storage.dtype, prefix)
    return {name: tensor.array(flat[tensor.storage.key]) for name, tensor in tensors.items()}


def numbers(data, dtype, byte_order="<"):
    """Return bytes as a flat array of a type of `_STORAGES`; bfloat16 becomes float32."""
    if dtype == BFLOAT16:  # the upper half of a float32
        return (np.frombuffer(data, byte_order + "u2").astype("u4") << 16).view("f4")
    return np.frombuffer(data, byte_order + dtype)


def refuse_bomb(path, unpacked_bytes):
    """Raise `RefusedError` if a file would unpack to far more than its size: weights hardly do."""
    size = path.stat().st_size
    if unpacked_bytes > 4 * size + 2**20:
        raise RefusedError(f"its {size} bytes would unpack to {unpacked_bytes}")
