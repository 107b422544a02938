"""Faces found in picture files, cut out and shrunk, as the source of a store."""

import functools
import hashlib
import inspect
import threading

import numpy as np

from data.batches import step_generator
from data.degrade import imresize
from data.pictures.folder import READ_ERRORS, Paths
from data.pictures.read import read_rgb8
from data.sources import Source, files_source

_LEAST_CONFIDENCE = 0.9
_PADDING = 0.3  # of a found box's sides, as where the network is used: infer/detect.py
_PROBES = 4  # pictures in which detectors are compared: a search takes up to a second


def faces_source(files, detector, px, copies, seed):
    """Make a `Source` of the largest face of each picture, shrunk to a size that is drawn.

    Args:
        files: Paths of pictures.
        detector: Function of a picture that gives boxes, or None for whole pictures.
        px: Least and greatest shorter side.
        copies: Sizes of each face.
        seed: Of the sizes.
    """
    lock = threading.Lock()

    @functools.cache
    def found(number):
        """Top, bottom, left and right of the face of a file."""
        picture = read_rgb8(files[number])
        if detector is None:
            return 0, picture.shape[0], 0, picture.shape[1]
        with lock:
            return _face(detector(picture), *picture.shape[:2])

    def size(i):
        top, bottom, left, right = found(i % len(files))
        height, width = bottom - top, right - left
        shorter = min(int(step_generator(seed, 0, i).integers(px[0], px[1] + 1)), height, width)
        return tuple(round(n * shorter / min(height, width)) for n in (height, width))

    def read(i):
        top, bottom, left, right = found(i % len(files))
        face = read_rgb8(files[i % len(files)])[top:bottom, left:right]
        return face if face.shape[:2] == size(i) else imresize(face, size=size(i))

    identity = [settings(detector), _PADDING, _LEAST_CONFIDENCE, list(px), copies, seed]
    if detector is not None:
        probes = np.linspace(0, len(files) - 1, min(_PROBES, len(files))).astype(int)
        identity.append([_or_error(found, int(number)) for number in probes])
    key = f"{files_source(files).digest} {identity}"
    return Source(
        names=Paths(list(files) * copies),
        digest=hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest(),
        size=size,
        read=read,
    )


def _face(boxes, height, width):
    """Top, bottom, left and right of the largest likely face, padded and clipped."""
    likely = [box for box in boxes if box.confidence >= _LEAST_CONFIDENCE]
    if not likely:
        raise ValueError("no face was found in it")
    box = max(likely, key=lambda box: box.width * box.height).padded(_PADDING, height, width)
    bottom, right = round(box.top + box.height), round(box.left + box.width)
    if bottom <= round(box.top) or right <= round(box.left):
        raise ValueError("the face that was found lies outside of it")
    return round(box.top), bottom, round(box.left), right


def _or_error(function, number):
    try:
        return function(number)
    except READ_ERRORS as error:
        return str(error)


def settings(thing, depth=4):
    """What can be told of how a function or object works, as nested lists of plain values.

    Two functions of one name differ by their code, their defaults and what they enclose, two
    objects by their attributes.
    """
    if thing is None or isinstance(thing, (bool, int, float, str, bytes)):
        return thing
    if isinstance(thing, (list, tuple)):
        return [settings(part, depth) for part in thing]
    if depth == 0:
        return type(thing).__qualname__
    if isinstance(thing, dict):
        return [[str(key), settings(value, depth - 1)] for key, value in thing.items()]
    if inspect.ismethod(thing):
        return [settings(thing.__func__, depth - 1), settings(thing.__self__, depth - 1)]
    if inspect.isfunction(thing):
        code, cells = thing.__code__, thing.__closure__ or ()
        enclosed = [cell.cell_contents for cell in cells]
        constants = [part for part in code.co_consts if not inspect.iscode(part)]
        own = [code.co_code.hex(), constants, thing.__defaults__, thing.__kwdefaults__, enclosed]
        return [thing.__module__, thing.__qualname__, settings(own, depth - 1)]
    if isinstance(thing, functools.partial):
        return settings([thing.func, thing.args, thing.keywords], depth - 1)
    own = settings(getattr(thing, "__dict__", {}), depth - 1)
    return [type(thing).__module__, type(thing).__qualname__, own]
