"""Tensors by name in the safetensors format: a header of JSON, then numbers, and nothing to run."""

import json
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import save_file

BFLOAT16 = "bfloat16"
_TYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": BFLOAT16,
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U64": "u8",
    "U32": "u4",
    "U16": "u2",
    "U8": "u1",
    "BOOL": "?",
}
_MAX_HEADER_BYTES = 8 * 2**20  # 1,000 tensors need about 0.1 MB


def is_safetensors(head):
    """Whether a file's first bytes are a header's length and its opening brace."""
    return head[8:9] == b"{" and head[:1] != b"{"


def read(path):
    """Read a safetensors file.

    Returns:
        Its metadata, a dict of texts, and its tensors, a dict from name to array; bfloat16 comes as
        float32.

    Raises:
        ValueError: The file is damaged, or has numbers of a type that NumPy does not know.
    """
    data = Path(path).read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    if _MAX_HEADER_BYTES < end <= len(data):
        raise ValueError(
            f"{path} is refused: its header has {end} bytes; allowed are {_MAX_HEADER_BYTES}"
        )
    try:
        entries = safetensors.deserialize(data)
    except (safetensors.SafetensorError, OverflowError) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from error
    tensors = {}
    for name, entry in entries:
        if entry["dtype"] not in _TYPES:
            raise ValueError(
                f"{path}: {name} has numbers of type {entry['dtype']}, which are not read here; "
                "save the network as float32, float16 or bfloat16"
            )
        flat = numbers(bytes(entry["data"]), _TYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return json.loads(data[8:end]).get("__metadata__") or {}, tensors


def write(path, tensors, metadata):
    """Write a dict of arrays, and a dict of texts beside them."""
    save_file({n: np.ascontiguousarray(t) for n, t in tensors.items()}, path, metadata=metadata)


def numbers(data, dtype, byte_order="<"):
    """Return bytes as a flat array of a NumPy type or `BFLOAT16`, which becomes float32."""
    if dtype == BFLOAT16:  # the upper half of a float32
        return (np.frombuffer(data, byte_order + "u2").astype("u4") << 16).view("f4")
    return np.frombuffer(data, byte_order + dtype)
