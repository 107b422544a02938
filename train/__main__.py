"""Command line: ``python -m train edsr --hr DIR --scale 4 --steps N --out FILE.weights.h5``."""

import argparse
import signal
import sys

from train.commands import esrgan as esrgan_commands
from train.commands import report, restoration, shelf
from train.commands import sr as sr_commands
from train.commands.restoration import train_restoration
from train.commands.run import train
from train.commands.studies import study_fusion


def parser():
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m train",
        description="Train a network. Run again with the same arguments, it goes on where it was.",
    )
    commands = top.add_subparsers(dest="network", required=True, metavar="NETWORK")
    for room in (sr_commands, esrgan_commands, restoration):
        for name, what in room.COMMANDS.items():
            command = commands.add_parser(name, help=what, description=what)
            room.add_options(command, name)
    what = "draw and tabulate runs side by side"
    report.add_options(commands.add_parser("report", help=what, description=what))
    what = "make one of the bundled networks again"
    shelf.add_options(commands.add_parser("shelf", help=what, description=what))
    return top


def main(arguments=None):
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.network in restoration.COMMANDS:
            train_restoration(options)
        elif options.network == "fusion-study":
            study_fusion(options)
        elif options.network == "report":
            return report.run(options)
        elif options.network == "shelf":
            return shelf.run(options)
        else:
            train(options)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, (ValueError, FileNotFoundError)) else 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
