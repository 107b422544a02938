"""``python -m infer export``: write a network for other programs."""

import sys

from infer.commands.options import add_overwrite, load

HELP = "Write a network for TensorFlow Serving, TensorFlow Lite or ONNX."
EXAMPLE = "export wdsr-b-32-x4 --format onnx -o wdsr-b-32-x4.onnx"


def add_options(parser):
    """Add the options of ``export``."""
    parser.add_argument(
        "model",
        metavar="NAME_OR_FILE",
        help="network: a name that `python -m infer weights` lists, or a weight file",
    )
    parser.add_argument(
        "-o", "--out", required=True, metavar="FILE", help="file to write; for savedmodel a folder"
    )
    parser.add_argument(
        "--format", choices=["savedmodel", "tflite", "onnx"], required=True, help="what to write"
    )
    add_overwrite(parser)


def run(options):
    """Write a network for another runtime; returns the exit status."""
    from infer.jobs import check_free

    check_free(options.out, options.overwrite)
    model = load(options.model)
    from infer.export import export

    try:
        difference = export(model, options.out, options.format)
    except (ArithmeticError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.out}; largest difference from Keras {difference:.2g} grey levels")
    return 0
