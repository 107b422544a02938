"""How much memory is free, as far as this process may use it, and room for large results."""

import math
import os
import tempfile
from pathlib import Path

import numpy as np
import psutil

_CGROUP = Path("/sys/fs/cgroup")


def free_bytes():
    """Bytes that can still be allocated: the machine's, or the container's if that is less."""
    free = psutil.virtual_memory().available
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, max(0, int(limit) - used))


def room_for(shape, dtype, folder=None):
    """Return an array for a result: in memory, or in a nameless file if it would take a quarter.

    Args:
        shape: Of the array.
        dtype: Of the array.
        folder: Where the file would be; None: where temporary files are.

    Raises:
        OSError: The disk has no room for the file.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < free_bytes() / 4:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # a full disk is an error now, not a crash later
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "w+", shape=shape)
