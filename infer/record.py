"""Which results a folder holds, and which of them another process is making.

A folder of results keeps a record, `RECORD`, of what was made from which file (name, size, time)
by which network and options. It lets a second run skip what is done, tells the folder's own
results from other people's files, which are never overwritten unasked, and survives a kill: a line
is written before its file appears. While a result is made its name is locked, so that runs at the
same time share the work.
"""

import collections
import contextlib
import hashlib
import json
from pathlib import Path

import filelock

RECORD = ".infer.jsonl"


class Record:
    """The results a folder is known to hold.

    Args:
        folder: The folder; results may lie in folders in it.

    Attributes:
        made: File name in the folder → what was noted of it, oldest first.
    """

    def __init__(self, folder):
        self._folder, self._file = Path(folder), Path(folder) / RECORD
        self.made = collections.defaultdict(list)
        self._read_bytes = 0
        self.refresh()

    def refresh(self):
        """Read what this or another process added since."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._read_bytes)
            new = file.read()
        ends = new.rfind(b"\n") + 1  # what follows may still be being written
        self._read_bytes += ends
        for line in new[:ends].decode(errors="replace").splitlines():
            self._remember(line)

    def _remember(self, line):
        try:
            entry = json.loads(line)
            if entry["result"] and entry["source"][0]:
                self.made[entry["target"]].append(entry)
        except (json.JSONDecodeError, KeyError, TypeError, IndexError):
            return  # cut short by a kill: the file it tells of did not appear

    def entry(self, job, key):
        """What a result made now would be recorded as, without its own size and time."""
        stat = job.source.stat()
        source = [str(job.source.resolve()), stat.st_size, stat.st_mtime_ns]
        return {"target": self._name(job.target), "source": source, "key": key}

    def _name(self, target):
        return target.relative_to(self._folder).as_posix()

    def line_of(self, target):
        """The line that tells of a file as it is now; None: not made here, or changed since."""
        try:
            stat = target.stat()
        except OSError:
            return None
        found = [stat.st_size, stat.st_mtime_ns]
        for _ in range(2):
            for line in self.made.get(self._name(target), ()):
                if line["result"] == found:
                    return line
            self.refresh()  # another process may have made it just now
        return None

    def add(self, entry, hidden):
        """Record a finished file that still has its hidden name."""
        stat = hidden.stat()
        line = json.dumps(entry | {"result": [stat.st_size, stat.st_mtime_ns]})
        with self._file.open("ab+") as file:
            start = file.tell() - 1
            cut_short = False
            if start >= 0:
                file.seek(start)
                cut_short = file.read(1) != b"\n"  # by a kill or a full disk
            file.write(b"\n" * cut_short + line.encode() + b"\n")

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
