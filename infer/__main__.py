"""Command line: ``python -m infer upscale photo.jpg -o big.png``, and more: see ``--help``.

Each command is a line of `COMMANDS`: a function that adds its options and one that runs it. Only
the latter imports what takes time, so that ``--help`` answers at once. Commands that need `data`
are here; the others in `infer.commands.options`.
"""

import argparse
import sys

from infer.commands import demo, restore
from infer.commands import faces as face_commands
from infer.commands import weights as weight_commands
from infer.commands.compare import add_compare, compare
from infer.commands.evaluate import _add_evaluate, _evaluate
from infer.commands.export import add_export, export
from infer.commands.upscale import add_upscale, upscale


def main(arguments=None):
    """Run the command line; returns the exit status: 0, 1 (failed), 2 (the user's mistake)."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except (ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser():
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m infer", description="Make pictures better.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (what, add_options, run) in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=what)
        add_options(command)
        command.set_defaults(run=run)
    return top


COMMANDS = {
    "demo": ("Make a photograph small, bring it back, draw both.", demo.add_options, demo.run),
    "upscale": ("Enlarge pictures.", add_upscale, upscale),
    "restore": ("Take away noise, blur, stairs or scratches.", restore.add_options, restore.run),
    "faces": (
        "Enlarge pictures with one network, and faces in them with another.",
        face_commands.add_options,
        face_commands.run,
    ),
    "evaluate": ("Score a network on a folder of pictures.", _add_evaluate, _evaluate),
    "compare": (
        "Make a page with a slider between pictures.",
        add_compare,
        compare,
    ),
    "export": (
        "Write a network for TensorFlow Serving, TensorFlow Lite or ONNX.",
        add_export,
        export,
    ),
    "weights": (
        "List bundled networks and published ones, or fetch the latter.",
        weight_commands.add_weights,
        weight_commands.weights,
    ),
    "convert": (
        "Turn a weight file from elsewhere into one of this library.",
        weight_commands.add_convert,
        weight_commands.convert,
    ),
}

if __name__ == "__main__":
    sys.exit(main())
