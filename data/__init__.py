"""Data sets: pictures on disk to batches of pairs. Knows disks, not networks."""

from data.div2k import DIV2K
from data.folder import ImageFolder

__all__ = ["DIV2K", "ImageFolder"]
