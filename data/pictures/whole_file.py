"""Files that appear under their name only when they are whole.

Until then they have a hidden, short name that says which machine and process writes it, so that
what a killed process left can be told from what another one is still writing.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import platform
import re
from pathlib import Path

import psutil

_FULL = (errno.ENOSPC, errno.EDQUOT)
_numbers = itertools.count()


@contextlib.contextmanager
def whole_file(path, before_it_appears=None):
    """Open a file for writing and reading that appears under its name only when it is whole.

    Args:
        path: The name.
        before_it_appears: Called with the path of the finished, still hidden file.

    Raises:
        OSError: It cannot be written; names `path`.
    """
    path = Path(path)
    partial = path.with_name(f".{_home()}-{os.getpid()}-{next(_numbers)}.partial")
    try:
        with partial.open("w+b") as file:
            yield file
        if before_it_appears:
            before_it_appears(partial)
        os.replace(partial, path)
    except OSError as error:
        if error.errno and str(error.filename) in ("None", str(partial)):
            way_out = "; free some, or write elsewhere" if error.errno in _FULL else ""
            raise OSError(error.errno, f"{error.strerror}{way_out}", str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def remove_leftovers(folder):
    """Delete the hidden, unfinished files that killed processes of this machine left in a folder.

    Those of other machines and containers stay: whether they are still written cannot be known.
    """
    ours = re.compile(rf"\.{_home()}-(\d+)-\d+\.partial")
    for file in Path(folder).glob(".*.partial"):
        match = ours.fullmatch(file.name)
        if match and not psutil.pid_exists(int(match[1])):
            file.unlink(missing_ok=True)


def _home():
    """Eight letters for the machine, or the container, in which process numbers are unique."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux
        processes = ""
    return hashlib.sha256(f"{platform.node()} {processes}".encode()).hexdigest()[:8]
