"""Read an HDF5 weight file as plain arrays, in this process or in one of its own.

libhdf5 follows what a file says: to other files (external storage, virtual data sets, external
links) and, in damaged files, out of its memory. So nothing is read before every object is looked
at, and a file that is not known is read by a second Python process, with limits on time, memory and
open files, which hands back numbers. This file is that process's whole program: it imports neither
TensorFlow nor the rest of the library.
"""

import codecs
import contextlib
import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":  # find what the first process finds, and not this folder's files
    sys.path[:] = json.loads(sys.argv[1])

import h5py
import numpy as np

NOTE = "sr"
SIGNATURE = b"\x89HDF\r\n\x1a\n"

_FILTERS = {1, 2, 3, 4, 5, 6, 32000}  # gzip, shuffle, fletcher32, szip, nbit, scale-offset, lzf
_MAX_OBJECTS = 20_000
_MAX_DEPTH = 32
_MAX_NAMES_BYTES = 2**22
_BASE_SECONDS, _BYTES_PER_SECOND = 15, 5e6
_SPARSE_BYTES = 2**26  # may be packed to nothing, as a network's zeros are
_BASE_BYTES, _BYTES_PER_BYTE = 2**30, 8
_OPTIMIZERS = ("optimizer/", "optimizer_weights/")


class RefusedError(ValueError):
    """A file that asks for more than its own numbers."""


def is_hdf5(path):
    """Whether a file has HDF5's signature, at its beginning or behind a user block."""
    size, place = Path(path).stat().st_size, 0
    with open(path, "rb") as file:
        while place < size:
            file.seek(place)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
            place = max(512, 2 * place)
    return False


def read(source, note_only=False):
    """Read a file that is known to be sound in this process.

    Args:
        source: Path or bytes.
        note_only: Leave the tensors out.

    Returns:
        Dict with "note" (text or None), "keras3" (whether it has that layout), "layers" (pairs of a
        Keras 2 layer's name and its tensors' names) and "tensors" (dict from name to array).
    """
    size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
    with h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r") as file:
        return _contents(file, size, note_only)


def read_apart(path, note_only=False):
    """Read any file in a process of its own; returns as `read`.

    Raises:
        ValueError: The file is damaged, refers to other files, or needs more time or memory than
            a weight file of its size does.
    """
    size = Path(path).stat().st_size
    seconds = _BASE_SECONDS + size / _BYTES_PER_SECOND
    command = [sys.executable, __file__, json.dumps(sys.path), os.fspath(path)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
    try:
        done = subprocess.run(
            [*command, "note" if note_only else "all"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"{path} is refused: reading it takes over {seconds:.0f} s") from error
    if done.returncode:
        raise ValueError(f"{path} {_reason(done.returncode, done.stderr)}")
    return _unpacked(done.stdout)


def _reason(status, complaint):
    """What the other process died of: its own sentence, an exception's last line, or a signal."""
    lines = complaint.decode(errors="replace").strip().splitlines()
    last = lines[-1] if lines else ""
    if status < 0 or not last or status > 2:
        return f"is damaged: libhdf5 crashed on it (status {status})"
    if last.startswith("MemoryError"):
        return "is refused: reading it needs far more memory than its own size"
    name, _, text = last.partition(": ")
    if name == "RefusedError":
        return f"is refused: {text}"
    return f"is not a whole HDF5 weight file: {text or name}"


def _contents(file, size, note_only):
    tensors = _checked_tensors(file, size)
    note = _texts(file, NOTE)
    layers = _keras2_layers(file)
    names = [] if note_only else [n for n in tensors if not n.startswith(_OPTIMIZERS)]
    return {
        "note": note[0] if note else None,
        "keras3": "layers" in file,
        "layers": layers,
        "tensors": {name: np.asarray(tensors[name][()]) for name in names},
    }


def _checked_tensors(file, size):
    """All data sets by name; raises unless each keeps its numbers in this file."""
    tensors = {name: node for name, node in _walk(file) if isinstance(node, h5py.Dataset)}
    declared = 0
    for name, tensor in tensors.items():
        _check_tensor(name, tensor)
        declared += math.prod(tensor.shape) * tensor.dtype.itemsize
    if declared > 4 * size + _SPARSE_BYTES:
        raise RefusedError(f"it has {size} bytes and would unpack to {declared}")
    for name, tensor in tensors.items():
        if tensor.size and not tensor.id.get_storage_size():
            raise RefusedError(f"{name} claims {tensor.size} numbers and holds none")
    return tensors


def _walk(file):
    """All groups and data sets with their names, each once, through hard links only."""
    todo, seen = [("", file)], set()
    while todo:
        name, node = todo.pop()
        place = h5py.h5o.get_info(node.id).addr
        if place in seen:
            continue
        seen.add(place)
        if len(seen) > _MAX_OBJECTS or name.count("/") > _MAX_DEPTH:
            raise RefusedError(f"it has over {_MAX_OBJECTS} objects, or groups {_MAX_DEPTH} deep")
        yield name, node
        if isinstance(node, h5py.Group):
            for key in node:
                todo.append((f"{name}/{key}" if name else key, _linked(node, key, name)))


def _linked(group, key, where):
    kind = group.get(key, getlink=True)
    if not isinstance(kind, h5py.HardLink):
        raise RefusedError(f"{where}/{key} is a link to something else ({type(kind).__name__})")
    return group[key]


def _check_tensor(name, tensor):
    if not isinstance(tensor, h5py.Dataset):
        raise RefusedError(f"{name} is no tensor")
    properties = tensor.id.get_create_plist()
    if properties.get_external_count():
        raise RefusedError(f"{name} keeps its numbers in another file")
    if properties.get_layout() == h5py.h5d.VIRTUAL:
        raise RefusedError(f"{name} is a virtual data set, made of others")
    if tensor.id.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise RefusedError(f"{name} is a null data set")
    if tensor.dtype.kind not in "fiub" or tensor.dtype.itemsize > 8:
        raise RefusedError(f"{name} is of type {tensor.dtype}, and not of numbers")
    for i in range(properties.get_nfilters()):
        if (number := properties.get_filter(i)[0]) not in _FILTERS:
            raise RefusedError(f"{name} is packed with filter {number}, which is not HDF5's own")


def _keras2_layers(file):
    """Names of layers and of their tensors, the latter as they are found from the file's root."""
    group = file
    if "model_weights" in file:
        group = _linked(file, "model_weights", "")
    layers = []
    for name in _long_list(group, "layer_names"):
        node = group[name]
        prefix = node.name.strip("/")
        layers.append(
            [name, [[n, f"{prefix}/{n.strip('/')}"] for n in _long_list(node, "weight_names")]]
        )
    return layers


def _long_list(group, name):
    """Names in an attribute; Keras 2 split long ones into ``name0``, ``name1``, …."""
    if name in group.attrs:
        return _texts(group, name)
    parts = [a for a in group.attrs if a.startswith(name) and a[len(name) :].isdecimal()]
    parts.sort(key=lambda a: int(a[len(name) :]))
    return [text for part in parts for text in _texts(group, part)]


def _texts(node, name):
    """Texts of an attribute, whether one or many; empty where there is none."""
    if name not in node.attrs:
        return []
    attribute = node.attrs.get_id(name)
    if attribute.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise RefusedError(f"its attribute {name} is null")
    if attribute.dtype.kind not in "SO" or attribute.get_storage_size() > _MAX_NAMES_BYTES:
        if not math.prod(attribute.shape):  # Keras writes an empty list of names as floats
            return []
        raise RefusedError(f"its attribute {name} is not text of at most {_MAX_NAMES_BYTES} bytes")
    if attribute.dtype.kind == "O" and h5py.check_string_dtype(attribute.dtype) is None:
        raise RefusedError(f"its attribute {name} holds references, not text")
    values = np.atleast_1d(np.asarray(node.attrs[name], dtype=object)).ravel().tolist()
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _packed(contents):
    """Contents as bytes: length of the header, a header of JSON, numbers."""
    arrays = {n: np.ascontiguousarray(a) for n, a in contents.pop("tensors").items()}
    header = contents | {"tensors": [[n, a.dtype.str, a.shape] for n, a in arrays.items()]}
    text = json.dumps(header).encode()
    yield len(text).to_bytes(8, "little") + text
    for array in arrays.values():
        yield array.data.cast("B") if array.size else b""


def _unpacked(data):
    start = 8 + int.from_bytes(data[:8], "little")
    contents = json.loads(data[8:start])
    tensors = {}
    for name, dtype, shape in contents["tensors"]:
        count = math.prod(shape)
        array = np.frombuffer(data, dtype, count, start if count else 0)
        tensors[name] = array.reshape(shape)
        start += array.nbytes
    return contents | {"tensors": tensors}


def _limit_memory(size):
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        limit = _BASE_BYTES + _BYTES_PER_BYTE * size
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _limit_files():
    """Let no further file be opened: what is needed is open."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _report(kind, error, _traceback):
    """Print an exception in one line: Python's own way would open files."""
    sys.stderr.write(f"{kind.__name__}: {error}".replace("\n", " "))


def _main(path, what):
    sys.excepthook = _report
    codecs.lookup("ascii")  # what the limit on files would keep from being imported later
    size = os.path.getsize(path)
    _limit_memory(size)
    with h5py.File(path, "r") as file:
        _limit_files()
        for part in _packed(_contents(file, size, what == "note")):
            sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _main(*sys.argv[2:])
