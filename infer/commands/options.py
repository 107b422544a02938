"""Options that several commands of ``python -m infer`` have, and the loading of networks.

Nothing here imports what takes time before a command runs.
"""

import argparse
import sys

from data.quiet_start import load_tensorflow

SMALLEST_TILE_PX = 8


def add_pictures(parser):
    """Add the pictures and where results go."""
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="PICTURE",
        help="picture files, folders of them, or patterns such as 'photos/*.jpg'; - is a picture "
        "from stdin",
    )
    parser.add_argument(
        "--files-from",
        metavar="FILE",
        help="take the files that this file names, one a line or separated by NUL; - is stdin; "
        "results keep the folders of the names",
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="FILE_OR_DIR",
        help="file to write; for several pictures a folder, which is made if missing; - is stdout",
    )


def add_overwrite(parser):
    """Add ``--overwrite`` of a command that writes one file."""
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what is there under the name to write"
    )


def add_model(parser, default):
    """Add ``--model``."""
    parser.add_argument(
        "--model",
        metavar="NAME_OR_FILE",
        help="network: a name that `python -m infer weights` lists, or a weight file "
        f"(default: {default})",
    )


def add_tile(parser):
    """Add the options on tiles."""
    group = parser.add_argument_group("memory")
    group.add_argument(
        "--tile",
        type=_tile,
        default="auto",
        metavar="PX",
        help="side of the tiles in which a picture is run: auto (what fits in memory), none (the "
        f"picture as a whole), or {SMALLEST_TILE_PX} or more (default: auto)",
    )
    group.add_argument(
        "--overlap-px",
        type=not_negative,
        metavar="PX",
        help="px that are read around each tile (default: the network's receptive field, so that "
        "tiles give the same as one run; 32 for a network that looks everywhere)",
    )


def _tile(text):
    if text in ("auto", "none"):
        return None if text == "none" else text
    if not text.isdecimal() or int(text) < SMALLEST_TILE_PX:
        raise argparse.ArgumentTypeError(
            f"must be auto, none, or a whole number of {SMALLEST_TILE_PX} or more, got {text!r}"
        )
    return int(text)


def not_negative(text):
    """Read a whole number of 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of 0 or more, got {text!r}")
    return int(text)


def add_files(parser):
    """Add the options on files."""
    group = parser.add_argument_group("files")
    group.add_argument(
        "--recursive",
        action="store_true",
        help="take the pictures of folders in folders too; results keep the tree",
    )
    group.add_argument(
        "--suffix",
        default="",
        metavar="TEXT",
        help="put this between name and ending of results in a folder: --suffix=-x4",
    )
    group.add_argument(
        "--format",
        choices=["png", "jpg", "tif", "webp", "bmp"],
        help="format of results in a folder (default: that of the source, or png)",
    )
    group.add_argument(
        "--quality",
        type=int,
        default=95,
        metavar="1..100",
        help="quality of JPEG and WebP results (default: 95)",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that are there: originals, and files that this command did not make",
    )
    group.add_argument(
        "--workers",
        type=int,
        default=2,
        metavar="N",
        help="threads that read and write files (default: 2)",
    )
    group.add_argument(
        "--max-megapixels",
        type=float,
        default=256,
        metavar="N",
        help="refuse pictures with more pixels than this many million (default: 256)",
    )


def add_variants(parser):
    """Add the options on other forms of a network."""
    group = parser.add_argument_group("network")
    add_self_ensemble(group)
    group.add_argument(
        "--blend",
        nargs=3,
        metavar=("A", "B", "SHARE"),
        help="in place of --model: the network between A (share 0) and B (share 1), two names or "
        "files",
    )
    add_precision(group)


def add_self_ensemble(parser):
    """Add ``--self-ensemble``."""
    parser.add_argument(
        "--self-ensemble",
        action="store_true",
        help="average the results of eight flips and rotations: a little better, 8 times slower",
    )


def add_precision(parser):
    """Add ``--half`` and ``--full-precision``."""
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        "--half",
        action="store_true",
        help="compute in half precision, if that is faster on this device",
    )
    precision.add_argument(
        "--full-precision",
        action="store_true",
        help="compute in float32 also where the device is made for half precision, and the network "
        "is known to lose less than 0.02 dB by it",
    )


_kept = None  # (name, what tells its file) → network, once `keep_networks` was called
_MOST_KEPT = 4


def keep_networks():
    """Let `load` give the same network again for the same file, for programs that go on."""
    global _kept
    _kept = {}


def load(name_or_path):
    """Load a network for inference, with its weights as constants: None is the default one."""
    load_tensorflow()
    from infer.device import let_idle_threads_sleep
    from weights.load import DEFAULT, find, load_model

    let_idle_threads_sleep()
    name = name_or_path or DEFAULT
    if _kept is None:
        return load_model(name).freeze()
    file = find(name).stat()
    key = name, file.st_ino, file.st_mtime_ns, file.st_size
    _kept[key] = _kept.pop(key, None) or load_model(name).freeze()
    while len(_kept) > _MOST_KEPT:
        del _kept[next(iter(_kept))]
    return _kept[key]


def load_enlarging(name_or_path):
    """`load` a network that enlarges.

    Raises:
        ValueError: It restores instead: points to the command for that.
    """
    model = load(name_or_path)
    built_by = getattr(model, "built_by", None)
    if built_by and built_by.name == "restormer":
        raise ValueError(
            f"{name_or_path} does not enlarge: it restores pictures at their own size; use "
            "`python -m infer restore` for it"
        )
    return model


def load_precise(name_or_path, options):
    """`load_enlarging` a network, in the precision that the options of `add_precision` choose."""
    return in_precision(load_enlarging(name_or_path), options)


def network_of(options, default=None):
    """Load the network that the options of `add_model` and `add_variants` describe.

    Args:
        options: Of the command.
        default: Name of the network where neither is given; None: the default of all commands.
    """
    if options.model and options.blend:
        raise ValueError("give --model or --blend, not both")
    if options.blend:
        a, b, share = options.blend
        share = _number(share, "the share of --blend")
        networks = load_enlarging(a), load_enlarging(b)
        from infer.variants import blend

        return in_precision(blend(*networks, share), options)
    return load_precise(options.model or default, options)


def in_precision(model, options):
    """Return a network in the precision that ``--half``, ``--full-precision`` or neither choose."""
    from infer.variants import half_if_faster, half_if_safe

    if options.half:
        model, sentence = half_if_faster(model)
        print(sentence, file=sys.stderr)
    elif not options.full_precision:
        model = half_if_safe(model, in_place=_kept is None)
    return model.freeze()


def plain_restorer(model, options):
    """Return a restoration network as one without masks, in the precision of `in_precision`."""
    from model.restoration import has_mask, without_masks

    return in_precision(without_masks(model) if has_mask(model) else model, options)


def _number(text, what):
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{what} must be a number, got {text!r}") from None
