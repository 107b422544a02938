"""Options that several commands have, and the files that they write."""

import argparse
from pathlib import Path

TASKS = (
    "gaussian-noise, salt-and-pepper, poisson-noise, motion-blur, gaussian-blur, aliasing, "
    "inpainting, jpeg"
)
"""Names of `data.tasks.TASKS`, which takes seconds to import."""


def add_pairs(command, caches_dir):
    """Add the options of a command that decodes pairs of LR and HR."""
    command.add_argument(
        "--scale", type=whole(2), default=4, metavar="N", help="HR size over LR size (default: 4)"
    )
    add_caches(command, caches_dir)
    command.add_argument("--sheet", metavar="PNG", help="also draw random pairs, LR beside HR")
    command.add_argument(
        "--hr-crop-px",
        type=whole(1),
        default=192,
        metavar="PX",
        help="side of the HR windows on the sheet, cut to a multiple of --scale (default: 192)",
    )
    add_overwrite(command)


def add_clean(command):
    """Add where clean pictures are, and the seed of what is done to them."""
    command.add_argument(
        "--in", dest="in_dir", required=True, metavar="DIR", help="folder of clean pictures"
    )
    command.add_argument(
        "--seed",
        type=whole(0),
        default=0,
        metavar="N",
        help="the same seed makes the same damage (default: 0)",
    )


def add_caches(command, default):
    """Add where decoded pictures are kept."""
    command.add_argument(
        "--caches-dir",
        metavar="DIR",
        default=default,
        help=f"folder where decoded pictures are kept (default: {default})",
    )


def add_overwrite(command):
    """Add leave to replace files."""
    command.add_argument(
        "--overwrite", action="store_true", help="replace files that are there (default: stop)"
    )


def whole(least):
    """Make the type of an option that is a whole number from `least` on."""

    def parse(text):
        if not text.removeprefix("-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {least}, got {text!r}"
            )
        return int(text)

    return parse


def check_free(path, overwrite):
    """Raise `FileExistsError` if a file is there that must not be replaced."""
    if Path(path).exists() and not overwrite:
        raise FileExistsError(f"{path} is there; --overwrite replaces it")


def save_sheet(sheet, path):
    """Write a picture, and the folder it is to be in."""
    from PIL import Image

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
