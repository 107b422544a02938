"""Batches by number: data sets that start at any step, and of which each worker loads its rows.

A batch is a function of (seed, step) and nothing else: there is no shuffle buffer and no state,
so training can start at any step at once and any batch can be made again from its number.
"""

import atexit
import threading
import time

import numpy as np
import tensorflow as tf

_ONE_AT_A_TIME = tf.data.Options()
_ONE_AT_A_TIME.experimental_optimization.map_parallelization = False  # two wait for Python's lock

_QUIET_S = 0.2
_LONGEST_WAIT_S = 10


class SeekableDataset(tf.data.Dataset):
    """A `tf.data.Dataset` that can also start at any step, at no cost.

    Args:
        start_at: Function ``(step, part=(0, 1))`` that returns the data set from that step on.
            Part (index, count) of each batch are the rows that worker `index` of `count` loads;
            the parts together are the batch.
        facts: What the data are: a dict that JSON can hold. Equal facts mean equal batches.
    """

    def __init__(self, start_at, facts=None):
        self.start_at, self.facts = start_at, facts or {}
        self._whole = start_at(0)
        super().__init__(self._whole._variant_tensor)

    def _inputs(self):
        return [self._whole]

    @property
    def element_spec(self):
        """Shapes and types of a batch."""
        return self._whole.element_spec


def step_generator(seed, step, index=0):
    """Return the random generator of one step of one seed, or of one sample of the step."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, int(index), int(step)]))


def check_whole(least, **numbers):
    """Check that arguments are whole numbers of at least `least`.

    Raises:
        ValueError: One is not; names it.
    """
    for name, number in numbers.items():
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if not whole or number < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {number!r}")


def rows_of(part, batch_size):
    """Rows that part (index, count) of a batch has, as a range; parts differ by one row at most."""
    index, count = part
    return range(index * batch_size // count, (index + 1) * batch_size // count)


def numbered_batches(batch, shapes, smallest, *, count=None, facts=None):
    """``batch(0, part)``, ``batch(1, part)``, … as a `SeekableDataset`.

    Args:
        batch: Function of a step and a part (index, count) → uint8 arrays, the part's rows.
        shapes: Shape of each array of a whole batch, None where it varies.
        smallest: Rows of the smallest batch; there can be as many parts.
        count: How many batches; None for no end.
        facts: See `SeekableDataset`; the data set's `start_at` raises `ValueError` for parts that
            do not exist or would be empty.
    """

    def start_at(first, part=(0, 1)):
        _check_part(part, smallest)
        local = [(rows and len(rows_of(part, rows)), *shape) for rows, *shape in shapes]

        def load(step):
            arrays = tf.numpy_function(
                lambda step: _loads.run(batch, int(step), part),
                [step],
                [tf.uint8] * len(local),
                stateful=False,
            )
            return tuple(map(tf.ensure_shape, arrays, local))

        steps = tf.data.Dataset.counter(start=first)
        steps = steps if count is None else steps.take(max(count - first, 0))
        ahead = steps.map(load).prefetch(4)  # a few batches ahead hide the loading behind the step
        return ahead.with_options(_ONE_AT_A_TIME)

    return SeekableDataset(start_at, facts)


def _check_part(part, smallest):
    index, parts = part
    if not 0 <= index < parts:
        raise ValueError(f"part must be (index, count) with 0 <= index < count, got {part}")
    if smallest < parts:
        raise ValueError(
            f"{parts} workers cannot share a batch of {smallest}: use a batch size of at least "
            f"{parts}, or fewer workers"
        )


class _Loads:
    """Runs what loads batches, and lets Python end only after it.

    TensorFlow's threads load ahead. One of them that calls Python while Python ends hangs or
    aborts the process. When nobody takes batches any more, they stop as soon as the buffers are
    full: that is waited for.
    """

    def __init__(self):
        self._lock, self._running, self._ended_at = threading.Lock(), 0, -_QUIET_S
        atexit.register(self.wait)

    def run(self, batch, step, part):
        with self._lock:
            self._running += 1
        try:
            return batch(step, part)
        finally:
            with self._lock:
                self._running -= 1
                self._ended_at = time.monotonic()

    def wait(self):
        until = time.monotonic() + _LONGEST_WAIT_S
        while time.monotonic() < until:
            with self._lock:
                if not self._running and time.monotonic() - self._ended_at >= _QUIET_S:
                    return
            time.sleep(_QUIET_S / 10)


_loads = _Loads()
