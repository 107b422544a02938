"""Many pictures through one function: read, made and written at the same time.

One picture's failure does not stop the others; what is done is skipped when run again, and what
another process is making at the time is left to it.
"""

import collections
import contextlib
import hashlib
import itertools
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.pictures.read import MAX_MEGAPIXELS, picture_size, read_picture
from data.pictures.write import check_writable, encode
from infer.jobs import Job, check_name
from infer.memory import room_for
from infer.progress import Outcome, Progress
from infer.record import release
from infer.sentences import sentence
from infer.stores import is_there, local_folder, record_of, whole

_UNWRITTEN_BYTES = 512 << 20  # finished pictures that may wait for the disk
_WINDOW = 256  # pictures that are sorted by size at a time


@dataclass(frozen=True)
class Settings:
    """What a result depends on beside its source, and what may be replaced.

    Attributes:
        key: Function of a `Job` to a string that is the same only for the same network and
            options.
        quality: Of JPEG and WebP.
        overwrite: Replace files that this command did not make.
        max_megapixels: See `data.pictures.read.read_picture`.
        workers: Threads that read and write.
    """

    key: Callable[[Job], str]
    quality: int = 95
    overwrite: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    workers: int = 2


def fingerprint(model):
    """Return a digest of a network's weights, and of what its layers compute in."""
    digest = hashlib.sha256("".join(layer.compute_dtype for layer in model.layers).encode())
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()[:16]


class UnusableError(Exception):
    """A network cannot be used for any picture; says why by its cause."""


def run(jobs, make, settings, *, folder=None, before=None, report=print):
    """Make many pictures, with a progress bar. One that fails does not stop the others.

    Args:
        jobs: The `Job`s.
        make: Function (job, pixels, out=…, report=…) → result: an array, or an object with one as
            ``pixels``. `out` is a function (shape, dtype) → array to write the result to, `report`
            takes the number of picture pixels done since last time; see `infer.Upscaler`.
        settings: The `Settings`.
        folder: Where results go: keep a record there, skip what is done, and spare what is not
            ours. None: a single result, whose name is known to be free.
        before: Function (job, result), called in a writing thread when a result's file is finished
            and still hidden; what it raises is that picture's failure.
        report: Called with a sentence on each picture of which something was left out.

    Returns:
        The `Outcome`.
    """
    if settings.workers < 1:
        raise ValueError(f"workers must be at least 1, got {settings.workers}")
    return _Batch(make, settings, folder, before, report)(jobs)


def is_done(job, record, key, overwrite=False):
    """Whether the record of a folder knows a job's result as it is.

    Raises:
        ValueError: There is a file that was not made by this command, and it may not be replaced.
    """
    check_name(job.target)
    line = record.line_of(job.target)
    if line and line.items() >= record.entry(job, key).items():
        return True
    if not line and not overwrite and is_there(job.target):
        raise ValueError(f"{job.target} is there and was not made by this command; see --overwrite")
    return False


def make_one(job, make, settings, record=None):
    """Make one picture here and now, whatever is there; returns its number of pixels.

    Args:
        job: The `Job`.
        make: See `run`.
        settings: The `Settings`.
        record: `infer.record.Record` to note it in; None: none.
    """
    batch = _Batch(make, settings, None, None, print)
    batch._record = record
    picture, _ = batch._read(job)
    height, width = picture.pixels.shape[:2]

    def room(shape, dtype):
        check_writable(job.target, *shape[:2])
        return room_for(shape, dtype, local_folder(job.target))

    result = make(job, picture.pixels, out=room, report=None)
    picture.pixels = getattr(result, "pixels", result)
    batch._write(job, picture, result, 0)
    return height * width


class _Batch:
    """One run: `workers` threads read ahead and write behind while this one makes pictures."""

    def __init__(self, make, settings, folder, before, report):
        self._make, self._settings = make, settings
        self._before, self._report = before, report
        self._record = record_of(folder) if folder else None
        self._failed = set()
        self._locks = {}  # job → lock of the file that is being made
        self._outcome = Outcome()
        self._unwritten = collections.deque()  # (job, future, bytes)

    def __call__(self, jobs):
        self._progress, others = Progress(len(jobs)), []
        with (
            contextlib.closing(self._progress),
            ThreadPoolExecutor(self._settings.workers) as pool,
        ):
            try:
                for job, reading in self._read_ahead(pool, self._by_size(jobs)):
                    if self._lock(job):
                        self._run(job, reading, pool)
                    elif job not in self._failed:
                        others.append(job)
                self._wait_for_writing(0)
                self._await(others, pool)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            finally:
                for job in list(self._locks):
                    self._release(job)
        self._outcome.summary = self._progress.summary()
        return self._outcome

    def _by_size(self, jobs):
        """The jobs that are wanted; those near each other by size, for which a GPU prepares anew.

        What is done and how large the others are is asked as the run goes on: archives begin at
        once.
        """
        wanted = (job for job in jobs if self._is_wanted(job))
        while window := list(itertools.islice(wanted, _WINDOW)):
            sizes = self._sizes(window)
            yield from sorted(sizes, key=sizes.__getitem__)

    def _is_wanted(self, job):
        """Skip what is done; refuse to replace what is not ours."""
        if not self._record:
            return True
        try:
            if is_done(job, self._record, self._settings.key(job), self._settings.overwrite):
                self._outcome.skipped += 1
                self._progress.leave_out()
                return False
        except (ValueError, OSError) as error:
            self._fail(job, error)
            return False
        return True

    def _sizes(self, jobs):
        sizes = {}
        for job in jobs:
            try:
                # a store would be asked for the whole file, and once more when its turn comes
                sizes[job] = picture_size(job.source) if isinstance(job.source, Path) else (0, 0)
            except (ValueError, OSError) as error:
                self._fail(job, error)
        return sizes

    def _fail(self, job, error):
        self._failed.add(job)
        self._progress.leave_out()
        self._outcome.failures.append((job.source, sentence(error, job.target)))

    def _lock(self, job):
        """Take the lock of a job's target; False: another process makes it, or it has failed."""
        if not self._record:
            return True
        try:
            lock = self._record.lock(job.target)
        except OSError as error:
            self._fail(job, error)
            return False
        if lock:
            self._locks[job] = lock
        return lock is not None

    def _release(self, job):
        if job in self._locks:
            release(self._locks.pop(job))

    def _await(self, jobs, pool):
        """Take over, one after the other, what another process did not finish."""
        for job in jobs:
            self._locks[job] = self._record.wait_for(job.target)
            self._run(job, pool.submit(self._read, job), pool)
            self._wait_for_writing(0)

    def _read_ahead(self, pool, jobs):
        waiting, jobs = collections.deque(), iter(jobs)
        while True:
            for job in itertools.islice(jobs, self._settings.workers - len(waiting)):
                waiting.append((job, pool.submit(self._read, job)))
            if not waiting:
                return
            yield waiting.popleft()

    def _read(self, job):
        began = time.monotonic()
        picture = read_picture(job.source, max_megapixels=self._settings.max_megapixels)
        return picture, time.monotonic() - began

    def _run(self, job, reading, pool):
        """Make one picture, unless another process did so since this run began."""
        if not self._is_wanted(job):
            self._release(job)
            return
        sizes, began = [], time.monotonic()

        def room(shape, dtype):
            check_writable(job.target, *shape[:2])
            folder = local_folder(job.target)
            sizes.append(math.prod(shape) * np.dtype(dtype).itemsize)
            self._wait_for_writing(max(0, _UNWRITTEN_BYTES - sizes[-1]))
            return room_for(shape, dtype, folder)

        try:
            picture, seconds = reading.result()
            size = math.prod(picture.pixels.shape[:2])
            result = self._make(
                job,
                picture.pixels,
                out=room,
                report=lambda pixels: self._progress.advance(pixels, size),
            )
        except (ValueError, OSError, MemoryError) as error:
            self._fail(job, error)
            self._release(job)
        else:
            picture.pixels = getattr(result, "pixels", result)
            seconds += time.monotonic() - began
            writing = pool.submit(self._write, job, picture, result, seconds)
            self._unwritten.append((job, writing, max(1, sum(sizes))))

    def _write(self, job, picture, result, seconds):
        """Returns the seconds since the picture was begun to be read, but for waiting."""
        began = time.monotonic()

        def finish(hidden):
            if self._before:
                self._before(job, result)
            if self._record:
                self._record.add(self._record.entry(job, self._settings.key(job)), hidden)

        with whole(job.target, finish) as file:
            encode(file, job.target.suffix, picture, self._settings.quality)
        for note in picture.notes:
            self._report(f"{job.source}: {note}")
        return seconds + time.monotonic() - began

    def _wait_for_writing(self, allowed_bytes):
        """Wait until at most so many bytes of results are still to be written."""
        while self._unwritten and sum(size for *_, size in self._unwritten) > allowed_bytes:
            job, writing, _ = self._unwritten.popleft()
            try:
                seconds = writing.result()
            except (ValueError, OSError, MemoryError) as error:
                self._fail(job, error)
            else:
                self._outcome.done += 1
                self._progress.made(job.source, seconds)
            finally:
                self._release(job)
