"""Command line: ``python -m data div2k|folder …`` fetches, decodes and shows training pictures;
``python -m data preview|degrade …`` damages clean ones.

Each command is a file of `data.commands` with a sentence ``HELP``, an ``EXAMPLE``, and two
functions: ``add_options(parser)``, and ``run(options)``, which returns whether all pictures could
be read. Only the latter imports what takes time, so that ``--help`` is there at once.
"""

import argparse
import sys

from data.commands import degrade, div2k, folder, preview
from data.quiet_start import load_tensorflow
from whole_pictures import Parser, check_rooms, open_streams

COMMANDS = (div2k, folder, preview, degrade)

_STATUS = "exit status: 0 done, 1 done without pictures that could not be read, 2 a mistake"


def parser(program="python -m data"):
    """The command line."""
    top = Parser(prog=program, description="Prepare training pictures and look at them.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        command = commands.add_parser(
            module.__name__.rpartition(".")[2],
            help=module.HELP,
            description=f"{module.HELP}.",
            epilog=f"{_STATUS}\n\nexample:\n  {program} {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_options(command)
        command.set_defaults(run=module.run)
    return top


def main(arguments=None, program="python -m data"):
    """Run the command line; returns the exit status: 0, 1 (not all pictures), 2 (a mistake)."""
    open_streams()
    try:
        check_rooms()
        options = parser(program).parse_args(arguments)
        load_tensorflow()
        complete = options.run(options)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
