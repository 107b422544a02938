"""Decoded pictures in one flat uint8 file, read by window.

PNG decoding is what makes loaders slow, so each picture is decoded once. A store is a folder:

    pixels.u8   all pictures, RGB, row by row, one after another
    index.npy   offset, height, width and state of each picture, in one array
    names.txt   their names, for people
    store.json  written last: a store without it is unfinished and is continued, never used
    lock        held by the process that builds

The folder's name carries a digest of what went in (names, sizes, times), so changed pictures make
a new store and a store never goes stale. Nothing here keeps an object a picture, and no store
takes more than `_MAPPED_BYTES` of a process's memory: millions of pictures cost a few arrays.
"""

import contextlib
import errno
import fcntl
import json
import os
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.pictures.folder import READ_ERRORS, Paths

_INDEX = np.dtype([("offset", "<i8"), ("height", "<i4"), ("width", "<i4"), ("state", "u1")])
_WAITING, _DONE, _UNREADABLE = 0, 1, 2
_CHUNK = 256  # pictures handed to the workers at a time, so that millions need no queue
# Smaller stores are memory-mapped: what was read stays in the process. Of larger ones the rows of
# a window are read each time: no page stays, for two fifths of the speed while all is in cache.
_MAPPED_BYTES = 256 << 20


class PictureStore:
    """A finished store: `len()` pictures, each readable whole or by window.

    Args:
        directory: Folder of the store.

    Attributes:
        digest: Digest of what went in.
        sizes: (N, 2) int32, height and width; (0, 0) for a picture that could not be read.

    Raises:
        ValueError: The pixel file is not as long as it was when the store was finished.
    """

    def __init__(self, directory):
        directory = Path(directory)
        facts = json.loads((directory / "store.json").read_text())
        self.digest, self._names = facts["digest"], directory / "names.txt"
        index = np.load(directory / "index.npy")
        self.sizes = np.stack([index["height"], index["width"]], axis=1)
        self.sizes[index["state"] != _DONE] = 0
        self._offsets = index["offset"].copy()
        self._file = directory / "pixels.u8"
        found = self._file.stat().st_size
        if found != facts["bytes"]:
            raise ValueError(
                f"{self._file} has {found} bytes, not the {facts['bytes']} it was finished with: "
                f"remove the folder {directory}, and it is built again"
            )
        self._open()

    def _open(self):
        """Map a small pixel file, or open a large one."""
        if self._file.stat().st_size <= _MAPPED_BYTES:
            # asarray: windows of a plain array cost half of those of np.memmap
            self._mapped = np.asarray(np.memmap(self._file, np.uint8, mode="r"))
            return
        self._mapped = None
        self._descriptor = os.open(self._file, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, number):
        """Picture `number` whole, (H, W, 3): perhaps a view into the file, so copy what you keep.

        Raises `OSError` if the file ends before it.
        """
        height, width = self.sizes[number].tolist()
        return self.window(number, 0, 0, height, width)

    def window(self, number, top, left, height, width):
        """A window of picture `number`, (h, w, 3); else as the whole picture."""
        row = 3 * self.sizes.item(number, 1)
        start, length = self._offsets.item(number) + int(top) * row, int(height) * row
        if self._mapped is None:
            rows = self._read(start, length)
        else:
            rows = self._mapped[start : start + length]
        return rows.reshape(height, -1, 3)[:, left : left + width]

    def _read(self, offset, length):
        content = np.empty(length, np.uint8)
        if os.preadv(self._descriptor, [content], offset) < length:
            raise OSError(f"{self._file} ends before byte {offset + length}: it was cut short")
        return content

    def names(self):
        """Names of all pictures, `Paths`."""
        return Paths(map(os.fsdecode, self._names.read_bytes().split(b"\n")))


def open_store(directory, name, source, *, workers=None, strict=False, report=print):
    """Return the store of `source`, building or continuing it where it is not finished.

    Args:
        directory: Folder of stores.
        name: Beginning of the store's folder name; the digest follows.
        source: The pictures.
        workers: Threads that decode; all cores by default.
        strict: Stop at the first unreadable picture instead of skipping it.
        report: Called with one sentence on each picture left out, and one on their number.

    Raises:
        ValueError: `strict` and a picture is unreadable, or none is readable.
    """
    store = Path(directory) / f"{name}-{source.digest[:12]}"
    if not (store / "store.json").exists():
        store.mkdir(parents=True, exist_ok=True)
        with _locked(store, report):
            if not (store / "store.json").exists():  # another process may have finished it
                index = _read_sizes(store, source, workers, strict, report)
                _write_pixels(store, source, index, workers, strict, report)
                _finish(store, source, index, report)
    return PictureStore(store)


@contextlib.contextmanager
def _locked(store, report):
    """Let one process at a time build: workers on one disk all begin by opening the store."""
    with (store / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another process, which builds {store}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read_sizes(store, source, workers, strict, report):
    """Lay out the pixel file: where each picture goes is known before any is decoded."""
    if (store / "index.npy").exists():
        return np.load(store / "index.npy", mmap_mode="r+")
    index = np.zeros(len(source.names), _INDEX)
    title = store.name + ": sizes"
    for numbers, sizes in _in_chunks(_readable(source.size), range(len(index)), workers, title):
        for number, size in zip(numbers, sizes, strict=True):
            if isinstance(size, Exception):
                _leave_out(index, source, number, size, strict, report)
            else:
                index["height"][number], index["width"][number] = size
    lengths = 3 * index["height"].astype(np.int64) * index["width"]
    index["offset"] = np.cumsum(lengths) - lengths
    with (store / "pixels.u8").open("wb") as pixels:
        pixels.truncate(int(lengths.sum()))
    with (store / "names.txt").open("wb") as names:
        for number, name in enumerate(source.names):
            names.write(b"\n" * bool(number) + os.fsencode(name).replace(b"\n", b"?"))
    np.save(store / "index.partial.npy", index)
    os.replace(store / "index.partial.npy", store / "index.npy")
    return np.load(store / "index.npy", mmap_mode="r+")


def _write_pixels(store, source, index, workers, strict, report):
    waiting = np.flatnonzero(index["state"] == _WAITING)
    with (store / "pixels.u8").open("r+b") as pixels:
        copy = _copier(_readable(source.read), index, pixels.fileno())
        for numbers, errors in _in_chunks(copy, waiting, workers, store.name):
            done = []
            try:
                for number, error in zip(numbers, errors, strict=True):
                    if error:
                        _leave_out(index, source, number, error, strict, report)
                    else:
                        done.append(number)
            finally:
                os.fdatasync(pixels.fileno())  # before the index says so, for when power fails
                index["state"][done] = _DONE


def _copier(read, index, descriptor):
    """Return the function that writes one picture to its place, and returns what went wrong.

    The threads that decode also write: as many pictures as threads are in memory.
    """

    def copy(number):
        picture = read(number)
        if isinstance(picture, Exception):
            return picture
        if picture.shape[:2] != (index["height"][number], index["width"][number]):
            return ValueError("its size changed while the store was built")
        content, offset = picture.tobytes(), int(index["offset"][number])
        if os.pwrite(descriptor, content, offset) < len(content):
            raise OSError(errno.ENOSPC, "no space left for the pixels")
        return None

    return copy


def _readable(function):
    """Return `function` of a number, with reading errors as results."""

    def attempt(number):
        try:
            return function(number)
        except READ_ERRORS as error:
            return error

    return attempt


def _in_chunks(function, numbers, workers, title):
    """Yield (numbers, iterator of results) for all `numbers`, computed by threads, in order."""
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        bar = tqdm(total=len(numbers), desc=title, unit="picture", disable=None, leave=False)
        for start in range(0, len(numbers), _CHUNK):
            chunk = [int(number) for number in numbers[start : start + _CHUNK]]
            yield chunk, pool.map(function, chunk)
            bar.update(len(chunk))
        bar.close()


def _leave_out(index, source, number, error, strict, report):
    sentence = f"unreadable picture {source.names[number]}: {error}"
    if strict:
        raise ValueError(sentence) from error
    report(f"left out: {sentence}")
    index["state"][number] = _UNREADABLE


def _finish(store, source, index, report):
    readable = int(np.count_nonzero(index["state"] == _DONE))
    if not readable:
        raise ValueError(f"none of the {len(index)} pictures for {store.name} could be read")
    if readable < len(index):
        report(f"{len(index) - readable} of {len(index)} pictures were left out of {store.name}")
    index.flush()
    facts = {
        "digest": source.digest,
        "pictures": readable,
        "bytes": int((store / "pixels.u8").stat().st_size),
    }
    (store / "store.partial.json").write_text(json.dumps(facts))
    os.replace(store / "store.partial.json", store / "store.json")
