"""The commands of ``python -m infer`` that need no data sets: their options, and what they do.

Nothing here imports what takes time before a command runs.
"""

import sys

from data.quiet_start import load_tensorflow


def add_model(command):
    """Add ``--model``."""
    command.add_argument(
        "--model", metavar="NAME_OR_FILE", help="bundled network or weight file (has a default)"
    )


def add_tile(command):
    """Add the options on tiles."""
    group = command.add_argument_group("memory")
    group.add_argument(
        "--tile",
        type=lambda text: text if text == "auto" else None if text == "none" else int(text),
        default="auto",
        metavar="PX",
        help="side of a tile; auto (default): what fits in memory; none: no tiles",
    )
    group.add_argument("--overlap-px", type=int, metavar="PX", help="px read around each tile")


def load(name_or_path):
    """Load a network for inference: None is the default one; weight normalisation is folded."""
    load_tensorflow()
    from model.layers import fold_weight_norm
    from weights.load import DEFAULT, load_model

    return fold_weight_norm(load_model(name_or_path or DEFAULT))


def add_files(command):
    """Add the options on files."""
    group = command.add_argument_group("files")
    group.add_argument("--suffix", default="", help="put at the end of names: --suffix=-x4")
    group.add_argument("--format", choices=["png", "jpg", "tif", "webp", "bmp"], help="of results")
    group.add_argument("--quality", type=int, default=95, help="of JPEG and WebP (default 95)")
    group.add_argument("--overwrite", action="store_true", help="replace originals, others' files")
    group.add_argument("--workers", type=int, default=2, help="threads for files (default 2)")
    group.add_argument(
        "--max-megapixels", type=float, default=256, help="refuse larger pictures (default 256)"
    )


def add_quality(command):
    """Add the options on other forms of a network."""
    group = command.add_argument_group("network")
    group.add_argument(
        "--self-ensemble", action="store_true", help="mean of 8 flips and turns: 8 times slower"
    )
    group.add_argument(
        "--blend", nargs=3, metavar=("A", "B", "SHARE"), help="network between A (0) and B (1)"
    )
    group.add_argument(
        "--half", action="store_true", help="half precision, if that is faster on this device"
    )


def network_of(options):
    """Load the network that ``--model``, ``--blend`` and ``--half`` describe."""
    if options.model and options.blend:
        raise ValueError("give --model or --blend, not both")
    if options.blend:
        a, b, share = options.blend
        networks = load(a), load(b)
        from infer.variants import blend

        model = blend(*networks, _number(share, "the share of --blend"))
    else:
        model = load(options.model)
    if options.half:
        from infer.variants import half_if_faster

        model, sentence = half_if_faster(model)
        print(sentence, file=sys.stderr)
    return model


def _number(text, what):
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{what} must be a number, got {text!r}") from None
