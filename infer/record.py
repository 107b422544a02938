"""Which results a folder holds, and which of them another process is making.

A folder of results keeps a record, `RECORD`, of what was made from which file (name, size, time)
by which network and options. It lets a second run skip what is done, tells the folder's own
results from other people's files, which are never overwritten unasked, and survives a kill: a line
is written before its file appears. While a result is made its name is locked, so that runs at the
same time share the work.
"""

import collections
import contextlib
import errno
import hashlib
import json
import os
from pathlib import Path

import filelock

RECORD = ".infer.jsonl"


class Record:
    """The results a folder is known to hold.

    Only where the lines on a result are is kept in memory, not the lines.

    Args:
        folder: The folder; results may lie in folders in it.
        part: Name of one of several writers on other machines: each has a file of its own.
    """

    def __init__(self, folder, part=None):
        self._folder = Path(folder)
        self._own = self._folder / (f".infer-{part}.jsonl" if part else RECORD)
        self._read_bytes = {}  # file → how much of it
        self._places = collections.defaultdict(tuple)  # hash of a name → (file, offset)s
        self.refresh()

    def refresh(self):
        """Read what this or another process added since."""
        for file in self._files():
            for offset, entry in self._new_entries(file):
                self._places[hash(entry["target"])] += ((file, offset),)

    def _files(self):
        parts = self._folder.glob(".infer-*.jsonl")
        return [file for file in (self._folder / RECORD, *sorted(parts)) if file.exists()]

    def _new_entries(self, file):
        start = self._read_bytes.get(file, 0)
        with file.open("rb") as lines:
            lines.seek(start)
            for line in lines:
                if not line.endswith(b"\n"):  # may still be being written
                    break
                entry = _parsed(line)
                if entry:
                    yield start, entry
                start += len(line)
        self._read_bytes[file] = start

    def results(self):
        """Yield ``(result, source)`` of files that are as they were made here, oldest first."""
        self._read_bytes.clear()
        for file in self._files():
            for _, entry in self._new_entries(file):
                if self._found(self._folder / entry["target"]) == entry["result"]:
                    yield entry["target"], entry["source"][0]

    def entry(self, job, key):
        """What a result made now would be recorded as, without its own size and time."""
        source = [real_name(job.source), *_identity(job.source)]
        return {"target": self._name(job.target), "source": source, "key": key}

    def _name(self, target):
        return target.relative_to(self._folder).as_posix()

    def _found(self, target):
        """What a file is known by; None: there is none."""
        try:
            return _identity(target)
        except OSError:
            return None

    def _finished(self, hidden):
        return _identity(hidden)

    def line_of(self, target):
        """The line that tells of a file as it is now; None: not made here, or changed since."""
        found, name = self._found(target), self._name(target)
        if found is None:
            return None
        for _ in range(2):
            for file, offset in self._places.get(hash(name), ()):
                with file.open("rb") as lines:
                    lines.seek(offset)
                    entry = _parsed(lines.readline())
                if entry and entry["target"] == name and entry["result"] == found:
                    return entry
            self.refresh()  # another process may have made it just now
        return None

    def add(self, entry, hidden):
        """Record a finished file that still has its hidden name."""
        line = json.dumps(entry | {"result": self._finished(hidden)})
        with self._own.open("ab+") as file:
            start = file.tell() - 1
            cut_short = False
            if start >= 0:
                file.seek(start)
                cut_short = file.read(1) != b"\n"  # by a kill or a full disk
            file.write(b"\n" * cut_short + line.encode() + b"\n")

    def take_parts(self):
        """Add what other writers wrote to the one file, and delete theirs."""
        for part in self._folder.glob(".infer-*.jsonl"):
            whole = [line for line in part.read_bytes().splitlines() if _parsed(line)]
            with (self._folder / RECORD).open("ab") as file:
                file.write(b"".join(line + b"\n" for line in whole))
            part.unlink()

    def lock(self, target):
        """Return a lock on the making of a result: taken, or None if another process has it."""
        lock = filelock.FileLock(self._lock_file(target), thread_local=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return None
        return lock

    def wait_for(self, target):
        """Return a lock on the making of a result as soon as no other process has it."""
        lock = filelock.FileLock(self._lock_file(target), thread_local=False)
        lock.acquire()
        return lock

    def _lock_file(self, target):
        digest = hashlib.sha256(self._name(target).encode(errors="surrogateescape")).hexdigest()
        return str(self._folder / f".{digest[:16]}.lock")


def _parsed(line):
    """A line as a dictionary; None: cut short by a kill, so the file it tells of never appeared."""
    try:
        entry = json.loads(line)
        return entry if entry["target"] and entry["result"] and entry["source"][0] else None
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def real_name(place):
    """The name of a file behind links, or its address in a store."""
    return os.path.realpath(place) if isinstance(place, Path) else str(place)


def _identity(file):
    """Size and time of a file, or what a store knows it by."""
    if not isinstance(file, Path):
        identity = file.identity()
        if identity is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
        return identity
    stat = os.stat(file)
    return [stat.st_size, stat.st_mtime_ns]


def release(lock):
    """Give a lock up; its file goes first, so that none is left behind."""
    with contextlib.suppress(PermissionError):  # Windows, where the lock itself deletes it
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def remove_locks(folder):
    """Delete lock files that killed processes left."""
    for file in Path(folder).glob(f".{'[0-9a-f]' * 16}.lock"):
        lock = filelock.FileLock(str(file), thread_local=False)
        with contextlib.suppress(filelock.Timeout):
            lock.acquire(timeout=0)
            release(lock)
