"""Import TensorFlow without the lines that its C++ part writes while it starts."""

import contextlib
import os
import sys


def load_tensorflow():
    """Import TensorFlow without the lines its C++ part writes to stderr while it starts."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_closed():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _stderr_closed():
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
