"""Command line: ``python -m infer upscale photo.jpg -o big.png``, and more: see ``--help``.

Each command is a file of `infer.commands` with a sentence ``HELP``, an ``EXAMPLE``, and two
functions: ``add_options(parser)``, and ``run(options)``, which returns the exit status or None.
Only the latter imports what takes time, so that ``--help`` is there at once.
"""

import argparse
import sys

from infer.commands import (
    app,
    compare,
    convert,
    demo,
    evaluate,
    export,
    faces,
    fuse,
    restore,
    study,
    upscale,
    weaknesses,
    weights,
)
from whole_pictures import Parser, open_streams, version

COMMANDS = (
    *(upscale, restore, faces, fuse, compare, app, evaluate, weaknesses),
    *(weights, convert, export, demo, study),
)

_OTHERS = """
further commands, each with its own --help:
  whole-pictures train NETWORK   train a network, or make a bundled one again
  whole-pictures data COMMAND    fetch, decode, damage and show training pictures
"""


def main(arguments=None, program="python -m infer"):
    """Run the command line; returns the exit status: 0, 1 (failed), 2 (the user's mistake)."""
    open_streams()
    options = parser(program).parse_args(arguments)
    try:
        return options.run(options) or 0
    except (ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        return _failed(error, 2)
    except (OSError, MemoryError, ImportError) as error:
        return _failed(error, 1)
    except KeyboardInterrupt:
        return 130


def parser(program="python -m infer"):
    """The command line."""
    top = Parser(
        prog=program,
        description="Enlarge and restore pictures, and look after weight files.",
        epilog=_OTHERS if program == "whole-pictures" else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"whole-pictures {version()}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        command = commands.add_parser(
            module.__name__.rpartition(".")[2],
            help=module.HELP,
            description=module.HELP,
            epilog=f"example:\n  {program} {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_options(command)
        command.set_defaults(run=module.run)
    return top


def _failed(error, status):
    from infer.sentences import sentence

    print(f"error: {sentence(error)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
