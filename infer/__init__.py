"""Pictures and weights: files in, better files out. Uses networks, never trains them."""

import importlib
from typing import TYPE_CHECKING

from whole_pictures import check_rooms

if TYPE_CHECKING:
    from data.pictures.read import load_image
    from data.pictures.write import save_image
    from infer.fusion import Fusion
    from infer.plot import plot_sample
    from infer.sizes import OutputSize, Sized
    from infer.upscaler import Upscaler, upscale
    from weights.load import load_model

__all__ = [
    "Fusion",
    "OutputSize",
    "Sized",
    "Upscaler",
    "load_image",
    "load_model",
    "plot_sample",
    "save_image",
    "upscale",
]

_HOMES = {
    "Fusion": "infer.fusion",
    "OutputSize": "infer.sizes",
    "Sized": "infer.sizes",
    "Upscaler": "infer.upscaler",
    "load_image": "data.pictures.read",
    "load_model": "weights.load",
    "plot_sample": "infer.plot",
    "save_image": "data.pictures.write",
    "upscale": "infer.upscaler",
}

check_rooms()


def __getattr__(name):
    """Import late: TensorFlow takes seconds, and ``python -m infer --help`` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'infer' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
