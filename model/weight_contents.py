"""What a weight file holds: its note and its tensors, read once, as plain arrays.

HDF5 that this process did not write, and whose content the caller does not know by its checksum, is
read by a process of its own (`hdf5_file.read_apart`); it costs about half a second.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model import hdf5_file, keras2_file, safetensors_file

_MAX_NOTE_CHARACTERS = 2**20

_written = set()
"""Size and SHA-256 of what this process wrote: HDF5 that it may read itself."""


@dataclass(frozen=True)
class WeightFile:
    """What a weight file holds.

    Args:
        path: Where it is, for messages.
        note: What it says of itself; empty for files from elsewhere.
        tensors: Dict from name to array.
        layers: Of HDF5 the layers of Keras 2's layout, if it is that: pairs of a layer's name and
            dict from leaf name to array. None for other formats.
        keras3: Whether it is HDF5 in Keras 3's layout.
        known: Whether this very content was written or checked here before.
    """

    path: Path
    note: dict
    tensors: dict[str, np.ndarray]
    layers: list | None = None
    keras3: bool = False
    known: bool = False


def read(path, known=(), *, note_only=False):
    """Read a weight file of HDF5 or safetensors, without building anything.

    Args:
        path: The file.
        known: Pairs of size in bytes and SHA-256 of files whose content is known to be sound.
        note_only: Leave the tensors out.

    Returns:
        A `WeightFile`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, refers to other files, or is of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weight file at {path}")
    if not hdf5_file.is_hdf5(path):
        return _read_safetensors(path)
    content = _known_content(path, _written.union(known))
    if content is None:
        found = hdf5_file.read_apart(path, note_only)
    else:
        found = hdf5_file.read(content, note_only)
    layers = [] if note_only else _keras2_layers(path, found)
    note = parsed_note(found["note"], path)
    return WeightFile(path, note, found["tensors"], layers, found["keras3"], content is not None)


def _read_safetensors(path):
    with path.open("rb") as file:
        if not safetensors_file.is_safetensors(file.read(9)):
            raise ValueError(f"{path} is not a whole HDF5 weight file, and not safetensors")
    metadata, tensors = safetensors_file.read(path)
    return WeightFile(path, parsed_note(metadata.get(hdf5_file.NOTE), path), tensors)


def _known_content(path, known):
    """A file's bytes if they are among the known, else None; read once, so that both agree."""
    size = path.stat().st_size
    if all(size != known_size for known_size, _ in known):
        return None
    content = path.read_bytes()
    return content if _fingerprint(content) in known else None


def remember(path):
    """Note that this process wrote what a file holds now: it may read that itself."""
    _written.add(_fingerprint(Path(path).read_bytes()))


def _fingerprint(content):
    return len(content), hashlib.sha256(content).hexdigest()


def _keras2_layers(path, found):
    layers = []
    for name, places in found["layers"]:
        if missing := [n for n, place in places if place not in found["tensors"]]:
            raise ValueError(f"{path} lacks tensors that it names: {', '.join(missing[:10])}")
        arrays = {keras2_file.leaf(n): found["tensors"][place] for n, place in places}
        layers.append((name, arrays))
    return layers


def parsed_note(text, path):
    """Return a note as a dict; `ValueError` unless it is one, with a builder and its arguments."""
    if text is None:
        return {}
    try:
        if len(text) > _MAX_NOTE_CHARACTERS:
            raise ValueError(f"it has {len(text)} characters")
        note = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} has a note that cannot be read: {error}") from error
    if not isinstance(note, dict):
        raise ValueError(f"{path} has a note that is a {type(note).__name__}, not a JSON object")
    if not note.get("builder"):
        return {key: value for key, value in note.items() if key not in ("builder", "arguments")}
    if not isinstance(note["builder"], str) or not isinstance(note.get("arguments"), dict):
        raise ValueError(f"{path} has a note without a builder's name and its arguments")
    return note
