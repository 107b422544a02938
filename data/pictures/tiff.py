"""TIFF: which page is the picture, and its grey or RGB samples of 8 to 16 bits or floats.

Palettes, CMYK, YCbCr, Lab and samples below 8 bits are decoded by `data.pictures.pillow`. Float
TIFFs hold 0..1 as elsewhere; in this library's arrays that is 0..255.

Reference: TIFF 6.0, Adobe 1992; DNG 1.7.
"""

import contextlib
import io
import itertools
import math
import zlib

import imagecodecs
import numpy as np
import tifffile

from data.pictures import exif
from data.pictures.decoders import PictureError, decoding, tifffile_silent

_STRIP_BYTES = 1 << 20
_LEVEL = 4  # of zlib
_LARGEST_CLASSIC = 0xF0000000  # bytes before compression, which can add some; offsets end at 4 GB
_LARGEST_FLOAT = 2.0  # values a little above white occur in practice; 255 is another convention
_ASSOCIATED, _STRAIGHT = 1, 2  # ExtraSamples: colours multiplied by alpha, or not
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_DNG_VERSION, _PROFILE = 50706, 34675
_SENSOR = (32803, 34892)  # PhotometricInterpretation of camera raw data
_GREY_AND_RGB = (0, 1, 2)
_WHITE_IS_ZERO, _RGB = 0, 2
_MOST_PAGES = 1000  # that are looked at for the picture


def is_tiff(start):
    """Tell from a file's first bytes whether it is a TIFF."""
    return start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@contextlib.contextmanager
def opened(file):
    """Find the picture of an open TIFF.

    Args:
        file: The open file.

    Yields:
        The `Page`.

    Raises:
        PictureError: It is damaged, or camera raw.
    """
    with tifffile_silent(), contextlib.ExitStack() as stack:
        with decoding("tifffile"):
            file.seek(0)
            page = Page(stack.enter_context(tifffile.TiffFile(file)), file)
        yield page


class Page:
    """The page of a TIFF that is the picture: the first that is no thumbnail and no mask.

    Attributes:
        number: Among the pages; None if it lies below another page.
        height, width: As stored.
        bytes_a_pixel: Of the decoded array.
        offset: Of its directory.
        orientation: As in EXIF, 1..8.
        icc: ICC profile, or empty.
        has_mask: Whether another page is a mask.
        count: Number of pages that are no thumbnails or masks.
        simple: Whether `decode` can read it.
    """

    def __init__(self, tiff, file):
        pages = [_first(tiff)]
        with contextlib.suppress(Exception):  # further pages may be broken: the first need not be
            pages += itertools.islice(tiff.pages, 1, _MOST_PAGES)
        below = _below(pages)
        self._size = file.seek(0, io.SEEK_END)
        file.seek(8)
        if file.read(2) == b"CR" or any(map(_is_raw, [*pages, *below])):
            raise PictureError(RAW_SENTENCE)
        pictures = [p for p in (*pages, *below) if not int(p.subfiletype or 0) & (_REDUCED | _MASK)]
        self._page = page = pictures[0] if pictures else pages[0]
        self.number = pages.index(page) if page in pages else None
        self.has_mask = any(int(p.subfiletype or 0) & _MASK for p in pages)
        self.count = max(1, sum(p in pages for p in pictures))
        self.height, self.width = page.imagelength, page.imagewidth
        if not all(isinstance(n, int) and n > 0 for n in (self.height, self.width)):
            raise PictureError("is damaged: the TIFF has no size")
        self.offset = page.offset
        turned = page.tags.get(exif.ORIENTATION)
        self.orientation = turned.value if turned and turned.value in range(1, 9) else 1
        self._bits, samples = page.bitspersample, page.samplesperpixel
        self.simple = (
            page.photometric in _GREY_AND_RGB
            and (self._bits not in range(8) or samples > 4)
            and page.compression != tifffile.COMPRESSION.OJPEG
        )
        self.bytes_a_pixel = samples * max(1, 0 if page.dtype is None else page.dtype.itemsize)
        profile = page.tags.get(_PROFILE)
        self.icc = profile.value if profile and isinstance(profile.value, bytes) else b""

    def decode(self, notes):
        """Decode the pixels.

        Args:
            notes: Gets a sentence for each thing left out.

        Returns:
            uint8, uint16, or float32 in 0..255; (H, W) or (H, W, 2 | 3 | 4), as stored.

        Raises:
            PictureError: It is damaged, of a kind that is not supported, or holds NaN.
        """
        with decoding("tifffile"):
            self._check()
            pixels = self._joined()
        page = self._page
        colours = 3 if page.photometric == _RGB else 1
        extra = [int(e) for e in page.extrasamples[:1]]
        pixels = self._scaled(pixels)
        if page.photometric == _WHITE_IS_ZERO:
            top = 255 if pixels.dtype != np.uint16 else 65535
            pixels[..., :1] = top - pixels[..., :1]
        if pixels.shape[2] > colours and extra == [_ASSOCIATED]:
            return _straight(pixels)
        if pixels.shape[2] > colours and extra != [_STRAIGHT]:
            notes.append("has a band that is neither colour nor alpha: left out")
            pixels = pixels[..., :colours]
        return pixels[..., 0] if pixels.shape[2] == 1 else pixels

    def _check(self):
        page, bits = self._page, self._bits
        colours = 3 if page.photometric == _RGB else 1
        if not colours <= page.samplesperpixel <= colours + 1:
            raise PictureError(
                f"is a TIFF of {page.samplesperpixel} × {page.dtype} as {page.photometric!r}, "
                "which is not supported; grey and RGB are, with or without alpha"
            )
        whole = page.sampleformat == tifffile.SAMPLEFORMAT.UINT and bits in range(8, 17)
        if not whole and page.dtype not in (np.float16, np.float32, np.float64):
            raise PictureError(
                f"is a TIFF of {bits}-bit {page.dtype}, which is not supported; whole numbers of "
                "8 to 16 bits and floats are"
            )
        if page.imagedepth != 1:
            raise PictureError("is a volume, not a picture")
        ends = [a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if len(ends) < math.prod(page.chunked) or min(page.databytecounts) < 1:
            raise PictureError("is damaged or cut short: strips of the TIFF are missing")
        if max(ends) > self._size:
            raise PictureError(
                f"is cut short: the TIFF should have {max(ends)} bytes and has {self._size}"
            )
        if page.compression == 1 and sum(page.databytecounts) * 8 < math.prod(page.shaped) * bits:
            raise PictureError("is cut short: its strips are smaller than its picture")

    def _joined(self):
        """(H, W, samples) of all strips or tiles, which must be whole."""
        page = self._page
        planes, _, height, width, samples = page.shaped
        joined = np.empty((height, width, planes * samples), page.dtype)
        for piece, (plane, _, top, left, _), shape in page.segments(maxworkers=1):
            if piece is None or piece.shape != shape:
                raise PictureError("is damaged or cut short: a strip of the TIFF is not whole")
            bands = slice(plane, plane + 1) if planes > 1 else slice(None)
            room = joined[top : top + shape[1], left : left + shape[2], bands]
            room[...] = piece[0, : room.shape[0], : room.shape[1]]
        return joined

    def _scaled(self, pixels):
        """uint8 and full uint16 as they are; others brought to their range."""
        if pixels.dtype.kind == "f":
            return from_unit_range(pixels)
        if self._bits in (8, 16):
            return pixels
        table = np.arange(1 << self._bits) * 65535 / ((1 << self._bits) - 1)
        return np.rint(table).astype(np.uint16)[pixels]


RAW_SENTENCE = (
    "is a camera raw file, which holds what the sensor saw and no finished picture; "
    "develop it to a TIFF or JPEG first"
)


def _first(tiff):
    try:
        return tiff.pages.first
    except Exception as error:
        raise PictureError(f"is not a whole TIFF ({error})") from error


def _below(pages):
    """The pages that the first page's SubIFDs tag names."""
    with contextlib.suppress(Exception):  # as in `Page`
        if pages[0].subifds:
            return list(itertools.islice(pages[0].pages, _MOST_PAGES))
    return []


def _is_raw(page):
    return page.photometric in _SENSOR or _DNG_VERSION in page.tags


def from_unit_range(pixels):
    """Bring floats from 0..1 to float32 in 0..255.

    Raises:
        PictureError: Values are NaN, infinite or of another range.
    """
    if not np.isfinite(pixels).all():
        count = np.count_nonzero(~np.isfinite(pixels))
        raise PictureError(f"holds {count} values that are NaN or infinite")
    low, high = pixels.min(), pixels.max()
    if low < -1 or high > _LARGEST_FLOAT:
        raise PictureError(f"holds floats of {low:g}..{high:g}; they must hold 0..1")
    return np.clip(pixels, 0, 1).astype(np.float32) * np.float32(255)


def _straight(pixels):
    """Divide colours that were multiplied by alpha."""
    colour, alpha = pixels[..., :-1].astype(np.float32), pixels[..., -1:].astype(np.float32)
    top = 65535 if pixels.dtype == np.uint16 else 255
    colour = np.clip(colour * (top / np.maximum(alpha, 1e-6)), 0, top)
    colour = np.where(alpha > 0, colour, 0)
    if pixels.dtype != np.float32:
        colour = np.rint(colour)
    return np.concatenate([colour.astype(pixels.dtype), pixels[..., -1:]], axis=-1)


def write(file, pixels, exif_block=b"", icc=b""):
    """Write a TIFF of deflated strips; a BigTIFF if it may pass 4 GB.

    Args:
        file: A binary file open for writing and reading.
        pixels: (H, W) or (H, W, 2 | 3 | 4); uint8, uint16, or float32 in 0..255.
        exif_block: EXIF block, starting ``Exif\\0\\0``, or empty.
        icc: ICC profile, or empty.
    """
    rows = pixels.reshape(*pixels.shape[:2], -1)
    channels, big = rows.shape[2], rows.nbytes > _LARGEST_CLASSIC
    count = max(1, _STRIP_BYTES // rows[0].nbytes)
    with tifffile.TiffWriter(file, bigtiff=big, byteorder="<") as writer:
        writer.write(
            _strips(rows, count),
            shape=pixels.shape,
            dtype=pixels.dtype,
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            rowsperstrip=count,
            compression="zlib",
            predictor=True,
            iccprofile=icc or None,
            metadata=None,
            software=False,
        )
    if exif_block:
        _add_tags(file, exif.parsed(exif_block), big)


def _strips(rows, count):
    """Yield the compressed strips one at a time: the picture is never copied as a whole."""
    for start in range(0, len(rows), count):
        strip = np.ascontiguousarray(rows[start : start + count])
        if strip.dtype == np.float32:
            strip = imagecodecs.floatpred_encode(strip / np.float32(255), axis=1)
        else:
            strip = imagecodecs.delta_encode(strip, axis=1)
        yield zlib.compress(strip, _LEVEL)


def _add_tags(file, directory, big):
    """Append a directory that is the file's own and another, and point the header to it.

    tifffile writes no EXIF or GPS directories.
    """
    field = 8 if big else 4
    file.seek(field)
    start = int.from_bytes(file.read(field), "little")
    file.seek(start)
    own, width = {}, 4 + 2 * field
    for _ in range(int.from_bytes(file.read(field if big else 2), "little")):
        line = file.read(width)
        tag, kind = (int.from_bytes(line[at : at + 2], "little") for at in (0, 2))
        own[tag] = exif.Entry(kind, int.from_bytes(line[4 : 4 + field], "little"), line[-field:])
    end = file.seek(0, io.SEEK_END)
    end += file.write(b"\0" * (end % 2))
    file.write(exif.directory_bytes({**own, **directory}, end, big=big))
    file.seek(field)
    file.write(end.to_bytes(field, "little"))
