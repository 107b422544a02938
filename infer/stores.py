"""Pictures in other stores than the disk: ``s3://``, ``gs://``, ``memory://`` and all fsspec knows.

A result is encoded to a nameless file here and uploaded whole. In object stores an upload appears
when it is complete; elsewhere it gets a hidden name first, and then its own. Addresses are printed
without what may be a password in them, and so is what a store's client has to complain of.
"""

import contextlib
import io
import json
import os
import re
import shutil
import tempfile
import urllib.parse
import uuid
import weakref
from pathlib import Path, PurePosixPath

from infer.record import RECORD, Record

_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss"})
_PART_LINES = 100  # of a record's part, which is written anew for each result


def is_address(text):
    """Whether a text names something in a store, not on the disk."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", str(text)))


def place(text):
    """Return a `pathlib.Path`, or what stands for it in a store."""
    if not is_address(text):
        return Path(text)
    if str(text).startswith("file://"):
        return Path(urllib.parse.unquote(str(text)[len("file://") :]))
    return Remote(str(text))


class Remote:
    """A file or folder in a store, with what of `pathlib.Path` is needed of one.

    Args:
        address: Such as ``s3://bucket/folder/a.png``.

    Raises:
        ValueError: fsspec, or the package for this store, is not installed.
    """

    def __init__(self, address):
        self.address = address.rstrip("/")
        self._data = None

    @property
    def _pure(self):
        return PurePosixPath(self.address.partition("://")[2])

    @property
    def name(self):
        """The last part of the address."""
        return self._pure.name

    @property
    def stem(self):
        """The name without its ending."""
        return self._pure.stem

    @property
    def suffix(self):
        """The ending of the name."""
        return self._pure.suffix

    @property
    def parent(self):
        """The folder."""
        return Remote(self.address.rpartition("/")[0])

    def relative_to(self, folder):
        """Where it lies in a folder that it is in."""
        return PurePosixPath(self.address[len(folder.address) + 1 :])

    def __str__(self):
        """The address without a user's name and password."""
        return re.sub(r"://[^/@]*@", "://", self.address)

    def __eq__(self, other):
        return isinstance(other, Remote) and other.address == self.address

    def __hash__(self):
        return hash(self.address)

    @contextlib.contextmanager
    def _store(self):
        """The file system and the path in it; its errors name the address and no secrets."""
        try:
            yield _file_system(self)
        except OSError as error:
            error.filename = None
            raise type(error)(error.errno, error.strerror or _kind(error), str(self)) from None
        except (ValueError, KeyboardInterrupt):
            raise
        except Exception as error:  # each store's client has errors of its own
            raise OSError(
                f"{self}: {_kind(error)}; see the store's own documentation on credentials and "
                "settings"
            ) from None

    def open(self, mode="rb"):
        """Read the whole file, once."""
        if self._data is None:
            with self._store() as (store, path):
                self._data = store.cat_file(path)
        return io.BytesIO(self._data)

    def forget(self):
        """Keep what was read no longer."""
        self._data = None

    def identity(self):
        """Size, and a mark that changes with the content; None: it is not there."""
        try:
            with self._store() as (store, path):
                info = store.info(path)
        except FileNotFoundError:
            return None
        marks = ("ETag", "etag", "mtime", "LastModified", "updated", "last_modified", "created")
        return [info["size"], str(next((info[mark] for mark in marks if mark in info), ""))]

    def files(self, recursive=False):
        """Yield addresses of the files in a folder, by name; of itself, if it is a file.

        Raises:
            FileNotFoundError: There is nothing of this name.
        """
        with self._store() as (store, path):
            root = re.split(r"/[^/]*[*?\[]", path)[0]  # a store may print its paths otherwise
            address = re.split(r"/[^/]*[*?\[]", self.address)[0]
            if root != path:
                found = [("", [], store.glob(path))]
            elif store.isfile(path):
                found = [("", [], [path])]
            else:
                store.info(path)
                found = store.walk(path, maxdepth=None if recursive else 1)
            for folder, folders, names in found:
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(names):
                    if not PurePosixPath(name).name.startswith("."):
                        yield address + (f"{folder}/{name}" if folder else name)[len(root) :]

    def is_folder(self):
        """Whether there are files in it."""
        with self._store() as (store, path):
            return store.isdir(path)

    def write(self, data):
        """Write a small file, whole."""
        with self._store() as (store, path):
            store.pipe_file(path, data)

    def unlink(self):
        """Delete the file."""
        with self._store() as (store, path):
            store.rm_file(path)

    def upload(self, file):
        """Make a local file appear here, whole or not at all."""
        with self._store() as (store, path):
            if self.address.partition("://")[0] in _OBJECT_STORES:
                store.put_file(file, path)
                return
            hidden = f"{path.rpartition('/')[0]}/.{uuid.uuid4().hex[:16]}.partial"
            store.makedirs(path.rpartition("/")[0], exist_ok=True)
            try:
                store.put_file(file, hidden)
                store.mv(hidden, path)
            finally:
                if store.exists(hidden):
                    store.rm_file(hidden)


def _file_system(remote):
    try:
        import fsspec
    except ImportError:
        raise ValueError(
            f"{remote} is in a store: pip install 'whole-pictures[stores]', which brings fsspec"
        ) from None
    try:
        return fsspec.core.url_to_fs(remote.address)
    except ImportError as error:
        raise ValueError(f"{remote} needs one package more: {error}") from None


def _kind(error):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()


def is_there(target):
    """Whether a name is taken."""
    return os.path.lexists(target) if isinstance(target, Path) else target.identity() is not None


def local_folder(target):
    """Where large results may wait for being encoded: their folder, or None for that of the system.

    Made if missing.
    """
    if not isinstance(target, Path):
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.parent


@contextlib.contextmanager
def whole(target, before_it_appears=None):
    """`data.pictures.whole_file.whole_file` for any place."""
    from data.pictures.whole_file import whole_file

    if isinstance(target, Path):
        with whole_file(target, before_it_appears) as file:
            yield file
        return
    with tempfile.NamedTemporaryFile() as file:
        yield file
        file.flush()
        if before_it_appears:
            before_it_appears(Path(file.name))
        target.upload(file.name)


def record_of(folder, part=None):
    """The `Record` of a folder of results in any place; `part` as there."""
    return Record(folder, part) if isinstance(folder, Path) else _StoreRecord(folder)


class _StoreRecord(Record):
    """A record in a store, where nothing can be appended to: in parts of a hundred lines.

    A result is known by its size. Nothing is locked: of two runs at once each makes all that the
    other has not finished, and the same appears twice.

    Args:
        folder: `Remote`.

    Raises:
        OSError: It cannot be written to.
    """

    def __init__(self, folder):
        copy = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, copy, ignore_errors=True)
        self._store_folder, self._lines = folder, []
        probe = Remote(f"{folder.address}/.infer-{uuid.uuid4().hex[:12]}.jsonl")
        probe.write(b"")
        with folder._store() as (store, path):
            parts = store.glob(f"{path}/.infer*.jsonl")
            texts = store.cat(parts) if parts else {}
        (copy / RECORD).write_bytes(b"".join(texts[part] for part in sorted(texts)))
        self._part = probe
        super().__init__(copy)

    def _name(self, target):
        return target.relative_to(self._store_folder).as_posix()

    def _found(self, target):
        identity = target.identity()
        return identity and identity[:1]

    def _finished(self, hidden):
        return [hidden.stat().st_size]

    def add(self, entry, hidden):
        """Record a finished file that is not yet uploaded."""
        super().add(entry, hidden)
        self._lines.append(json.dumps(entry | {"result": self._finished(hidden)}) + "\n")
        self._part.write("".join(self._lines).encode())
        if len(self._lines) == _PART_LINES:
            self._lines = []
            self._part = Remote(
                f"{self._store_folder.address}/.infer-{uuid.uuid4().hex[:12]}.jsonl"
            )

    def take_parts(self):
        """Nothing to do: all is in parts."""

    def lock(self, target):
        """Nothing is locked."""
        return _NoLock()

    def wait_for(self, target):
        """Nothing is waited for."""
        return _NoLock()


class _NoLock:
    lock_file = os.devnull + ".none"

    def release(self):
        """Nothing to do."""
