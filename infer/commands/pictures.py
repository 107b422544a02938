"""What the commands that make pictures share: find them, run them, report."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import weakref
from pathlib import Path


def prepare(options):
    """Find what a command is to make, and make the folder it goes to, before a network is loaded.

    Returns:
        ``(jobs, folder)``, see `infer.jobs.jobs_for`.
    """
    from data.pictures.whole_file import remove_leftovers
    from data.pictures.write import check_quality
    from infer.jobs import jobs_for
    from infer.record import remove_locks
    from infer.sources import find_sources

    check_quality(options.quality)
    patterns, listed = _given(options)
    sources = find_sources(
        patterns, options.out, recursive=options.recursive, suffix=options.suffix, listed=listed
    )
    todo, folder = jobs_for(
        sources,
        _file_for_stdout(options, sources) if options.out == "-" else options.out,
        suffix=options.suffix,
        ending=options.format and options.out != "-" and f".{options.format}",
        overwrite=options.overwrite,
    )
    if sources.remark():
        report(sources.remark())
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)
        for place in {str(folder), *todo.folders()}:
            remove_leftovers(place)
        remove_locks(folder)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return todo, folder


def _given(options):
    """The pictures that are named, and the lines of a list of others or None."""
    if not options.pictures and options.files_from is None:
        raise ValueError("name pictures, folders or patterns, or give --files-from")
    if [*options.pictures, options.files_from].count("-") > 1:
        raise ValueError("stdin can be read once only, but - is given twice")
    listed = None
    if options.files_from == "-":
        listed = _lines(sys.stdin.buffer.read())
    elif options.files_from is not None:
        listed = _lines(Path(options.files_from).read_bytes())
    return [_from_stdin(options) if name == "-" else name for name in options.pictures], listed


def _lines(data):
    parts = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(part) for part in parts if part]


def _spool(options):
    """A folder for what comes from stdin and goes to stdout, deleted at the end."""
    if not hasattr(options, "spool"):
        options.spool = Path(tempfile.mkdtemp())
        weakref.finalize(options, shutil.rmtree, options.spool, ignore_errors=True)
    return options.spool


def _from_stdin(options):
    file = _spool(options) / "stdin"
    with file.open("wb") as spooled:
        shutil.copyfileobj(sys.stdin.buffer, spooled)
    return str(file)


def _file_for_stdout(options, sources):
    if sources.many:
        raise ValueError("several pictures need a folder to go to, got - for stdout")
    if sys.stdout.isatty():
        raise ValueError("- writes a picture to stdout, which is a terminal: send it elsewhere")
    return _spool(options) / f"stdout.{options.format or 'png'}"


def settings_of(options, key):
    """`infer.batch.Settings` of a command; `key` names the network and its options for a job."""
    from infer.batch import Settings

    return Settings(
        key=key,
        quality=options.quality,
        overwrite=options.overwrite,
        max_megapixels=options.max_megapixels,
        workers=options.workers,
    )


def run(todo, make, options, key, folder, before=None):
    """Make pictures, see `infer.batch.run` and `settings_of`."""
    from infer import batch

    settings = settings_of(options, key)
    try:
        outcome = batch.run(todo, make, settings, folder=folder, before=before, report=report)
    except batch.UnusableError as error:
        raise error.__cause__ from None
    if options.out == "-" and outcome.done:
        with todo[0].target.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()
    return outcome


def report(sentence):
    """Write a sentence to stderr, above the progress bar if there is one."""
    from tqdm import tqdm

    for listener in _listeners:
        listener(sentence)
    tqdm.write(sentence, file=sys.stderr)


_listeners = []


@contextlib.contextmanager
def listening(listener):
    """Also call `listener` with each sentence that is reported."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def conclude(outcome, folder):
    """Print what became of the run; returns the exit status."""
    if folder:
        print(
            f"{outcome.done} done, {outcome.skipped} skipped (done before), "
            f"{len(outcome.failures)} failed"
        )
        if outcome.summary:
            print(outcome.summary)
    for source, sentence in outcome.failures:
        about = "" if str(source) in sentence else f"{source}: "
        print(f"error: {about}{sentence}", file=sys.stderr)
    return 1 if outcome.failures else 0
