"""``python -m infer export``: write a network for other programs, or as a page."""

import sys
from pathlib import Path

from data.quiet_start import load_tensorflow
from infer.commands.options import add_overwrite

HELP = "Write a network for TensorFlow Serving, TensorFlow Lite, ONNX or a browser."
_MOST_SAMPLES = 100
_SAMPLE_PX = 96
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
        "--format",
        choices=["savedmodel", "tflite", "onnx", "html"],
        required=True,
        help="what to write; html: one file that enlarges or restores pictures in a browser",
    )
    group = parser.add_argument_group("pictures, of all formats but html")
    group.add_argument(
        "--range",
        type=int,
        choices=[255, 1],
        default=255,
        help="the network takes and gives values in 0..255 or 0..1 (default: 255)",
    )
    group.add_argument(
        "--layout",
        choices=["nhwc", "nchw"],
        default="nhwc",
        help="channels last or first (default: nhwc)",
    )
    group = parser.add_argument_group("numbers, of tflite")
    group.add_argument(
        "--precision",
        choices=["float32", "float16", "int8"],
        default="float32",
        help="float16: half as large; int8: weights in 8 bits (default: float32)",
    )
    group.add_argument(
        "--calibrate",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="for int8 in whole numbers only, for processors without floats: folders of pictures "
        "such as the network will get; 100 of them are used",
    )
    add_overwrite(parser)


def run(options):
    """Write a network for another runtime; returns the exit status."""
    from infer.jobs import check_free

    check_free(options.out, options.overwrite)
    load_tensorflow()
    from infer.export import export
    from weights.load import load_model, manifest

    known = manifest().get(options.model, {})
    try:
        difference = export(
            load_model(options.model),
            options.out,
            options.format,
            value_range=options.range,
            layout=options.layout,
            precision=options.precision,
            calibration=_middles(options.calibrate),
            name=Path(options.model).name,
            licence=known.get("licence", "licence not known"),
        )
    except (ArithmeticError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.out}; largest difference from Keras {difference:.2g} grey levels")
    return 0


def _middles(folders):
    """The middles of pictures, evenly chosen, as float32 RGB."""
    from data.pictures.folder import picture_files
    from data.pictures.read import load_image, rgb8

    files = picture_files(*folders)
    chosen = files[:: max(1, len(files) // _MOST_SAMPLES)][:_MOST_SAMPLES]
    pictures = (rgb8(load_image(file)) for file in chosen)
    return [_middle(pixels).astype("float32") for pixels in pictures]


def _middle(pixels):
    top, left = (max(0, side - _SAMPLE_PX) // 2 for side in pixels.shape[:2])
    return pixels[top : top + _SAMPLE_PX, left : left + _SAMPLE_PX]
