"""Find and load networks: from a name or any weight file."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weights.load import load_model, manifest, register

__all__ = ["load_model", "manifest", "register"]


def __getattr__(name):
    """Import late: TensorFlow takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module 'weights' has no attribute {name!r}")
    return getattr(importlib.import_module("weights.load"), name)
