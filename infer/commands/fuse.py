"""``python -m infer fuse``: a general network, and specialists on what they know."""

from infer.commands import faces
from infer.commands.specialists import BUILT_IN, asked_for

HELP = "Enlarge pictures with one network, and what is found in them with others."
EXAMPLE = "fuse photo.jpg -o big.png --specialist faces --specialist plate=plates.py:find,net.h5"


def add_options(parser):
    """Add the options of ``fuse``."""
    faces.add_fusion(parser)
    parser.add_argument(
        "--specialist",
        action="append",
        required=True,
        type=asked_for,
        metavar="NAME[=MODULE:FUNCTION][,WEIGHTS]",
        help=f"{' or '.join(BUILT_IN)} (text needs the extra of this name); or a name "
        "of your own with a detector (a function of a Python module or file.py, from a picture, "
        "height × width × 3 numbers in 0..255, to boxes) and a network of the general one's scale. "
        "Give it several times for several specialists: where two find the same, the later one is "
        "used",
    )


def run(options):
    """Enlarge pictures with several networks; returns the exit status."""
    names = [asked.name for asked in options.specialist]
    if len(set(names)) < len(names):
        raise ValueError(f"each specialist may be given once, got {', '.join(names)}")
    return faces.run(options)
