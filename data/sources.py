"""Where a store's pictures come from: files as they are, or made smaller."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.degrade import imresize
from data.pictures.read import picture_size, read_rgb8

_VERSION = 2
"""Of how files become pixels: another makes new stores of the same files."""


@dataclass(frozen=True)
class Source:
    """What a store is made of: `len(names)` pictures, by number.

    Attributes:
        names: One name a picture.
        digest: Hexadecimal digest of everything that decides what the pictures are.
        size: Number to (height, width), without decoding if possible.
        read: Number to (H, W, 3) uint8 RGB. Both raise `OSError` or `ValueError` if unreadable.
    """

    names: Sequence[str | Path]
    digest: str
    size: Callable[[int], tuple[int, int]]
    read: Callable[[int], np.ndarray]


def files_source(files):
    """Make a `Source` of picture files, a sequence of paths; missing ones are unreadable."""
    return Source(
        names=files,
        digest=_digest_of_files(files),
        size=lambda i: picture_size(files[i]),
        read=lambda i: read_rgb8(files[i]),
    )


def _digest_of_files(files):
    """Digest of paths, sizes and times.

    The time of the last change of the file's entry is among them, because an archive sets that of
    its content: the files of two archives, unpacked to one place, may differ in nothing else.
    """
    digest = hashlib.sha256(f"version {_VERSION}".encode())
    for file in files:
        try:
            facts = os.stat(file)
            line = f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"
        except OSError:
            line = "missing"
        digest.update(f"\n{line} ".encode() + os.fsencode(os.path.abspath(file)))
    return digest.hexdigest()


def shrunk_source(hr_store, scale):
    """Make a `Source` of all pictures of a store, `scale` times smaller (MATLAB's bicubic).

    What the store has left out, and told, has no pixels here either.
    """
    sizes = hr_store.sizes // scale

    def size(i):
        if hr_store.sizes[i].all() and not sizes[i].all():
            raise ValueError(f"its HR picture is smaller than {scale} × {scale} px")
        return tuple(sizes[i])

    def read(i):
        if not sizes[i].all():
            return np.empty((0, 0, 3), np.uint8)
        height, width = sizes[i] * scale
        return imresize(hr_store[i][:height, :width], 1 / scale)

    digest = hashlib.sha256(f"{hr_store.digest} imresize {scale}".encode()).hexdigest()
    return Source(names=hr_store.names(), digest=digest, size=size, read=read)
