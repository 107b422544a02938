"""Which pictures a command is to make, and under which names.

`find_sources` says what files, folders and patterns name; `jobs_for` where each result goes; both
before anything is read, so that what cannot work is said before a network runs.
"""

import collections
import errno
import glob
import os
from dataclasses import dataclass, field
from pathlib import Path

from data.pictures.read import READABLE, picture_size
from data.pictures.write import WRITABLE, check_writable
from infer.record import Record

NO_ENDING = "without ending"
LINK = "link to nowhere"
FOLDER = "folder"


@dataclass(frozen=True)
class Job:
    """One picture to make.

    Attributes:
        source: The file it is made of.
        target: The file to write.
    """

    source: Path
    target: Path


@dataclass
class Sources:
    """What `find_sources` found.

    Attributes:
        files: File → where it lies in the folder that was named: ``Path("trip/a.jpg")`` or just
            its name.
        many: A folder or pattern was named, or more than one file.
        passed_over: Kind (an ending, or `NO_ENDING`, `LINK`, `FOLDER`) → number of files of it
            that are no pictures.
    """

    files: dict[Path, Path] = field(default_factory=dict)
    many: bool = False
    passed_over: collections.Counter = field(default_factory=collections.Counter)

    def remark(self):
        """What was passed over, in a sentence; None: nothing."""
        folders = self.passed_over[FOLDER]
        files = [f"{count} {kind}" for kind, count in sorted(self.passed_over.items()) if count]
        files = [words for words in files if not words.endswith(FOLDER)]
        parts = [f"what is no picture ({', '.join(files)})"] if files else []
        if folders:
            parts.append(f"{folders} folder{'s' * (folders > 1)} (--recursive takes theirs)")
        return f"passed over {' and '.join(parts)}" if parts else None


def find_sources(patterns, out=None, *, recursive=False, suffix=""):
    """List the pictures that files, folders and globs name.

    A file is always taken. Of a folder or pattern hidden files are left out, and, where results go
    into the same folder, what was made from its own pictures before.

    Args:
        patterns: Each a file, a folder, or a pattern with ``*``, ``?`` or ``[``.
        out: Where results will go.
        recursive: Take the pictures of folders in folders, too.
        suffix: Of the names of results. A pattern takes earlier results with another one.

    Returns:
        `Sources`.

    Raises:
        FileNotFoundError: One names nothing, or no picture.
    """
    sources = Sources(many=len(patterns) > 1)
    for pattern in patterns:
        before = len(sources.files)
        path = Path(pattern)
        if path.is_dir():
            own = _made_from(path, out)
            found = _files_in(path, out, recursive, sources.passed_over)
            found = {file: file.relative_to(path) for file in found if file not in own}
        elif path.exists():
            sources.files[path] = Path(path.name)
            continue
        else:
            files = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
            own = {f for parent in {f.parent for f in files} for f in _made_from(parent, out)}
            own = {file for file in own if file.stem.endswith(suffix)}
            found = {f: Path(f.name) for f in files if f.is_file() and f not in own}
        sources.many = True
        for file, place in found.items():
            if _is_picture(file, sniff=not path.is_dir()):
                sources.files[file] = place
            else:
                sources.passed_over[_kind(file)] += 1
        if len(sources.files) == before:
            remark = sources.remark()
            raise FileNotFoundError(f"no picture {pattern}{f': {remark}' if remark else ''}")
    return sources


def _files_in(folder, out, recursive, passed_over):
    """Files of a folder by name, hidden ones left out."""
    folders = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            yield entry
        elif out is None or entry.resolve() != Path(out).resolve():
            folders.append(entry)
    if not recursive:
        passed_over.update({FOLDER: len(folders)} if folders else {})
        return
    for inner in folders:
        if not inner.is_symlink():  # which may lead back here
            yield from _files_in(inner, out, recursive, passed_over)


def _made_from(folder, out):
    """Files in a folder that were made from other files in it, if results go there again."""
    if out is None or not Path(out).is_dir() or folder.resolve() != Path(out).resolve():
        return frozenset()
    record = Record(folder)
    inside = folder.resolve()
    lines = ((folder / name, record.line_of(folder / name)) for name in record.made)
    return {file for file, line in lines if line and inside in Path(line["source"][0]).parents}


def _is_picture(file, *, sniff):
    """Whether a file's name, or of one without an ending its beginning, says it is a picture."""
    if not file.exists():
        return False
    if file.suffix.lower() in READABLE:
        return True
    if file.suffix and not sniff:
        return False
    try:
        picture_size(file)
    except (ValueError, OSError):
        return False
    return True


def _kind(file):
    if not file.exists():
        return LINK
    return file.suffix.lower() or NO_ENDING


def jobs_for(sources, out, *, suffix="", ending=None, overwrite=False):
    """Say where each result goes, before anything is read.

    Args:
        sources: `Sources`; with `many`, `out` must be a folder.
        out: A file name, or a folder (made if missing; a single file's must exist or end in ``/``).
        suffix: Put between a name and its ending, in a folder.
        ending: ``".png"`` and the like: format of results in a folder; None: as the source, or
            PNG where that cannot be written.
        overwrite: Allow results to take the place of their sources and of other files.

    Returns:
        ``(jobs, folder)``: the `Job`s, and the folder they go to; None: `out` is a file.

    Raises:
        ValueError: Two results would have one name, one would replace a file, or `out` does not
            fit or cannot be written.
    """
    target = Path(out)
    check_name(target)
    _check_folder(target, sources.many)
    if sources.many or target.is_dir() or str(out).endswith(("/", os.sep)):
        jobs, folder = _in_folder(sources.files, target, suffix, ending), target
    elif suffix or ending:
        raise ValueError(f"a suffix and a format are for folders; {out} has its own name")
    else:
        jobs, folder = [Job(next(iter(sources.files)), target)], None
    _check_targets(jobs, overwrite)
    if folder is None:
        check_free(target, overwrite)
    return jobs, folder


def _check_folder(target, many):
    has_picture_name = target.suffix.lower() in WRITABLE
    if many and not target.is_dir() and (target.exists() or has_picture_name):
        raise ValueError(f"several pictures need a folder to go to, got {target}")
    if not many and target.is_dir() and has_picture_name:
        raise ValueError(f"{target} is a folder; name a file in it")


def _in_folder(files, target, suffix, ending):
    """Jobs by name; ``a.gif`` beside ``a.png`` becomes ``a.gif.png``, for neither is to be lost."""
    names = {
        file: target / place.parent / (file.stem + suffix + (ending or _same(file)))
        for file, place in files.items()
    }
    wanted = collections.Counter(names.values())
    for file, name in names.items():
        if wanted[name] > 1 and not ending and _same(file) != file.suffix:
            names[file] = name.with_name(file.name + suffix + name.suffix)
    return [Job(file, name) for file, name in names.items()]


def _same(file):
    return file.suffix if file.suffix.lower() in WRITABLE else ".png"


def _check_targets(jobs, overwrite):
    sources = {job.source.resolve() for job in jobs}
    taken = {}
    for job in jobs:
        check_writable(job.target, 1, 1)
        if job.target in taken:
            raise ValueError(
                f"{taken[job.target]} and {job.source} would both be written to {job.target}"
            )
        taken[job.target] = job.source
        if job.target.resolve() in sources and not overwrite:
            raise ValueError(
                f"{job.target} is an original; give another folder, a suffix, or --overwrite"
            )


def check_free(path, overwrite=False):
    """Check that a file or folder can be made under a name, before the work for it is done.

    Raises:
        ValueError: The name is taken and `overwrite` is not set, its folder is missing or cannot
            be written to, or the name is too long.
    """
    path = Path(path)
    check_name(path)
    if os.path.lexists(path) and not overwrite:
        raise ValueError(
            f"{path} is there already; give another name, or --overwrite to replace it"
        )
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent} to write {path.name} to; make it first")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"the folder {path.parent} cannot be written to")


def check_name(path):
    """Raise `ValueError` if a name is too long for the file system it would be on."""
    for folder in path.parents:
        if folder.is_dir():
            try:
                os.lstat(folder / path.name)
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    size = len(os.fsencode(path.name))
                    raise ValueError(
                        f"{path}: a name of {size} bytes is too long for this file system"
                    ) from error
            return
