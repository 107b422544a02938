"""Command line: ``python -m data div2k|folder …`` fetches, decodes and shows training pictures."""

import argparse
import sys
from pathlib import Path

from infer.commands import load_tensorflow


def parser():
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m data", description="Prepare training pictures and look at them."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    div2k = commands.add_parser("div2k", help="fetch a track of DIV2K and decode it")
    div2k.add_argument("--subset", choices=["train", "valid"], default="train")
    div2k.add_argument(
        "--downgrade", choices=["bicubic", "unknown", "mild", "difficult"], default="bicubic"
    )
    div2k.add_argument("--images-dir", default=".div2k/images", help="where pictures go or are")
    div2k.set_defaults(caches_dir=".div2k/caches")

    folder = commands.add_parser("folder", help="decode pictures of your own")
    folder.add_argument("--hr", nargs="+", required=True, metavar="DIR", help="HR pictures")
    folder.add_argument("--lr", nargs="+", metavar="DIR", help="LR pictures (else by bicubic)")
    folder.add_argument("--strict", action="store_true", help="stop at an unreadable picture")
    folder.set_defaults(caches_dir=".caches")

    for command in (div2k, folder):
        command.add_argument("--scale", type=int, default=4, help="default 4")
        command.add_argument("--caches-dir", help="where decoded pictures are kept")
        command.add_argument("--sheet", metavar="PNG", help="write a contact sheet of pairs")
        command.add_argument(
            "--hr-crop-px", type=int, default=192, help="its windows (default 192)"
        )
    return top


def main(arguments=None):
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    load_tensorflow()
    try:
        pairs = _source(options).pairs
        print(f"{len(pairs)} pairs at scale {options.scale} in {options.caches_dir}")
        if options.sheet:
            _write_sheet(pairs, options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _source(options):
    from data import DIV2K, ImageFolder

    if options.command == "div2k":
        return DIV2K(
            options.scale,
            options.subset,
            options.downgrade,
            options.images_dir,
            options.caches_dir,
        )
    return ImageFolder(
        options.hr,
        options.lr,
        options.scale,
        caches_dir=options.caches_dir,
        strict=options.strict,
    )


def _write_sheet(pairs, options):
    from PIL import Image

    from data.pairs import contact_sheet

    sheet = contact_sheet(pairs, hr_crop_px=options.hr_crop_px)
    Path(options.sheet).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(options.sheet)
    print(f"wrote {options.sheet}")


if __name__ == "__main__":
    sys.exit(main())
