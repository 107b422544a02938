"""``python -m data div2k``."""

from data.commands.options import add_pairs
from data.commands.pairs import decode

HELP = "Fetch a track of DIV2K and decode it"
EXAMPLE = "div2k --scale 4 --subset valid"


def add_options(command):
    """Add the options of the command."""
    command.add_argument(
        "--subset",
        choices=["train", "valid"],
        default="train",
        help="train: 800 pictures, valid: 100 pictures (default: train)",
    )
    command.add_argument(
        "--downgrade",
        choices=["bicubic", "unknown", "mild", "difficult"],
        default="bicubic",
        help="how LR was made: bicubic (scales 2, 3, 4, 8), unknown (2, 3, 4), mild or difficult "
        "(4) (default: bicubic)",
    )
    command.add_argument(
        "--images-dir",
        metavar="DIR",
        default=".div2k/images",
        help="folder of DIV2K; what is missing is fetched (default: .div2k/images)",
    )
    add_pairs(command, ".div2k/caches")


def run(options):
    """Run the command; returns whether all pictures could be read."""
    from data import DIV2K

    track = options.scale, options.subset, options.downgrade
    return decode(lambda: DIV2K(*track, options.images_dir, options.caches_dir), options)
