"""Which pictures a command is to make, under which names, and which of them are there already.

A folder of results keeps a record, `RECORD`, of what was made from which file (name, size, time)
by which network and options. It lets a second run skip what is done, tells the folder's own
results from other people's files, which are never overwritten unasked, and survives a kill: a line
is written before its file appears.
"""

import collections
import glob
import json
from dataclasses import dataclass
from pathlib import Path

from data.pictures.read import READABLE
from data.pictures.write import WRITABLE, check_writable

RECORD = ".infer.jsonl"


@dataclass(frozen=True)
class Job:
    """One picture to enlarge."""

    source: Path
    target: Path


def find_sources(patterns):
    """List the pictures that files, folders and globs name.

    Args:
        patterns: Each a file, a folder (its pictures, not those of folders in it), or a pattern
            with ``*``, ``?`` or ``[``.

    Returns:
        ``(files, many)``; `many`: a folder or pattern was named, or more than one file.

    Raises:
        FileNotFoundError: One names nothing.
    """
    files, many = [], len(patterns) > 1
    for pattern in patterns:
        found = _named(pattern)
        if not found:
            raise FileNotFoundError(f"no picture {pattern}")
        many |= found != [Path(pattern)]
        files += found
    return list(dict.fromkeys(files)), many


def _named(pattern):
    path = Path(pattern)
    if path.is_dir():
        made_here = Record(path).made
        found = sorted(f for f in path.iterdir() if f.suffix.lower() in READABLE and f.is_file())
        return [f for f in found if not f.name.startswith(".") and f.name not in made_here]
    if path.exists():
        return [path]
    return sorted(Path(f) for f in glob.glob(pattern) if Path(f).is_file())


def jobs_for(files, many, out, *, suffix="", ending=None, overwrite=False):
    """Say where each result goes, before anything is read.

    Args:
        files: The pictures.
        many: Whether `out` must be a folder.
        out: A file name, or a folder (made if missing; a single file's must exist or end in ``/``).
        suffix: Put between a name and its ending, in a folder.
        ending: ``".png"`` and the like: format of results in a folder; None: as the source, or
            PNG where that cannot be written.
        overwrite: Allow results to take the place of their sources.

    Raises:
        ValueError: Two results would have one name, one would replace a source, or `out` does not
            fit.
    """
    target = Path(out)
    _check_folder(target, many)
    if many or target.is_dir() or str(out).endswith("/"):
        jobs = [Job(f, target / (f.stem + suffix + (ending or _same(f)))) for f in files]
    elif suffix or ending:
        raise ValueError(f"a suffix and a format are for folders; {out} has its own name")
    else:
        jobs = [Job(files[0], target)]
    _check_targets(jobs, overwrite)
    return jobs


def _check_folder(target, many):
    has_picture_name = target.suffix.lower() in WRITABLE
    if many and not target.is_dir() and (target.exists() or has_picture_name):
        raise ValueError(f"several pictures need a folder to go to, got {target}")
    if not many and target.is_dir() and has_picture_name:
        raise ValueError(f"{target} is a folder; name a file in it")


def _same(file):
    return file.suffix if file.suffix.lower() in WRITABLE else ".png"


def _check_targets(jobs, overwrite):
    sources = {job.source.resolve() for job in jobs}
    taken = {}
    for job in jobs:
        check_writable(job.target, 1, 1)
        if job.target in taken:
            raise ValueError(
                f"{taken[job.target]} and {job.source} would both be written to {job.target}"
            )
        taken[job.target] = job.source
        if job.target.resolve() in sources and not overwrite:
            raise ValueError(
                f"{job.target} is an original; give another folder, a suffix, or --overwrite"
            )


class Record:
    """The results a folder is known to hold."""

    def __init__(self, folder):
        self._file = folder / RECORD
        self.made = collections.defaultdict(list)  # file name → lines, oldest first
        if self._file.exists():
            for line in self._file.read_text().splitlines():
                self._remember(line)

    def _remember(self, line):
        try:
            entry = json.loads(line)
            self.made[entry["target"]].append(entry)
        except (json.JSONDecodeError, KeyError, TypeError):
            return  # cut short by a kill: the file it tells of did not appear

    def entry(self, job, key):
        """What a result made now would be recorded as, without its own size and time."""
        stat = job.source.stat()
        source = [str(job.source.resolve()), stat.st_size, stat.st_mtime_ns]
        return {"target": job.target.name, "source": source, "key": key}

    def line_of(self, target):
        """The line that tells of a file as it is now; None: not made here, or changed since."""
        stat = [target.stat().st_size, target.stat().st_mtime_ns]
        lines = (line for line in self.made.get(target.name, ()) if line["result"] == stat)
        return next(lines, None)

    def add(self, entry, hidden):
        """Record a finished file that still has its hidden name."""
        stat = hidden.stat()
        line = json.dumps(entry | {"result": [stat.st_size, stat.st_mtime_ns]})
        with self._file.open("a") as file:
            file.write(line + "\n")
