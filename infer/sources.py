"""Which pictures are meant: by files, folders, patterns and lists of files.

No picture is opened for it, but for files without an ending.
"""

import array
import collections
import glob
import os
from pathlib import Path

from data.pictures.folder import Paths
from data.pictures.read import READABLE, picture_size
from infer.record import Record
from infer.stores import is_address, place

NO_ENDING = "without ending"
LINK = "link to nowhere"
FOLDER = "folder"
LINKED_FOLDER = "link to a folder"


class Sources:
    """What `find_sources` found.

    Attributes:
        files: Files, as `data.pictures.folder.Paths`.
        many: A folder, pattern or list was named, or more than one file.
        passed_over: Kind (an ending, or `NO_ENDING`, `LINK`, …) → number of files of it that are
            no pictures.
    """

    def __init__(self, many=False):
        self.files, self.many = Paths(()), many
        self.passed_over = collections.Counter()
        self._places = array.array("i")  # length of the end of each name that results keep

    def add(self, file, place):
        """Add a file, and where it lies in what was named: ``trip/a.jpg``, or just its name."""
        self.files.append(file)
        self._places.append(len(os.fsencode(place)))

    def __iter__(self):
        """Pairs of a file's name and its place, as strings."""
        for name, length in zip(self.files.names(), self._places, strict=True):
            yield name, os.fsdecode(os.fsencode(name)[-length:])

    def remark(self):
        """What was passed over, in a sentence; None: nothing."""
        folders = self.passed_over[FOLDER]
        kinds = sorted(self.passed_over.items())
        files = [f"{count} {kind}" for kind, count in kinds if count and kind != FOLDER]
        parts = [f"what is no picture ({', '.join(files)})"] if files else []
        if folders:
            parts.append(f"{folders} folder{'s' * (folders > 1)} (--recursive takes theirs)")
        return f"passed over {' and '.join(parts)}" if parts else None


def find_sources(patterns, out=None, *, recursive=False, suffix="", listed=None):
    """List the pictures that files, folders, globs and a list name.

    A file is always taken. Of a folder or pattern hidden files are left out, and, where results go
    into the same folder, what was made from its own pictures before.

    Args:
        patterns: Each a file, a folder, or a pattern with ``*``, ``?`` or ``[``.
        out: Where results will go.
        recursive: Take the pictures of folders in folders, too.
        suffix: Of the names of results. A pattern takes earlier results with another one.
        listed: Lines with one file name each, taken as they are. Results keep their folders,
            those of absolute names too.

    Returns:
        `Sources`.

    Raises:
        FileNotFoundError: One names nothing, or no picture.
        ValueError: A listed name leads out of the folder that results go to.
    """
    sources = Sources(many=len(patterns) > 1 or listed is not None)
    for pattern in patterns:
        before = len(sources.files)
        path = place(pattern)
        if not isinstance(path, Path):
            _add_stored(sources, path, out, recursive)
            _check_some(sources, before, path)
            continue
        if not path.is_dir() and path.exists():
            sources.add(path, path.name)
            continue
        sources.many = True
        if path.is_dir():
            _add_folder(sources, str(path), out, recursive)
        else:
            _add_pattern(sources, str(path), out, suffix)
        _check_some(sources, before, pattern)
    for name in listed or ():
        if ".." in Path(name).parts:
            raise ValueError(f"a listed name may not contain .., got {name}")
        below = name.partition("://")[2] if is_address(name) else os.path.normpath(name)
        sources.add(name, below.lstrip(os.sep))
    if not sources.files:
        raise FileNotFoundError("the list of pictures is empty")
    return sources


def _check_some(sources, before, pattern):
    if len(sources.files) == before:
        remark = sources.remark()
        raise FileNotFoundError(f"no picture {pattern}{f': {remark}' if remark else ''}")


def _add_stored(sources, folder, out, recursive):
    """Add what a store holds: no file is opened, and results in it are left out."""
    start = len(folder.address) + 1
    inside = place(out).address + "/" if out and is_address(out) else None
    for address in folder.files(recursive):
        if inside and address.startswith(inside):
            continue
        name = address[start:] or folder.name
        if address.startswith(folder.address + "/"):
            sources.many = True
        else:
            name = address.rpartition("/")[2]
            sources.many |= address != folder.address
        ending = os.path.splitext(name)[1].lower()
        if ending in READABLE or address == folder.address:
            sources.add(address, name)
        else:
            sources.passed_over[ending or NO_ENDING] += 1


def _add_folder(sources, folder, out, recursive):
    out = out and not is_address(out) and place(out)
    own = {os.path.normpath(file) for file in _made_from(folder, out)}
    length = len(os.path.join(folder, ""))
    for file in _files_in(folder, out and os.path.realpath(out), recursive, sources.passed_over):
        if os.path.normpath(file) not in own:
            _add_picture(sources, file, file[length:], sniff=False)


def _add_pattern(sources, pattern, out, suffix):
    files = sorted(glob.glob(pattern, recursive=True))
    own = {file for parent in {*map(os.path.dirname, files)} for file in _made_from(parent, out)}
    own = {file for file in own if Path(file).stem.endswith(suffix)}
    for file in files:
        if os.path.isfile(file) and file not in own:
            _add_picture(sources, file, os.path.basename(file), sniff=True)


def _files_in(folder, out, recursive, passed_over):
    """Files of a folder by name, hidden ones left out."""
    with os.scandir(folder) as entries:
        entries = sorted(entries, key=lambda entry: entry.name)
    folders = []
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            yield os.path.join(folder, entry.name)
        elif os.path.realpath(entry.path) != out:
            folders.append(entry)
    del entries
    for inner in folders:
        if not recursive:
            passed_over[FOLDER] += 1
        elif inner.is_symlink():  # which may lead back here
            passed_over[LINKED_FOLDER] += 1
        else:
            yield from _files_in(os.path.join(folder, inner.name), out, recursive, passed_over)


def _made_from(folder, out):
    """Files in a folder that were made from other files in it, if results go there again."""
    inside = os.path.realpath(folder)
    if not out or not os.path.isdir(out) or inside != os.path.realpath(out):
        return
    for target, source in Record(folder).results():
        if os.path.commonpath([inside, source]) == inside:
            yield os.path.join(folder, target)


def _add_picture(sources, file, place, *, sniff):
    """Add what a file's name, or of one without an ending its beginning, says is a picture."""
    ending = os.path.splitext(file)[1].lower()
    if os.path.islink(file) and not os.path.exists(file):
        sources.passed_over[LINK] += 1
    elif ending in READABLE or ((not ending or sniff) and _begins_as_picture(file)):
        sources.add(file, place)
    else:
        sources.passed_over[ending or NO_ENDING] += 1


def _begins_as_picture(file):
    try:
        picture_size(file)
    except (ValueError, OSError):
        return False
    return True
