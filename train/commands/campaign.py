"""``python -m train campaign``: train what is still to be trained, in order.

Each start takes the first recipe of `QUEUE` that is neither finished nor being trained by another
start, resumes it where an earlier start left it, and goes on with the next: with one start on each
core, the machine is never idle. Finished is what has its file in ``--out``.
"""

import contextlib
from pathlib import Path

import filelock

from train.commands import stages
from train.commands.bundled import RECIPES
from train.commands.shelf import add_place_options

COMMANDS = {
    "campaign": (
        "Train the next unfinished network of a queue, resume it, and go on with the next.",
        "python -m train campaign --pictures data_sets --out campaign --list",
    ),
}

QUEUE = (
    "restormer-small",
    "wdsr-b-32-x4",
    "wdsr-b-32-x4-photo",
    "restormer-small-denoise",
    "restormer-small-deblur",
    "restormer-small-antialias",
    "restormer-small-jpeg",
    "restormer-small-inpaint",
    "wdsr-b-32-x4-text",
    "wdsr-b-32-x4-faces",
    "wdsr-b-32-x4-gan",
    "wdsr-b-32-x4-faces-gan",
    "wdsr-b-32-x2",
    "wdsr-b-32-x2-photo",
    "wdsr-b-32-x3",
    "edsr-16-x4",
    "wdsr-b-8-x4",
)
"""Names of recipes in the order in which they are trained."""


def add_options(command, name="campaign"):
    """Add the options of ``campaign``."""
    add_place_options(command, "campaign")
    command.add_argument(
        "--list", action="store_true", help="only show the queue and how far it is"
    )


def run(options, report=print):
    """Show the queue, or train what is left of it; returns the exit status.

    A recipe that fails is named, and passed over until the next start.
    """
    if options.list:
        for name in QUEUE:
            report(f"{name}: {_state(name, options.out)}; {RECIPES[name].described()}")
        return 0
    failed = []
    while name := next((n for n in QUEUE if n not in failed and _is_free(n, options.out)), None):
        with _taken(name, options.out) as taken:
            if taken and not _train(name, options, report):
                failed.append(name)
                report(f"{name} failed; see above")
    left = [f"{name}: {_state(name, options.out)}" for name in QUEUE]
    report("\n".join(left))
    return 1 if failed else 0


def _train(name, options, report):
    """Run the stages of a recipe that have not written their file; whether all went well."""
    for words in RECIPES[name].commands(name, options.pictures, options.out):
        if not Path(words[-1]).exists() and stages.train(words, report):
            return False
    return True


def _file(name, out):
    return Path(out, f"{name}.weights.h5")


def _waits_for(name, out):
    return [need for need in RECIPES[name].needs() if not _file(need, out).exists()]


def _is_free(name, out):
    if _file(name, out).exists() or _waits_for(name, out):
        return False
    with _taken(name, out) as taken:
        return taken


@contextlib.contextmanager
def _taken(name, out):
    """Keep other starts from a recipe; gives whether it was to be had."""
    Path(out).mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(Path(out, f"{name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _state(name, out):
    if _file(name, out).exists():
        return "finished"
    if waits_for := _waits_for(name, out):
        return f"waits for {', '.join(waits_for)}"
    if not Path(out).exists():
        return "to do"
    with _taken(name, out) as taken:
        return "to do" if taken else "being trained"
