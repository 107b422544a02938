"""``python -m infer convert``: turn a weight file from elsewhere into one of this library."""

import argparse
import json
from pathlib import Path

from data.quiet_start import load_tensorflow
from infer.commands.options import add_overwrite
from infer.commands.weights import add_allow_nan

HELP = "Turn a weight file from elsewhere into one of this library."
EXAMPLE = "convert RealESRGAN_x4plus.pth"


def add_options(parser):
    """Add the options of ``convert``."""
    parser.add_argument(
        "source", metavar="IN", help="file to read: .pth, .pt, .safetensors, .npz, .h5, .keras"
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="OUT",
        help="file to write, .h5 or, for sharing, .safetensors (default: beside IN, ending in "
        ".weights.h5)",
    )
    parser.add_argument(
        "--with",
        dest="others",
        action="append",
        default=[],
        metavar="FILE",
        help="another file whose tensors belong to the same network, such as LPIPS' linear layers",
    )
    parser.add_argument(
        "--set",
        dest="arguments",
        action="append",
        default=[],
        type=_argument,
        metavar="NAME=VALUE",
        help="replace a recognised argument of the network's builder, such as "
        "res_block_scaling=0.1",
    )
    parser.add_argument(
        "--licence",
        metavar="TEXT",
        help="licence to note in the file (default: that of the origin, not stated)",
    )
    add_allow_nan(parser)
    add_overwrite(parser)


def _argument(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def run(options):
    """Convert a weight file."""
    load_tensorflow()
    from infer.jobs import check_free
    from weights.convert import convert, target_of

    target = target_of(options.source, options.target)
    if target.resolve() != Path(options.source).resolve():  # `convert` says more of that
        check_free(target, options.overwrite)
    convert(
        [options.source, *options.others],
        options.target,
        arguments=dict(options.arguments),
        allow_nan=options.allow_nan,
        origin={"licence": options.licence} if options.licence else None,
    )
