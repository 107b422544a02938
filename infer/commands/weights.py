"""The commands of ``python -m infer`` about weight files: ``weights`` and ``convert``.

Nothing here imports what takes time before a command runs.
"""

import argparse
import json

from data.quiet_start import load_tensorflow
from weights.tables import rebuild


def add_weights(command):
    """Add the options of ``weights``."""
    command.add_argument(
        "action", nargs="?", choices=("list", "get"), default="list", help="list (default) or fetch"
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="get: outside weights to fetch")
    command.add_argument(
        "--rebuild",
        action="store_true",
        help="for developers: write the manifest and the tables of docs/models.md from the files",
    )
    _add_allow_nan(command)


def weights(options):
    """List bundled and known outside weights, or fetch some of the latter."""
    if bool(options.names) != (options.action == "get"):
        raise ValueError("give `weights get` the names to fetch, and `weights list` none")
    load_tensorflow()
    from weights import catalogue
    from weights import load as bundled
    from weights.tables import tables

    for name in options.names:
        print(catalogue.get(name, allow_nan=options.allow_nan))
    if options.action == "get":
        return
    if options.rebuild:
        rebuild()
    print("Bundled\n")
    print(tables(bundled.manifest()))
    print("\nPublished by others; `python -m infer weights get NAME` fetches and converts\n")
    print(catalogue.table())


def add_convert(command):
    """Add the options of ``convert``."""
    command.add_argument("source", metavar="IN", help=".pth, .pt, .safetensors, .npz or .h5 file")
    command.add_argument(
        "target", nargs="?", metavar="OUT", help="file to write (beside IN, ending in .weights.h5)"
    )
    command.add_argument(
        "--with",
        dest="others",
        action="append",
        default=[],
        metavar="FILE",
        help="another file whose tensors belong to the same network (LPIPS' linear layers)",
    )
    command.add_argument(
        "--set",
        dest="arguments",
        action="append",
        default=[],
        type=_argument,
        metavar="NAME=VALUE",
        help="replace a recognised argument, such as res_block_scaling=0.1",
    )
    command.add_argument("--licence", metavar="TEXT", help="licence to note in the file")
    _add_allow_nan(command)


def convert(options):
    """Convert a weight file from elsewhere."""
    load_tensorflow()
    from weights import convert as conversion

    conversion.convert(
        [options.source, *options.others],
        options.target,
        arguments=dict(options.arguments),
        allow_nan=options.allow_nan,
        origin={"licence": options.licence} if options.licence else None,
    )


def _add_allow_nan(command):
    command.add_argument(
        "--allow-nan", action="store_true", help="accept weights that are not finite numbers"
    )


def _argument(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"NAME=VALUE is needed, got {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
