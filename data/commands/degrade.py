"""``python -m data degrade``."""

from data.commands.options import TASKS, add_clean, add_overwrite, whole

HELP = "Damage pictures and write them, the clean ones and masks for training"
EXAMPLE = "degrade --task inpainting --in PHOTOS --out PREPARED"


def add_options(command):
    """Add the options of the command."""
    command.add_argument("--task", required=True, help=f"kind of damage: {TASKS}")
    add_clean(command)
    command.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="pictures go to DIR/TASK/input (damaged), target (clean) and mask (white = real)",
    )
    command.add_argument(
        "--strength",
        type=float,
        metavar="X",
        help="strength of the damage in the task's unit, which `preview` prints (default: drawn "
        "for each picture from the range that is trained on)",
    )
    command.add_argument(
        "--tfds",
        metavar="NAME",
        help="first write pictures of this data set of tensorflow-datasets to the folder of --in",
    )
    command.add_argument(
        "--split", default="train", help="with --tfds: part of the data set (default: train)"
    )
    command.add_argument(
        "--count",
        type=whole(1),
        default=100,
        metavar="N",
        help="with --tfds: pictures to write (default: 100)",
    )
    add_overwrite(command)


def run(options):
    """Run the command; returns whether all pictures could be read."""
    from data.pictures.folder import picture_files
    from data.prepared import write_damaged, write_tfds
    from data.tasks import check_strength

    check_strength(options.task, options.strength)
    if options.tfds:
        write_tfds(options.tfds, options.split, options.count, options.in_dir)
    count = write_damaged(
        options.task,
        options.in_dir,
        options.out,
        strength=options.strength,
        seed=options.seed,
        overwrite=options.overwrite,
    )
    print(f"wrote {count} pictures each to {options.out}/{options.task}/input, target and mask")
    return count == len(picture_files(options.in_dir))
