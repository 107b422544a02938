"""``python -m infer export``: write a network for other programs."""

import sys

from infer.commands.options import load


def add_export(command):
    """Add the options of ``export``."""
    command.add_argument("model", metavar="NAME_OR_FILE", help="bundled network or weight file")
    command.add_argument("-o", "--out", required=True, metavar="FILE", help="file or folder")
    command.add_argument("--format", choices=["savedmodel", "tflite", "onnx"], required=True)


def export(options):
    """Write a network for another runtime; returns the exit status."""
    model = load(options.model)
    from infer.export import export as write

    try:
        difference = write(model, options.out, options.format)
    except (ArithmeticError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.out}; largest difference from Keras {difference:.2g} grey levels")
    return 0
