"""``python -m train shelf NAME``: how a file of ``weights/`` was made, and how to make it again."""

import shlex

from train.commands import stages
from train.commands.bundled import RECIPES
from train.commands.options import add

COMMANDS = {
    "shelf": (
        "Make one of the bundled networks again, or show how it was made.",
        "python -m train shelf wdsr-b-32-x4 --pictures data_sets --show",
    ),
}


def add_options(command, name="shelf"):
    """Add the options of ``shelf``."""
    command.add_argument(
        "name", nargs="?", help="name of a bundled network (default: list them with their recipes)"
    )
    add_place_options(command, "shelf")
    command.add_argument("--show", action="store_true", help="only print the commands")


def add_place_options(command, out):
    """Add where pictures and weights are."""
    add(
        command,
        "--pictures",
        "folder of the data sets' folders: photos, bsds300, b100, faces_train, …",
        ".",
        metavar="DIR",
    )
    add(command, "--out", "folder to write weights to", out, metavar="DIR")


def run(options, report=print):
    """List the recipes, or run one stage after the other; returns the exit status.

    A stage that was interrupted resumes; one that is done takes seconds.

    Raises:
        ValueError: There is no such recipe.
    """
    if options.name is None:
        report("\n".join(f"{name}: {recipe.described()}" for name, recipe in RECIPES.items()))
        return 0
    if options.name not in RECIPES:
        raise ValueError(f"recipes are {', '.join(RECIPES)}; got {options.name!r}")
    for words in RECIPES[options.name].commands(options.name, options.pictures, options.out):
        if options.show:
            report(f"python -m train {shlex.join(words)}")
        elif status := stages.train(words, report):
            return status
    return 0
