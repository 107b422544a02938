"""Options of restoration networks' training that several commands have, and the data they name."""

from train.commands.options import ONE_OR_MORE, add


def add_clean_options(group, *, required=False):
    """Add the folders of clean pictures."""
    group.add_argument(
        "--clean",
        nargs="+",
        required=required,
        metavar="DIR",
        help="folders of clean pictures to train on",
    )
    group.add_argument(
        "--valid-clean",
        nargs="+",
        required=required,
        metavar="DIR",
        help="folders of other clean pictures, to evaluate on",
    )


def add_pair_options(group):
    """Add the folders of own pairs."""
    group.add_argument(
        "--pairs",
        nargs=2,
        metavar=("NOISY_DIR", "CLEAN_DIR"),
        help="damaged pictures and clean ones of the same names and sizes, to train on",
    )
    group.add_argument(
        "--masks",
        metavar="DIR",
        help="masks of --pairs, of the same names: white is a real pixel, black a damaged one "
        "(default: all are real)",
    )
    group.add_argument(
        "--valid-pairs",
        nargs=2,
        metavar=("NOISY_DIR", "CLEAN_DIR"),
        help="other pairs, to evaluate on (default: none, and the last weights are written)",
    )
    group.add_argument("--valid-masks", metavar="DIR", help="masks of --valid-pairs")


def add_lpips_option(command):
    """Add a further metric of validation."""
    command.add_argument(
        "--lpips",
        metavar="NAME_OR_FILE",
        help="LPIPS network to evaluate with as well, for example lpips-squeeze",
    )


def add_few_options(group):
    """Add the network to fine-tune, and its crops."""
    group.add_argument(
        "--model",
        required=True,
        metavar="NAME_OR_FILE",
        help="restoration network to begin with, for example restormer-small",
    )
    add(group, "--crop-px", "side of the crops, in px", 128, type=ONE_OR_MORE)
    add(group, "--batch-size", "crops an update", 8, type=ONE_OR_MORE)


def check_data_options(options):
    """Refuse options that do not say what to train on, with `ValueError`."""
    clean, task = bool(options.clean and options.valid_clean), options.network == "fine-tune"
    if bool(options.pairs) == clean or (task and clean and not options.task):
        also = " and --task" if task else ""
        raise ValueError(
            f"{options.network} needs either --pairs NOISY_DIR CLEAN_DIR, or --clean, "
            f"--valid-clean{also}"
        )
    if (options.masks and not options.pairs) or (options.valid_masks and not options.valid_pairs):
        raise ValueError("--masks goes with --pairs, and --valid-masks with --valid-pairs")


def pairs_of(options):
    """Own pairs to train on, and validation batches or None."""
    from data.pair_folders import PairFolders

    settings = {"caches_dir": options.caches_dir, "strict": options.strict, "seed": options.seed}
    source = PairFolders(*options.pairs, options.masks, **settings)
    if not options.valid_pairs:
        return source, None
    return source, PairFolders(
        *options.valid_pairs, options.valid_masks, **settings
    ).whole_pictures()


def clean_of(options):
    """Clean pictures to damage."""
    from data.restoration import RestorationData

    return RestorationData(
        options.clean, options.valid_clean, caches_dir=options.caches_dir, seed=options.seed
    )
