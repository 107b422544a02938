"""Tensors by name from PyTorch's files, without PyTorch.

A ``.pth`` is a pickle, and a pickle may run any command when it is opened: `weights.unpickle` reads
it and runs nothing. Two formats: zip archives, and the one before PyTorch 1.6 (number, version,
system, objects, storages, one after the other). Sizes are checked against the file's own before
anything large is made.
"""

import tokenize
import zipfile
import zlib
from collections import deque

import numpy as np

from model.safetensors_file import BFLOAT16, numbers
from weights.pickled_tensors import RefusedError, Tensor
from weights.unpickle import unpickle

MAX_PICKLE_BYTES = 16 * 2**20
"""Largest pickle opened. A network of 1,000 tensors needs about 0.1 MB."""

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_WRAPPERS = (
    "params_ema",
    "params",
    "g_ema",
    "net_g_ema",
    "state_dict",
    "model_state_dict",
    "model",
    "net_g",
    "netG",
    "generator",
)
"""Where checkpoints keep the network itself, the best first."""

_MAX_DEPTH = 4  # of dicts and lists around a network's tensors
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    UnicodeDecodeError,
    SyntaxError,  # these two: of an array's header that ends early
    tokenize.TokenError,
)


def damaged(path, error):
    """Return the `ValueError` that says a file is not whole."""
    return ValueError(f"{path} is truncated or damaged: {error or type(error).__name__}")


def _item_bytes(dtype):
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def checked(path, read):
    """Run `read`, and say of any damage it meets which file it is in."""
    try:
        return read()
    except RefusedError as error:
        raise ValueError(f"{path} is refused: {error}") from error
    except (*_DAMAGE, ValueError) as error:
        raise damaged(path, error) from error


def member_names(path):
    """Return the names in a zip archive; raises as `read_tensors`."""

    def read():
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()

    return checked(path, read)


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
            tree, _ = unpickle(archive.read(pickled))
            root = pickled.removesuffix("data.pkl")
            order = archive.read(f"{root}byteorder") if f"{root}byteorder" in sizes else b"little"
            return _arrays(
                path, tree, lambda s: archive.read(f"{root}data/{s.key}"), order.decode()
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
            keys = _next_object(file)
            if not isinstance(keys, list) or any(type(key) not in (str, int) for key in keys):
                raise RefusedError("its list of storages is none of texts")
            storages = dict.fromkeys(map(str, keys))
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
        found, length = unpickle(data)
    except (ValueError, EOFError) as error:
        if isinstance(error, RefusedError) or len(data) < MAX_PICKLE_BYTES:
            raise
        raise RefusedError(_too_large(f"over {MAX_PICKLE_BYTES}")) from error
    file.seek(start + length)
    return found


def _too_large(size):
    return f"its pickle has {size} bytes, more than the {MAX_PICKLE_BYTES} allowed"


def _tensors(tree):
    """Tensors of the network in an unpickled tree, by name.

    Of a checkpoint that holds several, the place that `_WRAPPERS` names first is taken; under other
    names there must be only one.
    """
    for _ in range(_MAX_DEPTH):
        if not isinstance(tree, dict) or _own_tensors(tree):
            break
        inner = next((tree[key] for key in _WRAPPERS if _networks(tree.get(key))), None)
        if inner is None:
            break
        tree = inner
    networks = _networks(tree)
    if len(networks) > 1:
        places = ", ".join(place or "the file itself" for place, _ in networks[:10])
        raise RefusedError(f"it holds several networks ({places}); save the one you need alone")
    return networks[0][1] if networks else {}


def _own_tensors(tree):
    return {str(key): value for key, value in tree.items() if isinstance(value, Tensor)}


def _networks(tree):
    """Places and tensors of all dicts that hold tensors by name; an optimiser's state is none."""
    found, seen, todo = [], set(), deque([("", tree, 0)])
    while todo:
        place, node, depth = todo.popleft()
        if id(node) in seen or depth > _MAX_DEPTH or not isinstance(node, (dict, list, tuple)):
            continue
        seen.add(id(node))
        items = node.items() if isinstance(node, dict) else enumerate(node)
        if isinstance(node, dict) and (tensors := _own_tensors(node)):
            found.append((place, tensors))
            continue
        for key, value in items:
            named = isinstance(key, str) or not isinstance(node, dict)
            if named and not str(key).lower().startswith(("optim", "sched")):
                todo.append((f"{place}.{key}"[:200] if place else str(key)[:200], value, depth + 1))
    return found


def _arrays(path, tree, storage_bytes, byte_order):
    tensors = _tensors(tree)
    refuse_bomb(path, sum(t.size * _item_bytes(t.storage.dtype) for t in tensors.values()))
    prefix = {"little": "<", "big": ">"}[byte_order]
    flat = {}
    for tensor in tensors.values():
        storage = tensor.storage
        if storage.key not in flat:
            flat[storage.key] = numbers(storage_bytes(storage), storage.dtype, prefix)
    return {name: tensor.array(flat[tensor.storage.key]) for name, tensor in tensors.items()}


def refuse_bomb(path, unpacked_bytes):
    """Raise `RefusedError` if a file would unpack to far more than its size: weights hardly do."""
    size = path.stat().st_size
    if unpacked_bytes > 4 * size + 2**20:
        raise RefusedError(f"its {size} bytes would unpack to {unpacked_bytes}")
