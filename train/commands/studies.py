"""``python -m train study|fusion-study``: the papers' studies."""

import functools
from pathlib import Path

from train.commands import run as runs
from train.commands.esrgan import (
    add_adversary_options,
    add_discriminator_options,
    add_loss_options,
    add_rrdb_options,
    adversary,
    losses,
    new_discriminator,
    new_generator,
)
from train.commands.options import (
    ONE_OR_MORE,
    add,
    add_caches_options,
    add_hr_options,
    add_precision_option,
    add_seed_options,
    number,
)
from train.commands.restoration_data import add_clean_options, add_few_options, add_lpips_option

COMMANDS = {
    "study": (
        "Fine-tune a network with more and more pictures and steps; write tables and figures.",
        "python -m train study --model restormer-small --clean photos --valid-clean b100 "
        "--out study",
    ),
    "fusion-study": (
        "Train general, face and mixed networks, and compare them with their fusion.",
        "python -m train fusion-study --hr photos --valid-hr b100 --face-hr faces "
        "--valid-faces faces_valid --lpips lpips-squeeze --out fusion",
    ),
}


def add_options(command, name):
    """Add the options of one of `COMMANDS`."""
    {"study": _add_study, "fusion-study": _add_fusion_study}[name](command)


def _add_study(command):
    group = command.add_argument_group("data")
    add_clean_options(group, required=True)
    add_caches_options(group)
    group = command.add_argument_group("study")
    add_few_options(group)
    group.add_argument(
        "--out", required=True, metavar="DIR", help="folder for tables, figures and results"
    )
    group.add_argument(
        "--tasks", nargs="+", metavar="KIND", help="kinds of damage (default: one of each sort)"
    )
    group.add_argument(
        "--sizes",
        nargs="+",
        metavar="TRAIN:VALID",
        help="numbers of pictures (default 10:2 20:4 40:8 80:16)",
    )
    add(group, "--sizes-steps", "updates with each number of pictures", 200, type=ONE_OR_MORE)
    group.add_argument(
        "--steps", nargs="+", type=ONE_OR_MORE, help="numbers of updates (default 100 200 … 800)"
    )
    group.add_argument(
        "--steps-size",
        metavar="TRAIN:VALID",
        help="pictures with each number of updates (default 40:8)",
    )
    add_lpips_option(group)
    add_precision_option(group)
    add_seed_options(group)


def _add_fusion_study(command):
    group = command.add_argument_group("data")
    add_hr_options(group, validated=True)
    group.add_argument(
        "--face-hr", required=True, metavar="DIR", help="folder of pictures whose faces to train on"
    )
    group.add_argument(
        "--valid-faces",
        nargs="+",
        required=True,
        metavar="DIR",
        help="folder of pictures whose faces to score on",
    )
    group = command.add_argument_group("networks")
    add_rrdb_options(group)
    add_discriminator_options(group)
    group.add_argument(
        "--generator",
        metavar="NAME_OR_FILE",
        help="network that all begin with (default: a new RRDBNet)",
    )
    add_loss_options(command.add_argument_group("losses"))
    add_adversary_options(command.add_argument_group("adversary"))
    group = command.add_argument_group("study")
    add(group, "--psnr-steps", "updates of the first stage", 10_000, type=ONE_OR_MORE)
    add(group, "--gan-steps", "updates of the second stage", 10_000, type=ONE_OR_MORE)
    group.add_argument(
        "--learning-rates",
        type=number,
        nargs=2,
        metavar=("FIRST", "SECOND"),
        help="highest rates of the two stages, which fall to zero in the last 40 %% (default: the "
        "paper's schedules)",
    )
    group.add_argument(
        "--out", required=True, metavar="DIR", help="folder for weights, table and figure"
    )
    add_precision_option(group)
    add_seed_options(group)


def run(options):
    """Run one of `COMMANDS`."""
    runs.prepare(options)
    {"study": _study, "fusion-study": _fusion_study}[options.network](options)


def _study(options):
    from data.restoration import RestorationData
    from train.options import TrainerOptions
    from train.studies import fine_tuning as study
    from weights.load import load_model

    data = RestorationData(
        options.clean, options.valid_clean, caches_dir=options.caches_dir, seed=options.seed
    )
    study.Study(
        functools.partial(load_model, options.model),
        functools.partial(data.few, crop_px=options.crop_px, batch_size=options.batch_size),
        options.out,
        tasks=options.tasks or study.TASKS,
        sizes=[_size(word) for word in options.sizes] if options.sizes else study.SIZES,
        sizes_steps=options.sizes_steps,
        steps=options.steps or study.STEPS,
        steps_size=_size(options.steps_size) if options.steps_size else study.STEPS_SIZE,
        metrics=runs.metrics(options),
        options=TrainerOptions(precision=options.precision),
    ).run()


def _size(word):
    train_size, _, valid_size = word.partition(":")
    if not train_size.isdecimal() or not valid_size.isdecimal():
        raise ValueError(f"a size is TRAIN:VALID, such as 40:8, got {word!r}")
    return int(train_size), int(valid_size)


def _fusion_study(options):
    import keras

    from infer.faces import fuse
    from model.metrics import face_similarity_of
    from train.options import TrainerOptions
    from train.studies.fusion import FusionStudy, Recipe
    from weights.load import load_face_features, load_model

    def new_networks():
        keras.utils.set_random_seed(options.seed)
        begin = load_model(options.generator) if options.generator else new_generator(options)
        return begin, new_discriminator(options)

    recipe = Recipe(
        new_networks,
        *losses(options),
        options.psnr_steps,
        options.gan_steps,
        tuple(options.learning_rates or (None, None)),
        options.pixel_weight,
        adversary(options),
        options.grid_weight,
        TrainerOptions(ema_decay=0.999, precision=options.precision),
    )
    metrics, features = runs.metrics(options), load_face_features(options.face_features)
    if features:
        metrics = metrics | {"face_similarity": face_similarity_of(features)}
    FusionStudy(recipe, *_fusion_data(options), fuse, metrics, Path(options.out)).run()


def _fusion_data(options):
    """Training and test sets by name."""
    from data.faces import mixed

    damage = {"damage": options.damage}
    crops = {"hr_crop_px": options.hr_crop_px, "seed": options.seed} | damage
    general, faces = runs.pairs(options, options.hr), runs.faces(options, [options.face_hr])
    half = options.batch_size // 2
    train_sets = {
        "general": general.dataset(options.batch_size, **crops),
        "faces": faces.dataset(options.batch_size, **crops),
        "both": mixed(general.dataset(half, **crops), faces.dataset(half, **crops)),
    }
    test_sets = {
        "general": runs.pairs(options, options.valid_hr).dataset(1, 1, False, **damage),
        "faces": runs.faces(options, options.valid_faces).dataset(1, 1, False, **damage),
    }
    return train_sets, test_sets
