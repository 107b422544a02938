"""Find and load networks: by name from `weights/`, or from any weight file.

`weights/manifest.json` lists what is bundled. It and the tables in ``docs/models.md`` are made from
what each file says of itself, so that the three cannot disagree.
"""

import json
from pathlib import Path

from weights import catalogue, convert, hub
from weights.builders import register
from weights.read import read

__all__ = ["load_model", "manifest", "register"]

WEIGHTS_DIR = Path(__file__).parent
DEFAULT = "wdsr-b-32-x4"
"""What the command line uses when no model is named."""

ENDING = convert.ENDING


def manifest():
    """Return what is bundled: name to facts (file, sha256, builder, arguments, scores, …)."""
    return json.loads((WEIGHTS_DIR / "manifest.json").read_text())


def load_model(name_or_path, arguments=None, *, allow_nan=False, report=print):
    """Build the network a weight file belongs to and load it.

    Args:
        name_or_path: Name of a bundled or fetched network (`python -m infer weights` lists them),
            a file (this library's, or another that `weights.read` reads), or an address on a hub,
            ``hf://owner/name[@revision][/file]``, see `weights.hub`.
        arguments: Builder's arguments that replace those of the file, or None.
        allow_nan: Whether numbers that are not finite are let through.
        report: Called with one sentence on what a file from elsewhere was recognised as.

    Returns:
        The network, an `SRModel` with RGB pictures in 0..255 in and out.

    Raises:
        FileNotFoundError: There is no such name or file; says which there are and how to get them.
        ValueError: The file is damaged, asks for more than it holds, or is of no network known
            here.
    """
    file = read(find(name_or_path, report), _bundled())
    model = convert.load_files([file], arguments, allow_nan=allow_nan, report=report)
    model.loaded_digest = ""
    return model


def _bundled():
    """Size and SHA-256 of what is bundled: files whose HDF5 need not be mistrusted."""
    entries = json.loads(Path(__file__).with_name("manifest.json").read_text()).values()
    return [(entry["bytes"], entry["sha256"]) for entry in entries]


def find(name_or_path, report=print):
    """Return the path of a weight file, or of the one that a name or address stands for.

    Raises:
        FileNotFoundError: There is no such name or file; says which there are and how to get them.
        OSError: As for `weights.hub.fetched`.
    """
    if hub.is_address(name_or_path):
        return hub.fetched(name_or_path, report)
    path = Path(name_or_path)
    if path.is_file():
        return path
    if str(name_or_path) in catalogue.CATALOGUE:
        return catalogue.fetched(str(name_or_path))
    names = manifest()
    if str(name_or_path) not in names:
        if path.exists():
            return path  # a folder or a pipe: the reader says so
        raise FileNotFoundError(
            f"no weights named {name_or_path!r} and no such file; bundled are {', '.join(names)}"
        )
    return WEIGHTS_DIR / names[str(name_or_path)]["file"]


def load_lpips(name):
    """Load LPIPS as a function of two batches; None for None."""
    if not name:
        return None
    return load_model(name).traced


def load_face_features(name):
    """Load a network of face features with positions, (B, h, w, C); None for None.

    Raises:
        ValueError: The weights are of another kind of network.
    """
    if not name:
        return None
    model = load_model(name)
    kinds = {"vggface": "pool5", "dlib_face": "conv5"}
    if model.built_by.name not in kinds:
        raise ValueError(
            f"{name} is of {model.built_by.name}; face features are of {' or '.join(kinds)}"
        )
    return load_model(name, {"features": kinds[model.built_by.name]}, report=lambda _: None)
