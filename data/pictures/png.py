"""PNG: chunks are looked at here, pixels are decoded and encoded by libvips, row by row.

libvips sees only the chunks that pixels are made of, so that broken metadata cannot spoil a sound
picture, and a chunk that claims gigabytes is noticed before anything is allocated for it.

Reference: PNG specification, third edition, W3C 2025.
"""

import io
import logging
import struct
import zlib

import numpy as np
import pyvips

from data.pictures import exif
from data.pictures.decoders import PictureError, decoding

logging.getLogger("pyvips").setLevel(logging.CRITICAL)  # what it warns of is raised too

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_COLOUR_CHUNKS = (b"cICP", b"mDCV", b"cLLI", b"gAMA", b"cHRM", b"sRGB")
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_COPIED = (*_COLOUR_CHUNKS, b"pHYs", *_TEXT_CHUNKS)
_MOST_METADATA = 1 << 20  # bytes of one unpacked text or profile: more is left out
_LARGEST_DEFLATE_RATIO = 1032  # of deflate: 258 bytes for two bits
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → samples a pixel, table 9
_EXIF_KEYWORD = b"Raw profile type exif"  # how EXIF was stored before there was eXIf
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_LEVEL = 4  # of zlib: 6 takes twice as long for photographs that are 2 % smaller
_FORMATS = {"uint8": ("uchar", "b-w", "srgb"), "uint16": ("ushort", "grey16", "rgb16")}


class Header:
    """What the chunks of a PNG say, pixels apart.

    Args:
        file: The open file.
        pixels: Read the chunks of pixels too, for `decode`.

    Attributes:
        height, width: As stored.
        bytes_a_pixel: Of the decoded array, at most.
        chunks: ``(kind, body)`` of those that pixels are made of.
        copied: ``(kind, body)`` of colour, density and text chunks that a copy can keep.
        exif, xmp, icc: Raw EXIF block, XMP packet, profile; or empty.
        frames: More than 1 in an animated PNG.
        notes: Sentences on what is left out.

    Raises:
        PictureError: It is cut short.
    """

    def __init__(self, file, *, pixels=True):
        self.chunks, self.copied, self.notes = [], [], []
        self.exif = self.xmp = self.icc = b""
        self.frames, self._held = 1, 0
        for kind, length in _chunks(file):
            if kind == b"IDAT":
                self._held += length
            if pixels or kind != b"IDAT":
                self._add(kind, file.read(length))
        if not self.chunks or self.chunks[0][0] != b"IHDR" or len(self.chunks[0][1]) != 13:
            raise PictureError("is damaged: a PNG must begin with IHDR")
        self.width, self.height, bits, colour = struct.unpack_from(">IIBB", self.chunks[0][1])
        if not self.width * self.height or colour not in _SAMPLES or bits not in (1, 2, 4, 8, 16):
            raise PictureError("is damaged: its PNG header makes no sense")
        transparent = any(kind == b"tRNS" for kind, _ in self.chunks)
        samples = (3 if colour == 3 else _SAMPLES[colour]) + transparent
        self.bytes_a_pixel = samples * (2 if bits == 16 else 1)
        self._needed = self.height * (self.width * bits * _SAMPLES[colour] // 8)

    def check_whole(self):
        """Raise `PictureError` if there are fewer bytes than the pixels could be packed in."""
        if self._needed > self._held * _LARGEST_DEFLATE_RATIO:
            raise PictureError(
                f"is cut short: {self._held} bytes cannot hold {self._needed} bytes of pixels"
            )

    def _add(self, kind, body):
        if kind in _PIXEL_CHUNKS:
            self.chunks.append((kind, body))
        elif kind == b"eXIf":
            self.exif = self.exif or body
        elif kind == b"iCCP":
            self.icc = self.icc or self._profile(body)
        elif kind == b"acTL" and len(body) == 8:
            self.frames = max(1, struct.unpack_from(">I", body)[0])
        elif kind in _TEXT_CHUNKS:
            self._add_text(kind, body)
        elif kind in _COPIED:
            self.copied.append((kind, body))

    def _profile(self, body):
        try:
            return _inflated(body[body.index(b"\0") + 2 :])
        except (ValueError, zlib.error) as error:
            self.notes.append(f"its colour profile is {_trouble(error)} and was left out")
            return b""

    def _add_text(self, kind, body):
        keyword, _, text = body.partition(b"\0")
        try:
            if kind == b"zTXt":
                text = _inflated(text[1:])
            elif kind == b"iTXt":
                packed, text = text[:1] == b"\1", text[2:].split(b"\0", 2)[-1]
                text = _inflated(text) if packed else text
            if keyword == _EXIF_KEYWORD:
                lines = text.decode("ascii").split("\n")[3:]
                self.exif = self.exif or bytes.fromhex("".join(lines))
            if len(text) > _MOST_METADATA:
                raise ValueError("over 1 MB")
        except (ValueError, zlib.error) as error:
            name = keyword[:79].decode("latin-1")
            self.notes.append(f"its text {name!r} is {_trouble(error)} and was left out")
            return
        if keyword == _XMP_KEYWORD:
            self.xmp = text
        elif not keyword.startswith(b"Raw profile type"):
            self.copied.append((kind, body))


def _trouble(error):
    return "over 1 MB" if "over 1 MB" in str(error) else "broken"


def _inflated(packed):
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, _MOST_METADATA + 1)
    if len(data) > _MOST_METADATA:
        raise ValueError("over 1 MB")
    if not unpacker.eof:
        raise ValueError("cut short")
    return data


def _chunks(file):
    """Yield the kind and length of each chunk, the file at its body; checksums are not read."""
    size, at = file.seek(0, io.SEEK_END), len(SIGNATURE)
    while at < size:
        file.seek(at)
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (size, b"")
        if at + 12 + length > size:
            raise PictureError(
                f"is damaged or cut short: a PNG chunk claims {length} bytes, the file has {size}"
            )
        yield kind, length
        if kind == b"IEND":
            return
        at += 12 + length


def is_png(start):
    """Tell from a file's first bytes whether it is a PNG."""
    return start[:8] == SIGNATURE


def decode(header):
    """Decode the pixels.

    Args:
        header: The `Header`.

    Returns:
        uint8 or uint16, (H, W), (H, W, 2), (H, W, 3) or (H, W, 4). Grey of 1, 2 and 4 bits is
        scaled to 8, palettes are looked up, transparent colours (tRNS) become alpha.

    Raises:
        PictureError: It is damaged.
    """
    header.check_whole()
    whole = SIGNATURE + b"".join(_chunk(kind, body) for kind, body in header.chunks)
    with decoding("libvips"):
        image = pyvips.Image.pngload_buffer(whole, fail_on="error", unlimited=True)
        number = np.uint16 if image.format == "ushort" else np.uint8
        pixels = np.frombuffer(image.write_to_memory(), number)
        pixels = pixels.reshape(header.height, header.width, image.bands)
    return pixels[..., 0] if image.bands == 1 else pixels


def write(file, pixels, exif_block=b"", icc=b"", chunks=()):
    """Write a PNG.

    Args:
        file: An open binary file.
        pixels: (H, W) or (H, W, 2 | 3 | 4), uint8 or uint16.
        exif_block: EXIF block, starting ``Exif\\0\\0``, or empty.
        icc: ICC profile, or empty.
        chunks: Further ``(kind, body)``, as in `Header.copied`.
    """
    rows = np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], -1))
    height, width, channels = rows.shape
    number, grey, colour = _FORMATS[rows.dtype.name]
    image = pyvips.Image.new_from_memory(rows.data.cast("B"), width, height, channels, number)
    image = image.copy(interpretation=grey if channels < 3 else colour)
    if icc:
        chunks = [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)), *chunks]
    if exif_block:
        chunks = [*chunks, (b"eXIf", exif_block.removeprefix(exif.MARK))]
    sink = _Sink(file, b"".join(_chunk(kind, body) for kind, body in chunks))
    target = pyvips.TargetCustom()
    target.on_write(sink.write)
    try:
        image.pngsave_target(target, compression=_LEVEL, filter="all", keep="none")
    except pyvips.Error as error:
        raise sink.error or OSError(f"libvips cannot write the PNG: {error}") from error
    sink.finish()


def _chunk(kind, body):
    return b"".join(
        (
            struct.pack(">I", len(body)),
            kind,
            body,
            struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))),
        )
    )


class _Sink:
    """Takes the encoder's bytes and puts our chunks between the header and the pixels."""

    def __init__(self, file, between):
        self._file, self._between = file, between
        self._head = b""
        self.error = None

    def write(self, block):
        """Take some bytes; called from C, which exceptions cannot pass."""
        try:
            if self._head is None:
                self._file.write(block)
            else:
                self._head += bytes(block)
                self._leave_head()
        except OSError as error:
            self.error = error
            return -1
        return len(block)

    def _leave_head(self):
        """Once the first pixels come, write the header, our chunks in place of the encoder's."""
        at = self._head.find(b"IDAT") - 4
        if at >= 0:
            self._file.write(self._head[: len(SIGNATURE) + 25] + self._between + self._head[at:])
            self._head = None

    def finish(self):
        """Raise what went wrong unnoticed."""
        if self.error:
            raise self.error
        if self._head is not None:
            raise OSError("libvips made no PNG")
