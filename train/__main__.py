"""Command line: ``python -m train edsr --hr DIR --scale 4 --steps N --out FILE.weights.h5``."""

import argparse
import errno
import signal
import sys

from train.commands import campaign, esrgan, report, restoration, shelf, sr, studies
from whole_pictures import Parser, check_rooms, open_streams

_FILES = (sr, esrgan, restoration, studies, report, shelf, campaign)


def parser(program="python -m train"):
    """The command line: a command for each of ``COMMANDS`` of the files in `train.commands`."""
    top = Parser(
        prog=program,
        description="Train a network. Run again with the same arguments, it resumes.",
    )
    commands = top.add_subparsers(dest="network", required=True, metavar="COMMAND")
    for file in _FILES:
        for name, (what, example) in file.COMMANDS.items():
            command = commands.add_parser(
                name,
                help=what,
                description=what,
                epilog=f"example:\n  {example}",
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            file.add_options(command, name)
            command.set_defaults(run=file.run)
    return top


def main(arguments=None, program="python -m train"):
    """Run the command line; returns the exit status: 0, 1 (failed), 2 (the user's mistake)."""
    open_streams()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        check_rooms()
        options = parser(program).parse_args(arguments)
        return options.run(options) or 0
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, FloatingPointError) as error:
        print(f"error: {_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _sentence(error):
    if getattr(error, "errno", None) == errno.ENOSPC:
        place = error.filename or "a file"
        return f"no room for {place} ({error.strerror}): make room, then run the same command again"
    return error


if __name__ == "__main__":
    sys.exit(main())
