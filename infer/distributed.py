"""Many machines: Ray Data carries names of pictures to workers, which read, enlarge and write them.

Pictures never travel through Ray, only their names do: sources and results lie where all machines
find them, on a shared disk or in a store. Results and records are those of the local command. A
worker that dies is replaced, and what it was making is made again; a picture that kills every
worker is given up after a few.
"""

import contextlib
import errno
import functools
import hashlib
import logging
import os
import time
import uuid
from pathlib import Path

import numpy as np

from data.pictures.read import MAX_MEGAPIXELS
from data.quiet_start import load_tensorflow
from infer.batch import Settings, UnusableError, is_done, make_one
from infer.jobs import Job
from infer.progress import Outcome, Progress
from infer.sentences import sentence
from infer.stores import Remote, place, record_of

_MOST_TASKS = 4096  # of one picture each; longer lists have several pictures in a task
_MOST_TRIES = 4
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ROOT = Path(__file__).parents[1]


class Enlarge:
    """What a worker runs: names of pictures in, results written, what became of them out.

    It can be pickled, and loads its network when it is first called, once a worker. Give it to
    ``ray.data.Dataset.map_batches``, or call `one` from any other pipeline.

    Args:
        network: Name or file of weights of a network that enlarges; or a function without
            arguments that can be pickled → ``(make, key)``, see `infer.batch.run`.
        size: `infer.sizes.OutputSize`; None: the network's scale.
        folder: Where all results go, to keep a record there; None: no record is kept, and what is
            there is replaced.
        quality: Of JPEG and WebP.
        max_megapixels: See `data.pictures.read.read_picture`.
        threads: Cores for a worker; None: all.
        version: What `library_version` says where the work is given out: workers with another
            version refuse it. None: not compared.
    """

    def __init__(
        self,
        network,
        *,
        size=None,
        folder=None,
        quality=95,
        max_megapixels=MAX_MEGAPIXELS,
        threads=None,
        version=None,
    ):
        self._build = network if callable(network) else functools.partial(_upscaler, network, size)
        self._folder, self._threads, self._version = folder, threads, version
        self._limits = {"quality": quality, "max_megapixels": max_megapixels}
        self._ready = None

    def __getstate__(self):
        return {**self.__dict__, "_ready": None}

    def __call__(self, rows):
        """Make the pictures of some rows.

        Args:
            rows: Columns "source" and "target": names or addresses.

        Returns:
            The same with "error" (a sentence; empty: made), "stop" (whether the error is of all
            pictures), "pixels" (of the source) and "seconds".
        """
        made = [self.one(*pair) for pair in zip(rows["source"], rows["target"], strict=True)]
        return {name: np.array([row[name] for row in made]) for name in made[0]}

    def one(self, source, target):
        """Make one picture; returns a row, see `__call__`."""
        job, began = Job(place(str(source)), place(str(target))), time.monotonic()
        error, stop, pixels = "", False, 0
        try:
            self._load()
            pixels = self._made(job)
        except UnusableError as failure:
            error, stop = sentence(failure.__cause__ or failure), True
        except (ValueError, OSError, MemoryError) as failure:
            error = sentence(failure, job.target)
            stop = isinstance(failure, OSError) and failure.errno in _FULL
        return {
            "source": str(source),
            "target": str(target),
            "error": error,
            "stop": stop,
            "pixels": pixels,
            "seconds": time.monotonic() - began,
        }

    def _load(self):
        if self._ready:
            return
        if self._version and self._version != library_version():
            raise UnusableError(
                f"a worker has another version of the library ({library_version()}) than the one "
                f"that gives out the work ({self._version}): install the same on all machines"
            )
        if self._threads:
            load_tensorflow()
            import tensorflow as tf

            with contextlib.suppress(RuntimeError):  # TensorFlow is in use already
                tf.config.threading.set_intra_op_parallelism_threads(self._threads)
        try:
            make, key = self._build()
        except (ValueError, OSError) as error:
            raise UnusableError from error
        folder = self._folder and place(str(self._folder))
        record = record_of(folder, part=uuid.uuid4().hex[:12]) if folder else None
        self._ready = make, Settings(lambda job: key, **self._limits), record

    def _made(self, job):
        """Make a picture that is not made yet; returns its number of pixels."""
        make, settings, record = self._ready
        if record and is_done(job, record, settings.key(job), overwrite=True):
            return 0  # by a worker that died before it could say so
        with _counted_tries(job.target):
            return make_one(job, make, settings, record)


def _upscaler(name, size):
    """What makes pictures with a network of that name, and the key of its results."""
    load_tensorflow()
    from infer.batch import fingerprint
    from infer.sizes import Sized
    from infer.upscaler import Upscaler
    from model.layers import fold_weight_norm
    from weights.load import load_model

    model = fold_weight_norm(load_model(name))
    network = Sized(Upscaler(model), size) if size else Upscaler(model)

    def make(job, pixels, **where):
        return network(pixels, tile="auto", **where)

    return make, f"{fingerprint(model)} {size}"


@contextlib.contextmanager
def _counted_tries(target):
    """Give up a picture in whose making workers die again and again."""
    note = f".{hashlib.sha256(str(target).encode()).hexdigest()[:16]}.tries"
    file = place(target.address + note) if isinstance(target, Remote) else target.with_name(note)
    try:
        tries = len(file.open("rb").read())
    except FileNotFoundError:
        tries = 0
    if tries >= _MOST_TRIES:
        file.unlink()
        raise ValueError(f"{target} was given up: {tries} workers died of making it")
    if isinstance(file, Path):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * (tries + 1))
    else:
        file.write(b"x" * (tries + 1))
    try:
        yield
    finally:
        file.unlink()


@functools.cache
def library_version():
    """Version of the library, and a digest of its files."""
    from whole_pictures import version

    digest = hashlib.sha256()
    for room in ("data", "model", "weights", "infer"):
        for file in sorted((_ROOT / room).rglob("*.py")):
            digest.update(file.read_bytes())
    return f"{version()} {digest.hexdigest()[:12]}"


def run(jobs, build, settings, folder, *, concurrency=None, num_cpus=1, num_gpus=0):
    """Make many pictures on a Ray cluster: one that is running, or one of this machine.

    Args:
        jobs: The `infer.jobs.Job`s.
        build: Function without arguments that can be pickled → ``(make, key)``; see `Enlarge`.
        settings: `infer.batch.Settings`.
        folder: Where results go.
        concurrency: Number of workers; None: as many as the cluster has cores (or GPUs) for.
        num_cpus: Cores of a worker.
        num_gpus: GPUs of a worker; 0.5 lets two share one.

    Returns:
        `infer.batch.Outcome`.

    Raises:
        ValueError: Ray is not installed, or workers refuse the work.
        OSError: The target is full, or the cluster went away.
    """
    ray = _started_ray()
    outcome, record = Outcome(), record_of(folder)
    progress = Progress(len(jobs))
    rows = list(_wanted(jobs, record, settings, outcome, progress))
    if rows:
        options = {
            "folder": _absolute(folder),
            "quality": settings.quality,
            "max_megapixels": settings.max_megapixels,
            "threads": max(1, int(num_cpus)),
            "version": library_version(),
        }
        total = ray.cluster_resources()
        fits = total.get("GPU", 0) // num_gpus if num_gpus else total.get("CPU", 1) // num_cpus
        workers = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_TASKS))
        workers = workers.map_batches(
            Enlarge,
            fn_constructor_args=(build,),
            fn_constructor_kwargs=options,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(
                size=min(concurrency or max(1, int(fits)), len(rows))
            ),
            num_cpus=num_cpus,
            num_gpus=num_gpus or None,
        )
        try:
            for row in workers.iter_rows():
                _count(row, outcome, progress)
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise OSError(f"the cluster went away ({_first_line(error)}); run again") from None
        finally:
            record.take_parts()
    progress.close()
    outcome.summary = progress.summary()
    return outcome


def _started_ray():
    try:
        import ray  # pyright: ignore[reportMissingImports]
        import ray.data  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError("--engine ray needs Ray Data: pip install 'whole-pictures[ray]'") from None
    if not ray.is_initialized():
        try:
            ray.init(include_dashboard=False, logging_level="warning")
        except Exception as error:  # Ray raises bare ones: a node that does not start in time
            raise OSError(f"no Ray cluster answers: {_first_line(error)}") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray


def _first_line(error):
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _wanted(jobs, record, settings, outcome, progress):
    for job in jobs:
        try:
            done = is_done(job, record, settings.key(job), settings.overwrite)
        except (ValueError, OSError) as error:
            outcome.failures.append((job.source, sentence(error, job.target)))
            done = None
        if done is False:
            yield {"source": _absolute(job.source), "target": _absolute(job.target)}
            continue
        outcome.skipped += bool(done)
        progress.leave_out()


def _absolute(path):
    return path.address if isinstance(path, Remote) else os.path.abspath(path)


def _count(row, outcome, progress):
    if row["stop"]:
        raise (ValueError if "version" in row["error"] else OSError)(row["error"])
    if row["error"]:
        outcome.failures.append((row["source"], row["error"]))
        progress.leave_out()
        return
    outcome.done += 1
    progress.advance(row["pixels"], max(1, row["pixels"]))
    progress.made(row["source"], row["seconds"])
