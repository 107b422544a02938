"""Data sets: pictures on disk to batches of pairs. Knows disks, not networks."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.div2k import DIV2K
    from data.faces import FFHQ
    from data.folder import ImageFolder
    from data.pair_folders import PairFolders

__all__ = ["DIV2K", "FFHQ", "ImageFolder", "PairFolders"]

_HOMES = {
    "DIV2K": "data.div2k",
    "FFHQ": "data.faces",
    "ImageFolder": "data.folder",
    "PairFolders": "data.pair_folders",
}


def __getattr__(name):
    """Import late: TensorFlow takes seconds, and ``python -m data --help`` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'data' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
