"""Picture files: which there are, what they hold, and what a store is made of."""

import array
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

READ_ERRORS = (
    OSError,
    UnidentifiedImageError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
)
"""What reading a damaged or strange picture file raises."""


class Paths(Sequence[Path]):
    """Paths in two arrays: as objects, a million would take half a gigabyte.

    Args:
        paths: Strings or paths.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]):
        self._text, self._ends = bytearray(), array.array("q", [0])
        for path in paths:
            self._text += os.fsencode(path)
            self._ends.append(len(self._text))

    def __len__(self):
        return len(self._ends) - 1

    def __getitem__(self, number):
        if isinstance(number, slice):
            return Paths(self[i] for i in range(*number.indices(len(self))))
        number = range(len(self))[number]
        encoded = self._text[self._ends[number] : self._ends[number + 1]]
        return Path(os.fsdecode(bytes(encoded)))


def picture_files(*directories):
    """Return the pictures of one or more folders as `Paths`, by name within each.

    Raises:
        FileNotFoundError: No such folder, or no picture in one.
    """
    return Paths(
        Path(directory, name) for directory in directories for name in _picture_names(directory)
    )


def _picture_names(directory):
    if not Path(directory).is_dir():
        raise FileNotFoundError(f"no folder {directory}")
    with os.scandir(directory) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES
        )
    if not names:
        suffixes = ", ".join(sorted(PICTURE_SUFFIXES))
        raise FileNotFoundError(f"no pictures ({suffixes}) in {directory}")
    return names


def read_picture(file):
    """Return a picture file as (H, W, 3) uint8 RGB, turned upright.

    Raises:
        OSError: It cannot be read, or is cut short.
        ValueError: It has more than 8 bits a channel.
    """
    with Image.open(file) as picture:
        if picture.mode.startswith(("I", "F")):
            raise ValueError(f"more than 8 bits a channel ({picture.mode})")
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def _picture_size(file):
    with Image.open(file) as picture:
        sideways = picture.getexif().get(0x0112, 1) >= 5  # orientations 5 to 8 lie on their side
        return picture.size if sideways else picture.size[::-1]
