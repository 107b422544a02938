"""Import TensorFlow quietly, and without what it brings along but this library never uses."""

import contextlib
import gc
import os
import sys

_NOT_NEEDED = ("IPython", "jax", "matplotlib", "matplotlib.pyplot", "pandas", "scipy")


def load_tensorflow():
    """Import TensorFlow without the lines its C++ part writes to stderr while it starts.

    Keras' plots, data adapters and editor import Matplotlib, pandas, SciPy and IPython where these
    are installed, and TF Lite imports JAX; the garbage collector looks at new objects all the time,
    although all of them stay. That is a third of the time that the import takes.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_closed(), _hidden(_NOT_NEEDED), _nothing_collected():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _nothing_collected():
    """Collect no garbage meanwhile, and never look through what was made here."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _hidden(names):
    """Let modules that are not imported yet look as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


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
