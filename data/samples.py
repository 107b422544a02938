"""A few photographs to try things on without fetching any: scikit-image brings them along."""

from pathlib import Path

import skimage.data
from PIL import Image

TRAINING = ("chelsea", "coffee", "hubble_deep_field", "immunohistochemistry", "retina", "rocket")
"""Colour pictures of `skimage.data`, CC0 or public domain."""

VALIDATION = {"face": (40, 120), "badge": (300, 110)}
"""Name → top and left of a part of NASA's portrait of Eileen Collins, public domain."""

VALIDATION_PX = 192


def sample_folders(directory):
    """Write the pictures as PNG files, unless they are there.

    Args:
        directory: Folder in which ``train/`` and ``valid/`` are made.

    Returns:
        The paths of both.
    """
    folders = {"train": Path(directory, "train"), "valid": Path(directory, "valid")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for name in TRAINING:
        _write(folders["train"] / f"{name}.png", getattr(skimage.data, name)())
    portrait = skimage.data.astronaut()
    for name, (top, left) in VALIDATION.items():
        part = portrait[top : top + VALIDATION_PX, left : left + VALIDATION_PX]
        _write(folders["valid"] / f"{name}.png", part)
    return folders["train"], folders["valid"]


def tissue_folders(directory):
    """Write two parts of a micrograph as PNG files, unless they are there.

    Stained tissue is unlike photographs, so a network trained on those can be seen to learn from
    few steps. The picture is `skimage.data.immunohistochemistry`, without known copyright.

    Args:
        directory: Folder in which ``train/`` and ``valid/`` are made.

    Returns:
        The paths of both.
    """
    tissue = skimage.data.immunohistochemistry()
    folders = Path(directory, "train"), Path(directory, "valid")
    for folder, part in zip(folders, (tissue[:, :352], tissue[:192, 360:]), strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "tissue.png", part)
    return folders


def _write(path, pixels):
    if not path.exists():
        Image.fromarray(pixels).save(path)
