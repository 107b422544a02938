"""Under which names the results of pictures are written.

All is said before anything is read, so that what cannot work is said before a network runs, and
without a look at any picture, so that archives begin at once: some hundred bytes of each are kept.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.pictures.folder import Paths
from data.pictures.write import WRITABLE, check_writable
from infer.stores import Remote, is_there, place


@dataclass(frozen=True)
class Job:
    """One picture to make.

    Attributes:
        source: The file it is made of.
        target: The file to write.
    """

    source: Path | Remote
    target: Path | Remote


class Jobs(Sequence[Job]):
    """The jobs of `Sources`, each made when asked for.

    Args:
        sources: `infer.sources.Sources`.
        targets: Their targets, as `data.pictures.folder.Paths`.
    """

    def __init__(self, sources, targets):
        self._files, self._targets = sources.files, targets

    def __len__(self):
        return len(self._files)

    def __getitem__(self, number):
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        return Job(place(self._files.name(number)), place(self._targets.name(number)))

    def folders(self):
        """The folders that results go to."""
        return {os.path.dirname(target) for target in self._targets.names()}


def jobs_for(sources, out, *, suffix="", ending=None, overwrite=False):
    """Say where each result goes, before anything is read.

    Args:
        sources: `infer.sources.Sources`; with `many`, `out` must be a folder.
        out: A file name, or a folder (made if missing; a single file's must exist or end in ``/``);
            or an address in a store.
        suffix: Put between a name and its ending, in a folder.
        ending: ``".png"`` and the like: format of results in a folder; None: as the source, or
            PNG where that cannot be written.
        overwrite: Allow results to take the place of their sources and of other files.

    Returns:
        ``(jobs, folder)``: the `Jobs`, and the folder they go to, a `pathlib.Path` or
        `infer.stores.Remote`; None: `out` is a file.

    Raises:
        ValueError: Two results would have one name, one would replace a file, or `out` does not
            fit or cannot be written.
    """
    target = place(out)
    check_name(target)
    _check_folder(target, sources.many)
    local = isinstance(target, Path)
    if sources.many or (local and target.is_dir()) or str(out).endswith(("/", os.sep)):
        name = str(target) if local else target.address
        targets, folder = _in_folder(sources, name, suffix, ending), target
    elif suffix or ending:
        raise ValueError(f"a suffix and a format are for folders; {out} has its own name")
    else:
        targets, folder = Paths([target if local else target.address]), None
    _check_targets(sources, targets, overwrite)
    if folder is None:
        check_free(target, overwrite)
    return Jobs(sources, targets), folder


def _check_folder(target, many):
    has_picture_name = target.suffix.lower() in WRITABLE
    if not isinstance(target, Path):
        if many and has_picture_name:
            raise ValueError(f"several pictures need a folder to go to, got {target}")
        return
    if many and not target.is_dir() and (target.exists() or has_picture_name):
        raise ValueError(f"several pictures need a folder to go to, got {target}")
    if not many and target.is_dir() and has_picture_name:
        raise ValueError(f"{target} is a folder; name a file in it")


def _in_folder(sources, folder, suffix, ending):
    """Targets by name; ``a.gif`` beside ``a.png`` becomes ``a.gif.png``, for neither is lost."""
    seen, twice = set(), set()
    for _, kept in sources:
        name = hash(_named(kept, suffix, ending))
        (twice if name in seen else seen).add(name)
    targets = Paths(())
    for _, kept in sources:
        name = _named(kept, suffix, ending)
        own = os.path.splitext(kept)[1]
        if hash(name) in twice and not ending and _same(own) != own:
            name = f"{kept}{suffix}{_same(own)}"
        targets.append(os.path.join(folder, name))
    return targets


def _named(kept, suffix, ending):
    stem, own = os.path.splitext(kept)
    return f"{stem}{suffix}{ending or _same(own)}"


def _same(ending):
    return ending if ending.lower() in WRITABLE else ".png"


def _check_targets(sources, targets, overwrite):
    real = _RealFolders()
    originals = {real(file) for file in sources.files.names()}
    seen = set()
    for number, target in enumerate(targets.names()):
        check_writable(target, 1, 1)
        if hash(target) in seen:
            first = next(n for n, other in enumerate(targets.names()) if other == target)
            files = sources.files
            raise ValueError(
                f"{files[first]} and {files[number]} would both be written to {target}"
            )
        seen.add(hash(target))
        if real(target) in originals and not overwrite and is_there(place(target)):
            raise ValueError(
                f"{target} is an original; give another folder, a suffix, or --overwrite"
            )


class _RealFolders(dict):
    """Hash of a file's name in its real folder: links are looked up once a folder."""

    def __missing__(self, folder):
        self[folder] = os.path.realpath(folder)
        return self[folder]

    def __call__(self, file):
        folder, name = os.path.split(file)
        return hash((self[folder], name))


def check_free(path, overwrite=False):
    """Check that a file or folder can be made under a name, before the work for it is done.

    Raises:
        ValueError: The name is taken and `overwrite` is not set, its folder is missing or cannot
            be written to, or the name is too long.
    """
    path = place(path)
    check_name(path)
    if is_there(path) and not overwrite:
        raise ValueError(
            f"{path} is there already; give another name, or --overwrite to replace it"
        )
    if not isinstance(path, Path):
        return
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent} to write {path.name} to; make it first")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"the folder {path.parent} cannot be written to")


def check_name(path):
    """Raise `ValueError` if a name is too long for the file system it would be on."""
    if not isinstance(path, Path):
        return
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
