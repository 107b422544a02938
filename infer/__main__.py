"""Command line: ``python -m infer upscale photo.jpg -o big.png``, and more: see ``--help``.

Each command is a line of `COMMANDS`: a function that adds its options and one that runs it. Only
the latter imports what takes time, so that ``--help`` answers at once.
"""

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path


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


def load_tensorflow():
    """Import TensorFlow without the lines its C++ part writes to stderr while it starts."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_closed():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _stderr_closed():
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _model_option(command):
    command.add_argument(
        "--model", metavar="NAME_OR_FILE", help="bundled network or weight file (has a default)"
    )


def _tile_options(command):
    group = command.add_argument_group("memory")
    group.add_argument(
        "--tile",
        type=lambda text: text if text == "auto" else None if text == "none" else int(text),
        default="auto",
        metavar="PX",
        help="side of a tile; auto (default): what fits in memory; none: no tiles",
    )
    group.add_argument("--overlap-px", type=int, metavar="PX", help="px read around each tile")


def _load(name_or_path):
    load_tensorflow()
    from infer.weights import DEFAULT, load_model
    from model.layers import fold_weight_norm

    return fold_weight_norm(load_model(name_or_path or DEFAULT))


def _add_upscale(command):
    command.add_argument("picture", help="file to enlarge")
    command.add_argument("-o", "--out", required=True, help="file to write")
    _model_option(command)
    _tile_options(command)


def _upscale(options):
    model = _load(options.model)
    from infer.image import read_picture, write_picture
    from infer.upscale import upscale

    picture = read_picture(options.picture)
    picture.pixels = upscale(
        model, picture.pixels, tile=options.tile, overlap_px=options.overlap_px
    )
    write_picture(options.out, picture)
    for note in picture.notes:
        print(f"{options.picture}: {note}", file=sys.stderr)


def _add_evaluate(command):
    _model_option(command)
    command.add_argument("--hr", required=True, metavar="DIR", help="HR pictures")
    command.add_argument("--lr", metavar="DIR", help="LR pictures (else made by MATLAB's bicubic)")
    command.add_argument("--json", metavar="FILE", help="also write the table as JSON")
    _tile_options(command)


def _evaluate(options):
    model = _load(options.model)
    from data.degrade import imresize
    from infer import evaluate
    from infer.upscale import Upscaler

    network = Upscaler(model)
    scale = network.reach.scale
    table = {}
    print(_header(scale))
    for pair in evaluate.pairs(options.hr, options.lr, scale, lambda hr: imresize(hr, 1 / scale)):
        sr = network(pair.lr, tile=options.tile, overlap_px=options.overlap_px)
        bicubic = imresize(pair.lr, scale)
        table[pair.name] = {
            "network": evaluate.score(sr, pair.hr, scale),
            "bicubic": evaluate.score(bicubic, pair.hr, scale),
            "hr_cropped": pair.cropped,
        }
        print(_row(pair.name + (" *" if pair.cropped else ""), table[pair.name]))
    mean = {who: evaluate.mean([t[who] for t in table.values()]) for who in ("network", "bicubic")}
    print(_row("mean", mean))
    if any(row["hr_cropped"] for row in table.values()):
        print(f"* HR cut to a multiple of {scale} px")
    if options.json:
        facts = {"model": str(options.model), "scale": scale, "luma_border_px": scale}
        Path(options.json).write_text(
            json.dumps(facts | {"mean": mean, "pictures": table}, indent=1)
        )


def _header(scale):
    return (
        f"PSNR in dB / SSIM of 8-bit pictures, ×{scale}. Y: BT.601 luma (16..235), {scale} px "
        "border cut; RGB: all channels, nothing cut.\n"
        f"{'':24}{'Y network':>16}{'Y bicubic':>16}{'RGB network':>16}{'RGB bicubic':>16}"
    )


def _row(name, scores):
    cells = "".join(
        f"{_cell(scores[who][f'psnr_{key}_db'], scores[who][f'ssim_{key}']):>16}"
        for key in ("y", "rgb")
        for who in ("network", "bicubic")
    )
    return f"{name[:23]:24}{cells}"


def _cell(psnr_db, ssim):
    return " / ".join(
        "-" if value is None else f"{value:.{digits}f}"
        for value, digits in ((psnr_db, 2), (ssim, 4))
    )


def _add_weights(command):
    command.add_argument(
        "--rebuild", action="store_true", help="write manifest and README table anew from the files"
    )


def _weights(options):
    load_tensorflow()
    from infer import weights

    if options.rebuild:
        weights.rebuild()
    print(weights.markdown_table(weights.manifest()))


COMMANDS = {
    "upscale": ("Enlarge a picture.", _add_upscale, _upscale),
    "evaluate": ("Score a network on a folder of pictures.", _add_evaluate, _evaluate),
    "weights": ("List the bundled networks.", _add_weights, _weights),
}

if __name__ == "__main__":
    sys.exit(main())
