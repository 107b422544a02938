"""Decoded pictures in one flat uint8 file, read by window.

PNG decoding is what makes loaders slow, so each picture is decoded once. A store is a folder:

    pixels.u8   all pictures, RGB, row by row, one after another; memory-mapped when read
    index.npy   offset, height, width and state of each picture, in one array
    names.txt   their names, for people
    store.json  written last: a store without it is unfinished and is continued, never used

The folder's name carries a digest of what went in (names, sizes, times), so changed pictures make
a new store and a store never goes stale.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

_INDEX = np.dtype([("offset", "<i8"), ("height", "<i4"), ("width", "<i4"), ("state", "u1")])
_WAITING, _DONE, _UNREADABLE = 0, 1, 2
_CHUNK = 256  # pictures handed to the workers at a time, so that millions need no queue
_READ_ERRORS = (
    OSError,
    UnidentifiedImageError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class Source:
    """What a store is made of: `len(names)` pictures, by number.

    Attributes:
        names: One name a picture.
        digest: Hexadecimal digest of what the pictures are.
        size: Number to (height, width), without decoding if possible.
        read: Number to (H, W, 3) uint8 RGB. Both raise `OSError` or `ValueError` if unreadable.
    """

    names: Sequence[str]
    digest: str
    size: Callable[[int], tuple[int, int]]
    read: Callable[[int], np.ndarray]


def picture_files(directory):
    """Return the pictures of a folder, by name.

    Raises:
        FileNotFoundError: No such folder, or no picture in it.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(f"no folder {directory}")
    files = sorted(f for f in directory.iterdir() if f.suffix.lower() in PICTURE_SUFFIXES)
    if not files:
        raise FileNotFoundError(
            f"no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}) in {directory}"
        )
    return files


def read_picture(file):
    """Return a picture file as (H, W, 3) uint8 RGB, turned upright.

    Raises:
        OSError: It cannot be read, or is cut short.
        ValueError: It has more than 8 bits a channel.
    """
    with Image.open(file) as picture:
        if picture.mode.startswith(("I", "F")):
            raise ValueError(f"more than 8 bits a channel ({picture.mode})")
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def _picture_size(file):
    with Image.open(file) as picture:
        sideways = picture.getexif().get(0x0112, 1) >= 5  # orientations 5 to 8 lie on their side
        return picture.size if sideways else picture.size[::-1]


def files_source(files):
    """Make a `Source` of picture files."""
    stats = [file.stat() for file in files]
    lines = [f"{f.name} {s.st_size} {s.st_mtime_ns}" for f, s in zip(files, stats, strict=True)]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return Source(
        names=[str(file) for file in files],
        digest=digest,
        size=lambda i: _picture_size(files[i]),
        read=lambda i: read_picture(files[i]),
    )


class PictureStore:
    """A finished store: `len()` pictures, each readable whole or by window.

    Attributes:
        digest: Digest of what went in.
        sizes: (N, 2) int32, height and width; (0, 0) for a picture that could not be read.
    """

    def __init__(self, directory):
        directory = Path(directory)
        self.digest = json.loads((directory / "store.json").read_text())["digest"]
        index = np.load(directory / "index.npy")
        self.sizes = np.stack([index["height"], index["width"]], axis=1)
        self.sizes[index["state"] != _DONE] = 0
        self._offsets = index["offset"].copy()
        self._names = directory / "names.txt"
        # asarray: windows of a plain array cost half of those of np.memmap
        self._pixels = np.asarray(np.memmap(directory / "pixels.u8", np.uint8, mode="r"))

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, number):
        """Picture `number`, a (H, W, 3) view into the file: copy what you keep."""
        offset, (height, width) = self._offsets[number], self.sizes[number].tolist()
        return self._pixels[offset : offset + 3 * height * width].reshape(height, width, 3)

    def names(self):
        """Names of all pictures."""
        return self._names.read_text().splitlines()


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
        index = _read_sizes(store, source, workers, strict, report)
        _write_pixels(store, source, index, workers, strict, report)
        _finish(store, source, index, report)
    return PictureStore(store)


def _read_sizes(store, source, workers, strict, report):
    """Lay out the pixel file: where each picture goes is known before any is decoded."""
    if (store / "index.npy").exists():
        return np.load(store / "index.npy", mmap_mode="r+")
    index = np.zeros(len(source.names), _INDEX)
    for number, size in _in_order(source.size, range(len(index)), workers, store.name + ": sizes"):
        if isinstance(size, Exception):
            _leave_out(index, source, number, size, strict, report)
        else:
            index["height"][number], index["width"][number] = size
    lengths = 3 * index["height"].astype(np.int64) * index["width"]
    index["offset"] = np.cumsum(lengths) - lengths
    with (store / "pixels.u8").open("wb") as pixels:
        pixels.truncate(int(lengths.sum()))
    (store / "names.txt").write_text("\n".join(source.names))
    np.save(store / "index.partial.npy", index)
    os.replace(store / "index.partial.npy", store / "index.npy")
    return np.load(store / "index.npy", mmap_mode="r+")


def _write_pixels(store, source, index, workers, strict, report):
    waiting = np.flatnonzero(index["state"] == _WAITING)
    with (store / "pixels.u8").open("r+b") as pixels:
        for number, picture in _in_order(source.read, waiting, workers, store.name):
            if isinstance(picture, Exception):
                _leave_out(index, source, number, picture, strict, report)
                continue
            os.pwrite(pixels.fileno(), picture.tobytes(), int(index["offset"][number]))
            index["state"][number] = _DONE


def _in_order(function, numbers, workers, title):
    """Yield (number, result or error) for all `numbers`, computed by threads."""

    def attempt(number):
        try:
            return function(int(number))
        except _READ_ERRORS as error:
            return error

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        bar = tqdm(total=len(numbers), desc=title, unit="picture", disable=None, leave=False)
        for start in range(0, len(numbers), _CHUNK):
            chunk = numbers[start : start + _CHUNK]
            yield from zip(chunk, pool.map(attempt, chunk), strict=True)
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
