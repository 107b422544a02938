"""Where a store's pictures come from: files as they are, or made smaller."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.degrade import imresize
from data.pictures.folder import _picture_size, read_picture


@dataclass(frozen=True)
class Source:
    """What a store is made of: `len(names)` pictures, by number.

    Attributes:
        names: One name a picture.
        digest: Hexadecimal digest of what the pictures are.
        size: Number to (height, width), without decoding if possible.
        read: Number to (H, W, 3) uint8 RGB. Both raise `OSError` or `ValueError` if unreadable.
    """

    names: Sequence[str | Path]
    digest: str
    size: Callable[[int], tuple[int, int]]
    read: Callable[[int], np.ndarray]


def files_source(files):
    """Make a `Source` of picture files, a sequence of paths."""
    digest, between = hashlib.sha256(), b""
    for file in files:
        facts = os.stat(file)
        line = f" {facts.st_size} {facts.st_mtime_ns}".encode()
        digest.update(between + os.fsencode(file.name) + line)
        between = b"\n"
    return Source(
        names=files,
        digest=digest.hexdigest(),
        size=lambda i: _picture_size(files[i]),
        read=lambda i: read_picture(files[i]),
    )


def shrunk_source(hr_store, scale):
    """Make a `Source` of all pictures of a store, `scale` times smaller (MATLAB's bicubic)."""
    sizes = hr_store.sizes // scale

    def size(i):
        if not sizes[i].all():
            raise ValueError("its HR picture is unreadable or smaller than the scale")
        return tuple(sizes[i])

    def read(i):
        height, width = sizes[i] * scale
        return imresize(hr_store[i][:height, :width], 1 / scale)

    digest = hashlib.sha256(f"{hr_store.digest} imresize {scale}".encode()).hexdigest()
    return Source(names=hr_store.names(), digest=digest, size=size, read=read)
