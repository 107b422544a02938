"""Decoders of other people's make, kept from harm: their exceptions, their warnings, their limits.

Pictures come from anywhere, and no decoder's list of exceptions is complete: damaged files make
Pillow, tifffile, imagecodecs and libvips raise AttributeError, IndexError, struct.error, LzmaError,
PyCMSError and more. `decoding` turns all of them into one sentence.
"""

import contextlib
import logging
import threading
import warnings

from PIL import Image, UnidentifiedImageError

LONGEST_SENTENCE = 300


class PictureError(ValueError):
    """A sentence on a picture file, still without the file's name."""


@contextlib.contextmanager
def decoding(decoder):
    """Turn whatever a decoder raises into a `PictureError` that names the decoder.

    Args:
        decoder: Name for the sentence, for example "Pillow".
    """
    try:
        yield
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError("is not a picture, or of a kind that is not supported") from error
    except MemoryError as error:
        raise PictureError(f"needs more memory than is free ({decoder})") from error
    except Exception as error:  # a closed list of types was tried: each fuzzing added to it
        raise PictureError(
            "is damaged, cut short or of a kind that is not supported "
            f"({decoder}: {_described(error)})"
        ) from error


def _described(error):
    text = " ".join(str(error).split())[:LONGEST_SENTENCE]
    kind = type(error).__name__
    return text if isinstance(error, (ValueError, OSError)) and text else f"{kind}: {text}"


_limit_lock, _limits, _pillows_own = threading.Lock(), [], []


@contextlib.contextmanager
def pillow_limit(pixels):
    """Put a size limit in place of Pillow's own, a global: the largest of all threads inside.

    Pillow compares sizes while it opens, while it seeks and while it loads, and so those of
    pictures within pictures, which nobody else sees.

    Args:
        pixels: The limit; infinite for none.
    """
    with _limit_lock:
        if not _limits:
            _pillows_own.append(Image.MAX_IMAGE_PIXELS)
        _limits.append(pixels)
        Image.MAX_IMAGE_PIXELS = max(_limits)
    try:
        yield
    finally:
        with _limit_lock:
            _limits.remove(pixels)
            Image.MAX_IMAGE_PIXELS = max(_limits) if _limits else _pillows_own.pop()


_thread = threading.local()


@contextlib.contextmanager
def tifffile_silent():
    """Keep this thread's log lines of tifffile from the user: hundreds for one damaged file."""
    _thread.silent = True
    try:
        yield
    finally:
        _thread.silent = False


logging.getLogger("tifffile").addFilter(lambda record: not getattr(_thread, "silent", False))
# What Pillow warns of (odd EXIF, trailing bytes) is told in notes; its warnings name no file.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
