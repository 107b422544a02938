"""Training loops and recipes. Knows loops; is handed networks and data sets."""

from train.recipes import EdsrTrainer, SrganGeneratorTrainer, SrganTrainer, WdsrTrainer
from train.trainer import Trainer

__all__ = ["EdsrTrainer", "SrganGeneratorTrainer", "SrganTrainer", "Trainer", "WdsrTrainer"]
