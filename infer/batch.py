"""Many pictures through one network: read, enlarged and written at the same time.

One picture's failure does not stop the others; what is done is skipped when run again.
"""

import collections
import functools
import hashlib
import itertools
import math
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.pictures.read import MAX_MEGAPIXELS, picture_size, read_picture
from data.pictures.whole_file import whole_file
from data.pictures.write import check_writable, encode
from infer.jobs import Record
from infer.memory import free_bytes

_UNWRITTEN_BYTES = 512 << 20  # finished pictures that may wait for the disk


@dataclass(frozen=True)
class Settings:
    """What a result depends on beside its source, and what may be replaced.

    Attributes:
        key: Any string that is the same only for the same network and options.
        tile, overlap_px: See `infer.upscaler.upscale`.
        quality: Of JPEG and WebP.
        overwrite: Replace files that this command did not make.
        max_megapixels: See `data.pictures.read.read_picture`.
        workers: Threads that read and write.
    """

    key: str
    tile: int | str | None = "auto"
    overlap_px: int | None = None
    quality: int = 95
    overwrite: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    workers: int = 2


def fingerprint(model):
    """Return a digest of a network's weights."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()[:16]


@dataclass
class Outcome:
    """What became of a run.

    Attributes:
        done, skipped: Numbers of pictures.
        failures: ``(source, sentence)`` of each that failed.
    """

    done: int = 0
    skipped: int = 0
    failures: list[tuple[Path, str]] = field(default_factory=list)


def run(jobs, network, settings, *, in_folder, report=print):
    """Enlarge many pictures, with a progress bar. One that fails does not stop the others.

    Args:
        jobs: The `Job`s.
        network: An `infer.upscaler.Upscaler`.
        settings: The `Settings`.
        in_folder: Keep a record in the folder of results, skip what is done, and spare what is
            not ours.
        report: Called with a sentence on each picture of which something was left out.

    Returns:
        The `Outcome`.
    """
    if settings.workers < 1:
        raise ValueError(f"workers must be at least 1, got {settings.workers}")
    return _Batch(network, settings, jobs[0].target.parent if in_folder else None, report)(jobs)


class _Batch:
    """One run: `workers` threads read ahead and write behind while this one runs the network."""

    def __init__(self, network, settings, folder, report):
        self._network, self._settings, self._report = network, settings, report
        self._record = Record(folder) if folder else None
        self._outcome = Outcome()
        self._unwritten = collections.deque()  # (job, future, bytes)

    def __call__(self, jobs):
        sizes = self._sizes([job for job in jobs if self._is_wanted(job)])
        total = sum(height * width for height, width in sizes.values()) / 1e6
        self._bar = tqdm(total=total, unit="MP", disable=None, dynamic_ncols=True)
        with self._bar, ThreadPoolExecutor(self._settings.workers) as pool:
            try:
                # by size: a GPU prepares its convolutions anew for each
                for job, reading in self._read_ahead(pool, sorted(sizes, key=sizes.__getitem__)):
                    self._bar.set_postfix_str(f"{self._outcome.done}/{len(sizes)} pictures")
                    self._enlarge(job, reading, pool)
                self._wait_for_writing(0)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return self._outcome

    def _is_wanted(self, job):
        """Skip what is done; refuse to replace what is not ours."""
        if not self._record or not job.target.exists():
            return True
        line = self._record.line_of(job.target)
        if line and line.items() >= self._record.entry(job, self._settings.key).items():
            self._outcome.skipped += 1
            return False
        if line or self._settings.overwrite:
            return True
        self._fail(job, f"{job.target} is there and was not made by this command; see --overwrite")
        return False

    def _sizes(self, jobs):
        sizes = {}
        for job in jobs:
            try:
                sizes[job] = picture_size(job.source)
            except (ValueError, OSError) as error:
                self._fail(job, error)
        return sizes

    def _fail(self, job, error):
        self._outcome.failures.append((job.source, str(error) or type(error).__name__))

    def _read_ahead(self, pool, jobs):
        waiting, jobs = collections.deque(), iter(jobs)
        while True:
            for job in itertools.islice(jobs, self._settings.workers - len(waiting)):
                waiting.append((job, pool.submit(self._read, job)))
            if not waiting:
                return
            yield waiting.popleft()

    def _read(self, job):
        return read_picture(job.source, max_megapixels=self._settings.max_megapixels)

    def _enlarge(self, job, reading, pool):
        settings = self._settings
        try:
            picture = reading.result()
            shape, dtype = self._network.result(picture.pixels)
            check_writable(job.target, *shape[:2])
            size = math.prod(shape) * dtype.itemsize
            self._wait_for_writing(max(0, _UNWRITTEN_BYTES - size))
            picture.pixels = self._network(
                picture.pixels,
                tile=settings.tile,
                overlap_px=settings.overlap_px,
                out=_room_for(shape, dtype, job.target.parent),
                report=lambda pixels: self._bar.update(pixels / 1e6),
            )
        except (ValueError, OSError, MemoryError) as error:
            self._fail(job, error)
        else:
            self._unwritten.append((job, pool.submit(self._write, job, picture), size))

    def _write(self, job, picture):
        add = None
        if self._record:
            entry = self._record.entry(job, self._settings.key)
            add = functools.partial(self._record.add, entry)
        with whole_file(job.target, add) as file:
            encode(file, job.target.suffix, picture, self._settings.quality)
        for note in picture.notes:
            self._report(f"{job.source}: {note}")

    def _wait_for_writing(self, allowed_bytes):
        """Wait until at most so many bytes of results are still to be written."""
        while self._unwritten and sum(size for *_, size in self._unwritten) > allowed_bytes:
            job, writing, _ = self._unwritten.popleft()
            try:
                writing.result()
            except (ValueError, OSError, MemoryError) as error:
                self._fail(job, error)
            else:
                self._outcome.done += 1


def _room_for(shape, dtype, folder):
    """An array for a result: in memory, or in a nameless file if it would take a quarter of it."""
    size = math.prod(shape) * dtype.itemsize
    if size < free_bytes() / 4:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # a full disk is an error now, not a crash later
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "w+", shape=shape)
