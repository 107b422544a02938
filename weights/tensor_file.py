"""Tensors by name from any file that holds them so.

PyTorch's, safetensors, NumPy archives, and TensorFlow.js manifests.
"""

import json
import math
import re
import zipfile
from pathlib import Path

import numpy as np

from model import safetensors_file
from weights.pickled_tensors import RefusedError
from weights.torch_file import checked, member_names, read_legacy, read_zip, refuse_bomb

_MAX_TENSORS = 20_000
_MAX_MANIFEST_BYTES = 4 * 2**20
_SHARD = re.compile(r"[^.].*shard.*|[^.].*\.bin")  # how TensorFlow.js names files of numbers


def read_tensors(path):
    """Return the tensors of a file, by name.

    The kind of file is told from its first bytes, not from its ending. Of a training checkpoint
    the network's own tensors are taken (``params_ema`` before ``params``, ``state_dict``,
    ``model``); a prefix ``module.`` common to all is removed.

    Args:
        path: A ``.pth``, ``.pt``, ``.safetensors`` or ``.npz`` file, or a TensorFlow.js
            ``weights_manifest.json`` with the files it names beside it.

    Returns:
        Dict from name to a NumPy array in the tensor's own type and layout; bfloat16 as float32.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is none of these files, is damaged, unpacks to far more than its own size,
            holds no tensors, or is a pickle that names anything that does not build tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weight file at {path}")
    with path.open("rb") as file:
        head = file.read(512)
    tensors = _reader(path, head)(path)
    if not tensors:
        raise ValueError(f"{path} holds no tensors by name")
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "fiub" or tensor.dtype.itemsize > 8:
            raise ValueError(f"{path}: {name} is of type {tensor.dtype}, and not of numbers")
    return without_module(tensors)


def without_module(tensors):
    """Tensors without the prefix that `DataParallel` puts before all names."""
    if not all(name.startswith("module.") for name in tensors):
        return tensors
    return {name.removeprefix("module."): array for name, array in tensors.items()}


def _reader(path, head):
    if head.startswith(b"PK"):
        arrays_only = all(name.endswith(".npy") for name in member_names(path))
        return _read_npz if arrays_only else read_zip
    if safetensors_file.is_safetensors(head):  # first: the length may begin like a pickle
        return lambda path: safetensors_file.read(path)[1]
    if head[:1] == b"\x80":
        return read_legacy
    if head.lstrip()[:1] == b"[":
        return _read_tfjs
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise ValueError(
            f"{path} is a web page, not a weight file: the download gave an error page or asked "
            "for a confirmation. Open the address in a browser and save the file itself"
        )
    raise ValueError(f"{path} is no weight file: not HDF5, PyTorch, safetensors or NumPy")


def _read_npz(path):
    def read():
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(path, sum(info.file_size for info in archive.infolist()))
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    return checked(path, read)


def _read_tfjs(path):
    """TensorFlow.js: a list of tensors, some quantised to bytes, and files of their numbers."""

    def read():
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise RefusedError(f"it is a list of over {_MAX_MANIFEST_BYTES} bytes")
        groups = json.loads(path.read_text())
        shards = [name for group in groups for name in group["paths"]]
        _check_shards(path, shards, sum(len(group["weights"]) for group in groups))
        tensors = {}
        for group in groups:
            content = b"".join((path.parent / name).read_bytes() for name in group["paths"])
            start = 0
            for entry in group["weights"]:
                array, start = _tfjs_tensor(entry, content, start)
                tensors[entry["name"]] = array
        return tensors

    return checked(path, read)


def _check_shards(path, names, tensors):
    """Refuse what would read a file twice, or one that is not of numbers beside the manifest."""
    if tensors > _MAX_TENSORS:
        raise RefusedError(f"it names {tensors} tensors; allowed are {_MAX_TENSORS}")
    if len(set(names)) < len(names):
        raise RefusedError("it names one file of numbers more than once")
    for name in names:
        if Path(name).name != name or not _SHARD.fullmatch(name):
            raise RefusedError(f"it names {name[:100]!r}, which is no file of numbers beside it")
        if not (path.parent / name).is_file():
            raise FileNotFoundError(f"{path} names {name}, which is not beside it")


def _tfjs_tensor(entry, content, start):
    """One tensor as float32, and where the next begins."""
    name, shape, quantised = entry["name"], entry["shape"], entry.get("quantization")
    if not isinstance(name, str) or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError("it has a tensor whose name is no text, or whose shape no whole numbers")
    dtype = np.dtype(quantised["dtype"] if quantised else entry["dtype"]).newbyteorder("<")
    if dtype.kind not in "fiu":
        raise ValueError(f"{name} is of type {dtype}")
    end = start + math.prod(shape) * dtype.itemsize
    if len(content) < end:
        raise ValueError(f"the numbers end before {name} does")
    array = np.frombuffer(content[start:end], dtype).astype(np.float32)
    if quantised:
        array = array * np.float32(quantised["scale"]) + np.float32(quantised["min"])
    return array.reshape(shape), end
