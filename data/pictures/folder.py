"""Picture files: which there are, what they hold, and what a store is made of."""

import array
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from data.pictures.read import READABLE as PICTURE_SUFFIXES

READ_ERRORS = (OSError, ValueError)
"""What reading a damaged or strange picture file raises."""


class Paths(Sequence[Path]):
    """Paths in two arrays: as objects, a million would take half a gigabyte.

    Args:
        paths: Strings or paths.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]):
        self._text, self._ends = bytearray(), array.array("q", [0])
        for path in paths:
            self.append(path)

    def append(self, path):
        """Add a string or path."""
        self._text += os.fsencode(path)
        self._ends.append(len(self._text))

    def names(self):
        """All of them as strings, in less time than as paths."""
        for start, end in itertools.pairwise(self._ends):
            yield os.fsdecode(bytes(self._text[start:end]))

    def __len__(self):
        return len(self._ends) - 1

    def __getitem__(self, number):
        if isinstance(number, slice):
            return Paths(self[i] for i in range(*number.indices(len(self))))
        return Path(self.name(number))

    def name(self, number):
        """One of them as it was given, as a string."""
        number = range(len(self))[number]
        return os.fsdecode(bytes(self._text[self._ends[number] : self._ends[number + 1]]))


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
