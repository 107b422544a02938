"""Command line: ``python -m infer upscale photo.jpg -o big.png``, and more: see ``--help``.

Each command is a line of `COMMANDS`: a function that adds its options and one that runs it. Only
the latter imports what takes time, so that ``--help`` answers at once. Commands that need `data`
are here; the others in `infer.commands`.
"""

import argparse
import json
import sys
from pathlib import Path

from infer import commands, face_commands, restore, weight_commands


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


def _add_evaluate(command):
    commands.add_model(command)
    command.add_argument("--hr", required=True, metavar="DIR", help="HR pictures")
    command.add_argument("--lr", metavar="DIR", help="LR pictures (else made by MATLAB's bicubic)")
    command.add_argument("--json", metavar="FILE", help="also write the table as JSON")
    command.add_argument(
        "--record", metavar="DATA_SET", help="keep the mean in the weight file under this name"
    )
    commands.add_quality(command)
    commands.add_tile(command)


def _evaluate(options):
    if options.record and (options.self_ensemble or options.blend or options.half):
        raise ValueError("--record keeps the scores of the plain network; leave the others out")
    model = commands.network_of(options)
    from data.degrade import imresize
    from infer import evaluate
    from infer.upscale import Upscaler

    network = Upscaler(model, self_ensemble=options.self_ensemble)
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
        keys = ("model", "blend", "self_ensemble", "half")
        facts = {key: vars(options)[key] for key in keys}
        facts |= {"scale": scale, "luma_border_px": scale}
        Path(options.json).write_text(
            json.dumps(facts | {"mean": mean, "pictures": table}, indent=1)
        )
    if options.record:
        from infer import weights

        weights.record(options.model or weights.DEFAULT, options.record, mean["network"])


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


def _add_demo(command):
    commands.add_model(command)
    command.add_argument("-o", "--out", default="out", metavar="DIR", help="default: out")


def _demo(options):
    """Make NASA's portrait of Eileen Collins (public domain, in scikit-image) small, and back."""
    model = commands.load(options.model)
    from skimage.data import astronaut

    from data.degrade import imresize
    from infer import demo
    from infer.upscale import Upscaler

    network = Upscaler(model)
    hr, scale = astronaut(), network.reach.scale
    hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
    lr = imresize(hr, 1 / scale)
    zoom = (62, 168, 104)  # top, left, side: the face
    print(demo.run(hr, lr, imresize(lr, scale), network(lr), options.out, zoom=zoom))
    print(f"wrote {options.out}/side-by-side.png, lr.png, bicubic.png, sr.png, hr.png")


COMMANDS = {
    "demo": ("Make a photograph small, bring it back, draw both.", _add_demo, _demo),
    "upscale": ("Enlarge pictures.", commands.add_upscale, commands.upscale),
    "restore": ("Take away noise, blur, stairs or scratches.", restore.add_options, restore.run),
    "faces": (
        "Enlarge pictures with one network, and faces in them with another.",
        face_commands.add_options,
        face_commands.run,
    ),
    "evaluate": ("Score a network on a folder of pictures.", _add_evaluate, _evaluate),
    "compare": (
        "Make a page with a slider between pictures.",
        commands.add_compare,
        commands.compare,
    ),
    "export": (
        "Write a network for TensorFlow Serving, TensorFlow Lite or ONNX.",
        commands.add_export,
        commands.export,
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
