"""EXIF blocks, entry by entry: what of one still holds for an upright picture of another size.

Values stay the bytes they are, so that text in any encoding and unusual types survive; only their
byte order becomes little-endian. A directory is a dict of tag to `Entry`, or to the directory that
the tag points to.

Reference: CIPA DC-008 (Exif 3.0), section 4.6; TIFF 6.0, section 2; BigTIFF.
"""

import re
import struct
from typing import NamedTuple

import numpy as np

MARK = b"Exif\0\0"

ORIENTATION = 0x0112
_EXIF, _GPS, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
_RESOLUTION_UNIT = 0x0128
_SHORT, _LONG, _LONG8 = 3, 4, 16
_TEXT, _RATIONAL = (2, 129), (5,)
_KEPT = {  # tag of the first directory → types it may have; other tags describe the old file
    0x010E: ("ImageDescription", _TEXT),
    0x010F: ("Make", _TEXT),
    0x0110: ("Model", _TEXT),
    0x011A: ("XResolution", _RATIONAL),
    0x011B: ("YResolution", _RATIONAL),
    _RESOLUTION_UNIT: ("ResolutionUnit", (_SHORT, _LONG)),
    0x0131: ("Software", _TEXT),
    0x0132: ("DateTime", _TEXT),
    0x013B: ("Artist", _TEXT),
    0x013C: ("HostComputer", _TEXT),
    0x8298: ("Copyright", _TEXT),
}
_OUTDATED = (0xA002, 0xA003, 0x927C)  # old width and height; maker's notes hold old offsets
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8, 129: 1}
_MOST_BYTES = 4 << 20  # of all values together: many entries can point to the same megabyte
_LAYOUT = b'{"shape":'  # a description by tifffile, of the old array
_READ = {*_KEPT, ORIENTATION, _EXIF, _GPS}  # of the first directory
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")


class Entry(NamedTuple):
    """One value of a directory: TIFF type, number of elements, bytes (little-endian)."""

    kind: int
    count: int
    raw: bytes


def kept(block, offset=None, xmp=b""):
    """Read an EXIF block and sort out what is no longer true.

    Args:
        block: Begins with ``Exif\\0\\0`` or with a TIFF header, or is a whole TIFF file; or empty.
        offset: Of the directory in a TIFF file; None: the first.
        xmp: XMP packet, which tells the orientation where EXIF does not.

    Returns:
        ``(exif, orientation, notes)``: a block for the upright picture, or empty; 1..8; sentences.
    """
    data = memoryview(block)[len(MARK) if block[: len(MARK)] == MARK else 0 :]
    found = _XMP_ORIENTATION.search(xmp)
    orientation = int(found[1]) if found else 1
    if not data:
        return b"", orientation, []
    try:
        directory, broken = _Reader(data).tree(offset)
    except (struct.error, ValueError):
        return b"", orientation, ["its EXIF block is broken and was left out"]
    notes = ["parts of its EXIF block are broken and were left out"] if broken else []
    stored = directory.get(ORIENTATION)
    if isinstance(stored, Entry) and stored.count == 1:
        number = int.from_bytes(stored.raw, "little")
        orientation = number if 1 <= number <= 8 else 1
    chosen, more = _chosen(directory)
    return to_bytes(chosen), orientation, notes + more


def _chosen(directory):
    """The part of a first directory that is kept."""
    chosen, notes = {}, []
    for tag, value in directory.items():
        name, kinds = _KEPT.get(tag, ("", ()))
        if isinstance(value, dict):
            chosen[tag] = {k: v for k, v in value.items() if k not in _OUTDATED}
        elif name and value.kind not in kinds:
            notes.append(f"its EXIF {name} is of a wrong type and was left out")
        elif name and not value.raw.startswith(_LAYOUT):
            chosen[tag] = value
    unit = chosen.get(_RESOLUTION_UNIT)
    if unit and unit.kind == _LONG:
        notes.append("its EXIF ResolutionUnit was a LONG and is a SHORT now")
        chosen[_RESOLUTION_UNIT] = Entry(_SHORT, 1, unit.raw[:2])
    return {tag: value for tag, value in chosen.items() if value != {}}, notes


def parsed(block):
    """Return the directory of a block that `kept` made, or {} of an empty one."""
    return _Reader(memoryview(block)[len(MARK) :]).tree()[0] if block else {}


class _Reader:
    """Directories of a TIFF file or EXIF block, either byte order, classic or BigTIFF."""

    def __init__(self, data):
        self._data = data
        self._order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]), "")
        version = struct.unpack_from(self._order + "H", data, 2)[0]
        if not self._order or version not in (42, 43):
            raise ValueError("no TIFF header")
        self._big, self._bytes_left = version == 43, _MOST_BYTES

    def tree(self, offset=None):
        """The directory at an offset with its EXIF and GPS directories; whether it is broken."""
        if offset is None:
            offset = self._number("Q", 8) if self._big else self._number("I", 4)
        directory, broken = self._entries(offset, _READ)
        for tag in (_EXIF, _GPS):
            broken |= self._follow(directory, tag)
        if isinstance(directory.get(_EXIF), dict):
            broken |= self._follow(directory[_EXIF], _INTEROPERABILITY)
        return directory, broken

    def _follow(self, directory, tag):
        """Put a directory in place of the entry that points to it; tell whether it is broken."""
        pointer = directory.pop(tag, None)
        if pointer is None:
            return False
        try:
            found, broken = self._entries(int.from_bytes(pointer.raw, "little"))
        except (struct.error, ValueError):
            return True
        if found:
            directory[tag] = found
        return broken

    def _number(self, code, offset):
        if offset + struct.calcsize(code) > len(self._data):
            raise ValueError("an offset points past the end")
        return struct.unpack_from(self._order + code, self._data, offset)[0]

    def _entries(self, offset, wanted=None):
        count, offset = (
            (self._number("Q", offset), offset + 8)
            if self._big
            else (self._number("H", offset), offset + 2)
        )
        if count > 65535:
            raise ValueError("a directory claims too many entries")
        size, found, broken = (20 if self._big else 12), {}, False
        for at in range(offset, offset + count * size, size):
            if at + size > len(self._data):
                return found, True
            tag = self._number("H", at)
            if wanted and tag not in wanted:
                continue
            entry = self._entry(at)
            if entry is None:
                broken = True
            else:
                found.setdefault(tag, entry)
        return found, broken

    def _entry(self, at):
        """The entry at an offset, or None if it is broken."""
        kind = self._number("H", at + 2)
        count = self._number("Q" if self._big else "I", at + 4)
        inline, size = (8 if self._big else 4), _TYPE_BYTES.get(kind, 0) * count
        start = at + (12 if self._big else 8)
        if size > inline:
            start = self._number("Q" if self._big else "I", start)
        if not size or size > self._bytes_left or start + size > len(self._data):
            return None
        self._bytes_left -= size
        raw = bytes(self._data[start : start + size])
        return Entry(kind, count, self._little_endian(raw, kind))

    def _little_endian(self, raw, kind):
        word = {5: 4, 10: 4}.get(kind, _TYPE_BYTES[kind])
        if self._order == "<" or word == 1:
            return raw
        return np.frombuffer(raw, f"u{word}").byteswap().tobytes()


def to_bytes(directory):
    """Return the EXIF block of a directory, or nothing for an empty one."""
    if not directory:
        return b""
    return MARK + b"II*\0" + struct.pack("<I", 8) + directory_bytes(directory, 8)


def directory_bytes(directory, offset, *, big=False):
    """Lay out a directory, its values and the directories below it, little-endian.

    Args:
        directory: Dict of tag to `Entry` or directory. An entry that is no longer than its field
            in the table (4 bytes; 8 in a BigTIFF) is put there, so it can be an offset itself.
        offset: Where in the file the bytes will lie.
        big: BigTIFF.
    """
    number, width = ("Q", 8) if big else ("I", 4)
    size = struct.calcsize(f"<{'Q' if big else 'H'}{number}") + (4 + 2 * width) * len(directory)
    table, values = [struct.pack("<Q" if big else "<H", len(directory))], bytearray()
    for tag, value in sorted(directory.items()):
        here = offset + size + len(values)
        if isinstance(value, dict):
            kind, count, field = (_LONG8 if big else _LONG), 1, struct.pack("<" + number, here)
            values += directory_bytes(value, here, big=big)
        else:
            kind, count, field = value
            if len(field) > width:
                values += field + b"\0" * (len(field) % 2)
                field = struct.pack("<" + number, here)
        table.append(struct.pack("<HH" + number, tag, kind, count) + field.ljust(width, b"\0"))
    table.append(struct.pack("<" + number, 0))
    return b"".join(table) + bytes(values)
