"""Read any weight file, whatever it is called: the first bytes tell its kind."""

import json
import tempfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

from model import weight_contents
from model.hdf5_file import is_hdf5
from model.safetensors_file import is_safetensors
from model.weight_contents import WeightFile, parsed_note
from weights.tensor_file import read_tensors, without_module
from weights.torch_file import member_names

_MAX_CONFIG_BYTES = 16 * 2**20
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"


def read(path, known=()):
    """Read a weight file without building anything.

    Args:
        path: HDF5 of Keras 2 or 3, ``.keras``, safetensors, PyTorch, NumPy or TensorFlow.js.
        known: As for `model.weight_contents.read`.

    Returns:
        A `WeightFile`; its `layers` and `keras3` are empty for files that are not of Keras.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no weight file, is damaged, or asks for more than its own numbers.
        OSError: It could not be read.
    """
    path = Path(path)
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file" if path.exists() else ""
        raise FileNotFoundError(f"{path} is {kind}" if kind else f"no weight file at {path}")
    try:
        return _read(path, known)
    except FileNotFoundError:  # of a file that this one names
        raise
    except OSError as error:  # of a zip archive with offsets before its beginning, or of the disk
        raise OSError(f"{path} cannot be read: {error}") from error


def _read(path, known):
    with path.open("rb") as file:
        head = file.read(9)
    if is_hdf5(path):
        return weight_contents.read(path, known)
    if is_safetensors(head):
        found = weight_contents.read(path)
        return replace(found, tensors=without_module(found.tensors))
    if head.startswith(b"PK") and {_CONFIG, _WEIGHTS} <= set(member_names(path)):
        return _read_keras(path)
    return WeightFile(path, {}, read_tensors(path))


def _read_keras(path):
    """Keras' archive: which builder made the network is all that is taken of its description.

    The description may name any layer, and layers may run code; the builder's name may not.
    """
    weights = path
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            sizes = [archive.getinfo(name).file_size for name in (_CONFIG, _WEIGHTS)]
            if sizes[0] > _MAX_CONFIG_BYTES or sum(sizes) > 4 * path.stat().st_size + 2**20:
                raise ValueError(f"{path} is refused: it would unpack to {sum(sizes)} bytes")
            note = _built_by(json.loads(archive.read(_CONFIG)))
            weights = Path(archive.extract(_WEIGHTS, folder))
            if not is_hdf5(weights):
                raise ValueError(f"{path} is damaged: its {_WEIGHTS} is no HDF5")
            found = weight_contents.read(weights)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged: its {_CONFIG} is no JSON ({error})") from error
    except ValueError as error:
        raise ValueError(str(error).replace(str(weights), str(path))) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from error
    except (RecursionError, RuntimeError) as error:  # JSON too deep; an encrypted archive
        raise ValueError(f"{path} is refused: {error}") from error
    if not note:
        raise ValueError(
            f"{path} does not say which network of this library it is; load it by "
            "keras.models.load_model"
        )
    note = parsed_note(json.dumps(note), path)
    tensors = {n: t for n, t in found.tensors.items() if n.startswith("layers/")}
    return WeightFile(path, note, tensors, keras3=True)


def _built_by(config):
    """Builder and arguments in the description of an `SRModel`, as a note; empty if not there."""
    inner = config.get("config") if isinstance(config, dict) else None
    built_by = inner.get("built_by") if isinstance(inner, dict) else None
    if not isinstance(built_by, list) or len(built_by) != 2 or not isinstance(built_by[1], dict):
        return {}
    return {"builder": built_by[0], "arguments": built_by[1]}
