"""Builds a store of decoded pictures, or continues one that was interrupted; see `data.store`."""

import errno
import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from data.pictures.folder import READ_ERRORS

_DIGEST_BYTES = 16
INDEX = np.dtype(
    [
        ("offset", "<i8"),
        ("height", "<i4"),
        ("width", "<i4"),
        ("state", "u1"),
        ("digest", "u1", _DIGEST_BYTES),
    ]
)
_WAITING, DONE, _UNREADABLE = 0, 1, 2
LEFT_OUT = "left_out.txt"
_CHUNK = 256  # pictures handed to the workers at a time, so that millions need no queue


def build(store, source, *, workers=None, strict=False):
    """Build a store, or go on with it.

    Args:
        store: Its folder, a `Path`; whoever calls holds its lock.
        source: The `data.sources.Source` of its pictures.
        workers: Threads that decode; all cores by default.
        strict: Stop at the first unreadable picture instead of skipping it.

    Raises:
        ValueError: `strict` and a picture is unreadable, or none is readable.
        OSError: The store cannot be written.
    """
    index = _read_sizes(store, source, workers, strict)
    _write_pixels(store, source, index, workers, strict)
    _finish(store, index)


def _read_sizes(store, source, workers, strict):
    """Lay out the pixel file: where each picture goes is known before any is decoded."""
    if (store / "index.npy").exists():
        return np.load(store / "index.npy", mmap_mode="r+")
    index = np.zeros(len(source.names), INDEX)
    (store / LEFT_OUT).write_bytes(b"")
    title = store.name + ": sizes"
    for numbers, sizes in _in_chunks(_readable(source.size), range(len(index)), workers, title):
        for number, size in zip(numbers, sizes, strict=True):
            if isinstance(size, Exception):
                _leave_out(store, index, source, number, size, strict)
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


def _write_pixels(store, source, index, workers, strict):
    waiting = np.flatnonzero(index["state"] == _WAITING)
    with (store / "pixels.u8").open("r+b", buffering=0) as pixels:
        copy = _copier(_readable(source.read), index, pixels)
        for numbers, errors in _in_chunks(copy, waiting, workers, store.name):
            done = []
            try:
                for number, error in zip(numbers, errors, strict=True):
                    if error:
                        _leave_out(store, index, source, number, error, strict)
                    else:
                        done.append(number)
            finally:
                os.fsync(pixels.fileno())  # before the index says so, for when power fails
                index["state"][done] = DONE


def _copier(read, index, pixels):
    """Return the function that writes one picture to its place, and returns what went wrong.

    The threads that decode also write: as many pictures as threads are in memory.
    """
    lock = threading.Lock()  # threads share the position

    def copy(number):
        picture = read(number)
        if isinstance(picture, Exception):
            return picture
        if picture.shape[:2] != (index["height"][number], index["width"][number]):
            return ValueError("its size changed while the store was built")
        content = picture.tobytes()
        with lock:
            pixels.seek(int(index["offset"][number]))
            written = pixels.write(content)
        if written < len(content):
            raise OSError(errno.ENOSPC, "no space left for the pixels")
        digest = hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()
        index["digest"][number] = np.frombuffer(digest, np.uint8)
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


def _leave_out(store, index, source, number, error, strict):
    sentence = unreadable(source.names[number], error)
    if strict:
        raise ValueError(sentence) from error
    with (store / LEFT_OUT).open("a", encoding="utf-8") as left_out:
        left_out.write(" ".join(sentence.splitlines()) + "\n")
    index["state"][number] = _UNREADABLE


def _finish(store, index):
    readable = index["state"] == DONE
    if not readable.any():
        first = (store / LEFT_OUT).read_text(encoding="utf-8").partition("\n")[0]
        raise ValueError(
            f"none of the {len(index)} pictures for {store.name} could be read; the first: {first}"
        )
    index.flush()
    digest = hashlib.sha256(np.where(readable, index["height"], 0).tobytes())
    digest.update(np.where(readable, index["width"], 0).tobytes())
    digest.update(np.where(readable[:, None], index["digest"], 0).tobytes())
    facts = {
        "digest": digest.hexdigest(),
        "pictures": int(np.count_nonzero(readable)),
        "left_out": int(np.count_nonzero(~readable)),
        "bytes": int((store / "pixels.u8").stat().st_size),
    }
    (store / "store.partial.json").write_text(json.dumps(facts))
    os.replace(store / "store.partial.json", store / "store.json")


def unreadable(file, error):
    r"""Return a sentence on a picture that cannot be read, and why.

    It can be written to any UTF-8 stream: other bytes in file names become ``\xe9``.
    """
    why = str(error).removeprefix(f"{file}").removeprefix(":").strip()
    sentence = f"unreadable picture {file}: {why}"
    return sentence.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
