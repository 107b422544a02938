"""Ctrl-C and SIGTERM while a run trains: raised where the state is that of a whole step."""

import contextlib
import signal
import threading

import tensorflow as tf

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Turns signals into `KeyboardInterrupt` between updates; a context manager.

    A signal that comes while checkpoints and logs are written waits for `check`; one that comes
    while the network is evaluated or an update is traced, within `at_once` or `between_graphs`,
    does not. A second signal never waits. Outside the main thread, where Python has no signals,
    nothing is changed.
    """

    def __init__(self):
        self._asked = self._at_once = False
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):  # background jobs ignore SIGINT
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, *_):
        again, self._asked = self._asked, True  # `check` raises if what is raised here is swallowed
        if again or self._at_once:
            raise KeyboardInterrupt

    def check(self):
        """Raise `KeyboardInterrupt` if a signal has come."""
        if self._asked:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def at_once(self):
        """Let signals through: nothing that a checkpoint holds is being changed."""
        self.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def between_graphs(self):
        """Let signals through while a graph is traced or run: Python sees them before or after it.

        Run operation by operation, as TensorFlow can be told for debugging, they wait.
        """
        return contextlib.nullcontext() if tf.config.functions_run_eagerly() else self.at_once()
