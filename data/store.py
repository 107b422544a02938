"""Decoded pictures in one flat uint8 file, read by window.

PNG decoding is what makes loaders slow, so each picture is decoded once. A store is a folder:

    pixels.u8     all pictures, RGB, row by row, one after another
    index.npy     offset, height, width, state and digest of each picture, in one array
    names.txt     their names, for people
    left_out.txt  which pictures could not be read, and why; reported whenever the store is opened
    store.json    written last: a store without it is unfinished and is continued, never used
    lock          held by the process that builds

The folder's name carries a digest of what goes in (paths, sizes, times), so changed pictures make
a new store and a store never goes stale. `PictureStore.digest` is one of the pixels: it stays the
same when pictures are moved or copied. Nothing here keeps an object a picture, and no store takes
more than `_MAPPED_BYTES` of a process's memory: millions of pictures cost a few arrays.
"""

import json
import os
import threading
import weakref
from pathlib import Path

import numpy as np

from data import store_writer
from data.locks import one_at_a_time
from data.pictures.folder import Paths

# Smaller stores are memory-mapped: what was read stays in the process. Of larger ones the rows of
# a window are read each time: no page stays, for two fifths of the speed while all is in cache.
_MAPPED_BYTES = 256 << 20
_NAMED = 20  # pictures left out that are named when a store is opened


class PictureStore:
    """A finished store: `len()` pictures, each readable whole or by window.

    Args:
        directory: Folder of the store.

    Attributes:
        digest: Digest of all pixels and sizes.
        sizes: (N, 2) int32, height and width; (0, 0) for a picture that could not be read.

    Raises:
        ValueError: The pixel file is not as long as it was when the store was finished.
    """

    def __init__(self, directory):
        directory = Path(directory)
        facts = _facts(directory)
        self.digest, self._names = facts["digest"], directory / "names.txt"
        index = np.load(directory / "index.npy")
        self.sizes = np.stack([index["height"], index["width"]], axis=1)
        self.sizes[index["state"] != store_writer.DONE] = 0
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
        self._mapped, self._lock = None, threading.Lock()
        self._pixels = self._file.open("rb", buffering=0)
        weakref.finalize(self, self._pixels.close)

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
        with self._lock:  # threads share the position
            self._pixels.seek(offset)
            read = self._pixels.readinto(content)
        if read < length:
            raise OSError(f"{self._file} ends before byte {offset + length}: it was cut short")
        return content

    def names(self):
        """Names of all pictures, `Paths`."""
        return Paths(map(os.fsdecode, self._names.read_bytes().split(b"\n")))


def _facts(directory):
    file = directory / "store.json"
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(
            f"{file} is damaged ({error}): remove the folder {directory}, and it is built again"
        ) from error


def open_store(directory, name, source, *, workers=None, strict=False, report=print):
    """Return the store of `source`, building or continuing it where it is not finished.

    Args:
        directory: Folder of stores.
        name: Beginning of the store's folder name; the digest follows.
        source: The pictures.
        workers: Threads that decode; all cores by default.
        strict: Stop at the first unreadable picture instead of skipping it.
        report: Called with one sentence on each picture left out, and one on their number, also
            where the store was finished before.

    Raises:
        ValueError: `strict` and a picture is unreadable, or none is readable.
    """
    store = Path(directory) / f"{name}-{source.digest[:12]}"
    if not (store / "store.json").exists():
        store.mkdir(parents=True, exist_ok=True)
        waiting = f"waiting for another process, which builds {store}"
        with one_at_a_time(store / "lock", waiting, report):
            if not (store / "store.json").exists():  # another process may have finished it
                store_writer.build(store, source, workers=workers, strict=strict)
    _report_left_out(store, strict, report)
    return PictureStore(store)


def _report_left_out(store, strict, report):
    """Tell what a finished store lacks: whoever opens it may not be who built it."""
    facts = _facts(store)
    if not facts["left_out"]:
        return
    lines = (store / store_writer.LEFT_OUT).read_text(encoding="utf-8").splitlines()
    sentences = list(dict.fromkeys(lines))  # a build that was killed may have written one twice
    if strict:
        raise ValueError(sentences[0])
    for sentence in sentences[:_NAMED]:
        report(f"left out: {sentence}")
    if len(sentences) > _NAMED:
        report(f"left out: {len(sentences) - _NAMED} more; {store / store_writer.LEFT_OUT} has all")
    total = facts["pictures"] + facts["left_out"]
    report(f"{facts['left_out']} of {total} pictures were left out of {store.name}")
