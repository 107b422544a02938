"""Command line: ``python -m data div2k|folder …`` fetches, decodes and shows training pictures;
``python -m data preview|degrade …`` damages clean ones for restoration.
"""

import argparse
import sys
from pathlib import Path

from data.quiet_start import load_tensorflow


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
        command.set_defaults(run=_decode)
    _add_restoration(commands)
    return top


def _add_restoration(commands):
    preview = commands.add_parser("preview", help="draw a kind of damage on a sheet")
    preview.add_argument("-o", "--sheet", required=True, metavar="PNG", help="sheet to write")
    preview.add_argument("--count", type=int, default=6, help="crops (default 6)")
    preview.add_argument("--crop-px", type=int, default=160, help="their side (default 160)")
    preview.add_argument("--caches-dir", default=".caches", help="where decoded pictures are kept")
    preview.set_defaults(run=_preview)

    degrade = commands.add_parser(
        "degrade", help="write input/, target/ and mask/ pictures of one kind of damage"
    )
    degrade.add_argument("--out", required=True, metavar="DIR", help="TASK/ is made in it")
    degrade.add_argument(
        "--strength", type=float, help="in the task's unit; by default drawn for each picture"
    )
    degrade.add_argument(
        "--tfds",
        metavar="NAME",
        help="first write pictures of this tensorflow-datasets set to --in",
    )
    degrade.add_argument("--split", default="train", help="of it (default train)")
    degrade.add_argument("--count", type=int, default=100, help="of its pictures (default 100)")
    degrade.set_defaults(run=_degrade)

    for command in (preview, degrade):
        command.add_argument("--task", required=True, help="a wrong one lists them")
        command.add_argument("--in", dest="in_dir", required=True, metavar="DIR", help="clean ones")
        command.add_argument("--seed", type=int, default=0, help="the same makes the same damage")


def main(arguments=None):
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    load_tensorflow()
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _decode(options):
    pairs = _source(options).pairs
    print(f"{len(pairs)} pairs at scale {options.scale} in {options.caches_dir}")
    if options.sheet:
        _write_sheet(pairs, options)


def _preview(options):
    from PIL import Image

    from data.tasks import clean_store, find_task, preview_sheet

    task = find_task(options.task)
    store = clean_store([options.in_dir], options.caches_dir)
    sheet = preview_sheet(options.task, store, options.count, options.crop_px, options.seed)
    Path(options.sheet).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(options.sheet)
    low, high = task.strengths
    print(
        f"wrote {options.sheet}: damaged, clean, mask (white = real); {task.unit} {low} to {high}"
    )


def _degrade(options):
    from data.prepared import write_damaged, write_tfds
    from data.tasks import find_task

    find_task(options.task)
    if options.tfds:
        write_tfds(options.tfds, options.split, options.count, options.in_dir)
    count = write_damaged(
        options.task, options.in_dir, options.out, strength=options.strength, seed=options.seed
    )
    print(f"wrote {count} pictures each to {options.out}/{options.task}/input, target and mask")


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
