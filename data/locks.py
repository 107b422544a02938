"""One process at a time: those on one disk all begin by fetching or decoding the same files."""

import contextlib
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def one_at_a_time(file, waiting, report=print):
    """Hold the lock of a file; the system lets go of it if the process dies.

    Args:
        file: Path of the lock, in a folder that is there.
        waiting: Sentence to report if another process holds it, and is waited for.
        report: Called with that sentence.
    """
    lock = FileLock(Path(file))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(waiting)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
