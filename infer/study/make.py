"""Plan a study with people: check the pictures, copy them under names that tell nothing."""

import contextlib
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from data.pictures.folder import picture_files
from data.pictures.read import in_srgb, picture_size, read_picture
from data.pictures.write import save_image
from data.resize import imresize
from infer.study import schema
from infer.study.plan import plan

REFERENCE_NAME = "original (hidden)"
_MOST_VARIANTS = 9


@dataclass(frozen=True)
class Scene:
    """One original, and what the variants made of it.

    Attributes:
        set_name: Folder in the folder of originals; "" where it lies in that folder itself.
        name: File name without its ending.
        original: File.
        results: A file a variant.
        lr: File of the small picture; None: it is made of the original.
    """

    set_name: str
    name: str
    original: Path
    results: tuple[Path, ...]
    lr: Path | None


def make(out, originals, variants, *, lr=None, scale=4, people=50, **plan_options):
    """Make the folder of a study.

    Pictures are paired by their names without ending. Folders in the folder of originals are sets
    of test pictures of their own, such as ``general/`` and ``faces/``; the other folders have the
    same.

    Args:
        out: Folder to make.
        originals: Folder of the originals, which are shown as the best score.
        variants: Name → folder of the results to be rated, of the originals' sizes.
        lr: Folder of the small pictures, which are shown enlarged (bicubic) as the worst score;
            None: they are made of the originals by MATLAB's bicubic.
        scale: Of those that are made.
        people: Number of people; each gets a link.
        **plan_options: `share`, `repeats`, `training` and `seed` of `infer.study.plan.plan`.

    Returns:
        Sentences on pictures of variants that were passed over, for they have no original.

    Raises:
        ValueError: A picture is missing, has another size or cannot be read, or the plan fails.
        FileNotFoundError: A folder is missing or empty.
    """
    _check_names(variants)
    if scale < 2:
        raise ValueError(f"small pictures must be 2 times smaller or more, got {scale}")
    scenes, remarks = _scenes(Path(originals), variants, lr and Path(lr))
    sizes = [_checked_size(scene) for scene in scenes]
    items = plan([s.set_name for s in scenes], len(variants) + 1, people, **plan_options)
    with _whole_folder(Path(out)) as folder:
        pictures = []
        (folder / schema.PICTURES).mkdir()
        for number, scene in enumerate(scenes):
            for result, pixels in _pictures(scene, scale):
                name = secrets.token_hex(8)
                save_image(folder / schema.PICTURES / f"{name}.png", pixels)
                pictures.append((name, number, result))
        rows = [(s.set_name, s.name, *size) for s, size in zip(scenes, sizes, strict=True)]
        schema.create(folder, [*variants, REFERENCE_NAME], rows, pictures, items)
    return remarks


def _check_names(variants):
    if not 1 <= len(variants) <= _MOST_VARIANTS:
        raise ValueError(f"a study has 1..{_MOST_VARIANTS} variants, got {len(variants)}")
    if REFERENCE_NAME in variants or "" in variants:
        raise ValueError(f"a variant needs a name other than {REFERENCE_NAME!r}")


def _scenes(originals, variants, lr):
    found = _by_place(originals)
    folders = {name: _by_place(Path(folder)) for name, folder in variants.items()}
    small = _by_place(lr) if lr else {}
    remarks = []
    for name, files in [*folders.items(), *([("--lr", small)] if lr else [])]:
        missing = [found[place] for place in found if place not in files]
        if missing:
            more = f" and of {len(missing) - 1} more" if len(missing) > 1 else ""
            where = lr if name == "--lr" else variants[name]
            raise ValueError(f"{where} has no picture of {missing[0]}{more}; {name} needs them all")
        extra = len(files) - len(found)
        if extra:
            remarks.append(f"{name}: {extra} pictures without an original are left out")
    return [
        Scene(*place, file, tuple(files[place] for files in folders.values()), small.get(place))
        for place, file in found.items()
    ], remarks


def _by_place(folder):
    """(set, name) → file, of a folder and of the folders in it."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    inner = [f for f in sorted(folder.iterdir()) if f.is_dir() and not f.name.startswith(".")]
    files = {}
    for where in [folder, *inner]:
        try:
            found = picture_files(where)
        except FileNotFoundError:  # this folder has none; others may
            continue
        for file in found:
            place = ("" if where == folder else where.name, file.stem)
            if place in files:
                raise ValueError(f"{files[place]} and {file} have one name: which is meant?")
            files[place] = file
    if not files:
        picture_files(folder)  # says what pictures are
    return files


def _checked_size(scene):
    size = picture_size(scene.original)
    for file in scene.results:
        other = picture_size(file)
        if other != size:
            raise ValueError(
                f"{file} must have the size of {scene.original}, {size[1]} × {size[0]} px, got "
                f"{other[1]} × {other[0]}"
            )
    if scene.lr:
        small = picture_size(scene.lr)
        scales = {big / little for big, little in zip(size, small, strict=True)}
        if len(scales) > 1 or not min(scales).is_integer():
            raise ValueError(
                f"{scene.lr} must be a whole number of times smaller than {scene.original}, "
                f"{size[1]} × {size[0]} px, got {small[1]} × {small[0]}"
            )
    return size


def _pictures(scene, scale):
    """(number of the result, pixels) of all that is shown of a scene."""
    original = in_srgb(read_picture(scene.original))
    height, width = original.shape[:2]
    small = in_srgb(read_picture(scene.lr)) if scene.lr else imresize(original, 1 / scale)
    factor = height / small.shape[0] if scene.lr else scale
    yield schema.LOW, imresize(small, factor)[:height, :width]
    yield schema.REFERENCE, original
    for number, file in enumerate(scene.results):
        yield number, in_srgb(read_picture(file))
    yield len(scene.results), original


@contextlib.contextmanager
def _whole_folder(path):
    """A folder that appears under its name only when it is complete."""
    partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=".study-"))
    try:
        yield partial
        os.chmod(partial, 0o755)
        os.rename(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
