"""What the commands that make pictures share: find them, run them, report."""

import signal
import sys
from pathlib import Path


def prepare(options):
    """Find what a command is to make, and make the folder it goes to, before a network is loaded.

    Returns:
        ``(jobs, in_folder)``, see `infer.jobs.jobs_for` and `infer.batch.run`.
    """
    from data.pictures.whole_file import remove_leftovers
    from data.pictures.write import check_quality
    from infer import jobs

    check_quality(options.quality)
    sources, many = jobs.find_sources(options.pictures)
    ending = options.format and f".{options.format}"
    todo = jobs.jobs_for(
        sources,
        many,
        options.out,
        suffix=options.suffix,
        ending=ending,
        overwrite=options.overwrite,
    )
    in_folder = todo[0].target != Path(options.out)
    if in_folder:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        remove_leftovers(Path(options.out))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return todo, in_folder


def run(todo, network, options, key, in_folder):
    """Send pictures through a network, see `infer.batch.run`; `key` names network and options."""
    from infer import batch

    settings = batch.Settings(
        key=key,
        tile=options.tile,
        overlap_px=options.overlap_px,
        quality=options.quality,
        overwrite=options.overwrite,
        max_megapixels=options.max_megapixels,
        workers=options.workers,
    )
    return batch.run(todo, network, settings, in_folder=in_folder, report=report)


def report(sentence):
    """Write a sentence to stderr, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(sentence, file=sys.stderr)


def conclude(outcome, in_folder):
    """Print what became of the run; returns the exit status."""
    if in_folder:
        print(
            f"{outcome.done} done, {outcome.skipped} skipped (done before), "
            f"{len(outcome.failures)} failed"
        )
    for source, sentence in outcome.failures:
        about = "" if str(source) in sentence else f"{source}: "
        print(f"error: {about}{sentence}", file=sys.stderr)
    return 1 if outcome.failures else 0
