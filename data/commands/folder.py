"""``python -m data folder``."""

from data.commands.options import add_pairs
from data.commands.pairs import decode

HELP = "Decode pictures of your own"
EXAMPLE = "folder --hr PHOTOS --sheet sheet.png"


def add_options(command):
    """Add the options of the command."""
    command.add_argument(
        "--hr", nargs="+", required=True, metavar="DIR", help="folders of HR pictures"
    )
    command.add_argument(
        "--lr",
        nargs="+",
        metavar="DIR",
        help="folders of LR pictures named as the HR ones, with or without x4 at the end, one for "
        "each HR folder in the same order (default: LR is made of HR by MATLAB's bicubic)",
    )
    command.add_argument(
        "--strict",
        action="store_true",
        help="stop at a picture that cannot be read (default: leave it out and name it)",
    )
    add_pairs(command, ".caches")


def run(options):
    """Run the command; returns whether all pictures could be read."""
    from data import ImageFolder

    folders, caches = (options.hr, options.lr), {"caches_dir": options.caches_dir}
    return decode(
        lambda: ImageFolder(*folders, options.scale, strict=options.strict, **caches), options
    )
