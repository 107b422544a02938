"""Training loops and recipes. Knows loops; is handed networks and data sets."""

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from train.foundation import FoundationTrainer, fine_tune
    from train.options import TrainerOptions
    from train.recipes import (
        EdsrTrainer,
        EsrganGeneratorTrainer,
        EsrganTrainer,
        SrganGeneratorTrainer,
        SrganTrainer,
        WdsrTrainer,
    )
    from train.trainer import Trainer

__all__ = [
    "EdsrTrainer",
    "EsrganGeneratorTrainer",
    "EsrganTrainer",
    "FoundationTrainer",
    "SrganGeneratorTrainer",
    "SrganTrainer",
    "Trainer",
    "TrainerOptions",
    "WdsrTrainer",
    "fine_tune",
]

_HOMES = {
    "FoundationTrainer": "train.foundation",
    "Trainer": "train.trainer",
    "TrainerOptions": "train.options",
    "fine_tune": "train.foundation",
}

_model = importlib.util.find_spec("model")
if _model is None or Path(_model.origin or "").parents[1] != Path(__file__).parents[1]:
    raise ImportError(
        f"`import model` finds {_model and _model.origin}, not this library's: rename that folder "
        f"or put {Path(__file__).parents[1]} first on sys.path"
    )


def __getattr__(name):
    """Import late: TensorFlow takes seconds, and ``python -m train --help`` needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module 'train' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "train.recipes")), name)
