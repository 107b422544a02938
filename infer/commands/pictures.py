"""What the commands that make pictures share: find them, run them, report."""

import signal
import sys
from pathlib import Path


def prepare(options):
    """Find what a command is to make, and make the folder it goes to, before a network is loaded.

    Returns:
        ``(jobs, folder)``, see `infer.jobs.jobs_for`.
    """
    from data.pictures.whole_file import remove_leftovers
    from data.pictures.write import check_quality
    from infer import jobs
    from infer.record import remove_locks

    check_quality(options.quality)
    sources = jobs.find_sources(
        options.pictures, options.out, recursive=options.recursive, suffix=options.suffix
    )
    todo, folder = jobs.jobs_for(
        sources,
        options.out,
        suffix=options.suffix,
        ending=options.format and f".{options.format}",
        overwrite=options.overwrite,
    )
    if sources.remark():
        report(sources.remark())
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        for place in {folder, *(job.target.parent for job in todo)}:
            remove_leftovers(place)
        remove_locks(folder)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return todo, Path(folder) if folder else None


def run(todo, make, options, key, folder, before=None):
    """Make pictures, see `infer.batch.run`; `key` names the network and its options for a job."""
    from infer import batch

    settings = batch.Settings(
        key=key,
        quality=options.quality,
        overwrite=options.overwrite,
        max_megapixels=options.max_megapixels,
        workers=options.workers,
    )
    return batch.run(todo, make, settings, folder=folder, before=before, report=report)


def report(sentence):
    """Write a sentence to stderr, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(sentence, file=sys.stderr)


def conclude(outcome, folder):
    """Print what became of the run; returns the exit status."""
    if folder:
        print(
            f"{outcome.done} done, {outcome.skipped} skipped (done before), "
            f"{len(outcome.failures)} failed"
        )
    for source, sentence in outcome.failures:
        about = "" if str(source) in sentence else f"{source}: "
        print(f"error: {about}{sentence}", file=sys.stderr)
    return 1 if outcome.failures else 0
