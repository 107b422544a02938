"""Tensors by name from any file that holds them so.

PyTorch's, safetensors, NumPy archives, and TensorFlow.js manifests.
"""

import json
import math
import zipfile
from pathlib import Path

import numpy as np
import safetensors

from weights.torch_file import (
    BFLOAT16,
    checked,
    damaged,
    numbers,
    read_legacy,
    read_zip,
    refuse_bomb,
)

_SAFETENSORS = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": BFLOAT16,
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


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
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): array for name, array in tensors.items()}
    return tensors


def _reader(path, head):
    if head.startswith(b"PK"):
        return _read_npz if _is_npz(path) else read_zip
    if head[8:9] == b"{":  # first: the length before it may begin like a pickle
        return _read_safetensors
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


def _is_npz(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except zipfile.BadZipFile as error:
        raise damaged(path, error) from error


def _read_npz(path):
    def read():
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(path, sum(info.file_size for info in archive.infolist()))
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    return checked(path, read)


def _read_safetensors(path):
    def read():
        entries = safetensors.deserialize(path.read_bytes())
        return {
            name: numbers(bytes(entry["data"]), _SAFETENSORS[entry["dtype"]]).reshape(
                entry["shape"]
            )
            for name, entry in entries
        }

    try:
        return checked(path, read)
    except safetensors.SafetensorError as error:
        raise damaged(path, error) from error


def _read_tfjs(path):
    """TensorFlow.js: a list of tensors, some quantised to bytes, and files of their numbers."""

    def read():
        tensors = {}
        for group in json.loads(path.read_text()):
            content = b"".join((path.parent / Path(f).name).read_bytes() for f in group["paths"])
            start = 0
            for entry in group["weights"]:
                array, start = _tfjs_tensor(entry, content, start)
                tensors[entry["name"]] = array
        return tensors

    return checked(path, read)


def _tfjs_tensor(entry, content, start):
    """One tensor as float32, and where the next begins."""
    quantised = entry.get("quantization")
    dtype = np.dtype(quantised["dtype"] if quantised else entry["dtype"]).newbyteorder("<")
    if dtype.kind not in "fiu":
        raise ValueError(f"{entry['name']} is of type {dtype}")
    end = start + math.prod(entry["shape"]) * dtype.itemsize
    if len(content) < end:
        raise ValueError(f"the numbers end before {entry['name']} does")
    array = np.frombuffer(content[start:end], dtype).astype(np.float32)
    if quantised:
        array = array * np.float32(quantised["scale"]) + np.float32(quantised["min"])
    return array.reshape(entry["shape"]), end
