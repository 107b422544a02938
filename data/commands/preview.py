"""``python -m data preview``."""

from data.commands.options import (
    TASKS,
    add_caches,
    add_clean,
    add_overwrite,
    check_free,
    save_sheet,
    whole,
)

HELP = "Draw crops with one kind of damage, beside the clean ones, on a sheet"
EXAMPLE = "preview --task motion-blur --in PHOTOS --sheet sheet.png"


def add_options(command):
    """Add the options of the command."""
    kind = command.add_mutually_exclusive_group(required=True)
    kind.add_argument("--task", help=f"kind of damage to restore: {TASKS}")
    kind.add_argument(
        "--damage",
        metavar="mild|strong|clean|FILE",
        help="damage of LR for super-resolution: a preset, none (clean), or a JSON file",
    )
    add_clean(command)
    command.add_argument(
        "-o", "--sheet", required=True, metavar="PNG", help="picture file to write"
    )
    command.add_argument(
        "--count", type=whole(1), default=6, metavar="N", help="crops on the sheet (default: 6)"
    )
    command.add_argument(
        "--crop-px",
        type=whole(1),
        default=160,
        metavar="PX",
        help="side of the crops; smaller if no picture is that large (default: 160)",
    )
    command.add_argument(
        "--scale",
        type=whole(2),
        default=4,
        metavar="N",
        help="with --damage: HR size over LR size (default: 4)",
    )
    add_caches(command, ".caches")
    add_overwrite(command)


def run(options):
    """Run the command; returns whether all pictures could be read."""
    check_free(options.sheet, options.overwrite)
    draw = _task_sheet if options.task else _damage_sheet
    sheet, what, complete = draw(options)
    save_sheet(sheet, options.sheet)
    print(f"wrote {options.sheet}: {what}")
    return complete


def _task_sheet(options):
    from data.tasks import clean_store, find_task, preview_sheet

    task = find_task(options.task)
    store = clean_store([options.in_dir], options.caches_dir)
    sheet = preview_sheet(options.task, store, options.count, options.crop_px, options.seed)
    low, high = task.strengths
    what = f"damaged, clean, mask (white = real); {task.unit} {low} to {high}"
    return sheet, what, store.sizes.all()


def _damage_sheet(options):
    from data import ImageFolder
    from data.damage import load_damage
    from data.pairs import contact_sheet

    damage = None if options.damage == "clean" else load_damage(options.damage)
    pairs = ImageFolder(options.in_dir, None, options.scale, caches_dir=options.caches_dir).pairs
    crop_px = min(options.crop_px, options.scale * int(pairs.lr_sizes.min(axis=1).max()))
    crop_px = max(crop_px - crop_px % options.scale, options.scale)
    sheet = contact_sheet(pairs, options.count, crop_px, options.seed, damage)
    what = f"LR (enlarged {options.scale} times), HR; damage: {options.damage}"
    return sheet, what, not pairs.left_out
