"""Command line: ``python -m data div2k|folder …`` fetches, decodes and shows training pictures;
``python -m data preview|degrade …`` damages clean ones.
"""

import argparse
import sys
from pathlib import Path

from data.quiet_start import load_tensorflow
from whole_pictures import check_rooms, open_streams


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
    preview.add_argument("--scale", type=int, default=4, help="HR over LR of --damage (default 4)")
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

    kind = preview.add_mutually_exclusive_group(required=True)
    kind.add_argument("--task", help="kind of damage to restore; a wrong one lists them")
    kind.add_argument(
        "--damage",
        metavar="mild|strong|FILE",
        help="damage of LR for super-resolution: a preset, or a JSON file; clean: none",
    )
    degrade.add_argument("--task", required=True, help="a wrong one lists them")
    for command in (preview, degrade):
        command.add_argument("--in", dest="in_dir", required=True, metavar="DIR", help="clean ones")
        command.add_argument("--seed", type=int, default=0, help="the same makes the same damage")


def main(arguments=None):
    """Run the command line; returns the exit status."""
    open_streams()
    try:
        check_rooms()
        options = parser().parse_args(arguments)
        load_tensorflow()
        options.run(options)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _decode(options):
    pairs = _source(options).pairs
    print(f"{len(pairs)} pairs at scale {options.scale} in {options.caches_dir}")
    if options.sheet:
        _write_sheet(pairs, options)


def _preview(options):
    if options.task:
        sheet, what = _task_sheet(options)
    else:
        sheet, what = _damage_sheet(options)
    _save_sheet(sheet, options.sheet)
    print(f"wrote {options.sheet}: {what}")


def _task_sheet(options):
    from data.tasks import clean_store, find_task, preview_sheet

    task = find_task(options.task)
    store = clean_store([options.in_dir], options.caches_dir)
    sheet = preview_sheet(options.task, store, options.count, options.crop_px, options.seed)
    low, high = task.strengths
    return sheet, f"damaged, clean, mask (white = real); {task.unit} {low} to {high}"


def _damage_sheet(options):
    from data import ImageFolder
    from data.damage import load_damage
    from data.pairs import contact_sheet

    damage = None if options.damage == "clean" else load_damage(options.damage)
    pairs = ImageFolder(options.in_dir, None, options.scale, caches_dir=options.caches_dir).pairs
    crop_px = min(options.crop_px, options.scale * int(pairs.lr_sizes.min(axis=1).max()))
    crop_px -= crop_px % options.scale
    sheet = contact_sheet(pairs, options.count, crop_px, options.seed, damage)
    return sheet, f"LR (enlarged {options.scale} times), HR; damage: {options.damage}"


def _save_sheet(sheet, path):
    from PIL import Image

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)


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
    from data.pairs import contact_sheet

    _save_sheet(contact_sheet(pairs, hr_crop_px=options.hr_crop_px), options.sheet)
    print(f"wrote {options.sheet}")


if __name__ == "__main__":
    sys.exit(main())
