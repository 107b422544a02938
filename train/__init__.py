"""Training loops and recipes. Knows loops; is handed networks and data sets."""

import importlib
from typing import TYPE_CHECKING

from whole_pictures import check_rooms

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

check_rooms()


def __getattr__(name):
    """Import late: TensorFlow takes seconds, and ``python -m train --help`` needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module 'train' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "train.recipes")), name)
