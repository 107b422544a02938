"""``python -m train foundation|fine-tune``: restoration networks, on made damage or own pairs."""

import functools

from train.commands import run as runs
from train.commands.options import (
    ONE_OR_MORE,
    add,
    add_caches_options,
    add_length_options,
    add_rate_options,
    add_run_options,
    learning_rate,
    number,
    steps_of,
    trainer_options,
)
from train.commands.restoration_data import (
    add_clean_options,
    add_few_options,
    add_lpips_option,
    add_pair_options,
    check_data_options,
    clean_of,
    pairs_of,
)
from train.commands.restoration_network import add_network_options, begin_from, network_of

COMMANDS = {
    "foundation": (
        "Train one restoration network on several kinds of damage in turn.",
        "python -m train foundation --clean photos --valid-clean b100 --mix all=400 "
        "--valid-mix all=3 --crop-px 96 --batch-size 4 --hours 8 --out restormer.weights.h5",
    ),
    "fine-tune": (
        "Train a restoration network further, on one kind of damage or on pairs of your own.",
        "python -m train fine-tune --model restormer-small --pairs noisy clean --steps 800 "
        "--learning-rate 1e-4 --out mine.weights.h5",
    ),
}
_STEPS = {"foundation": 50_000, "fine-tune": 800}
_LOSSES = ("l1", "frequency", "psnr")
_PEAK = {"foundation": 3e-4, "fine-tune": 1e-4}  # of `train.foundation`'s own schedules


def add_options(command, name):
    """Add the options of one of `COMMANDS`."""
    group = command.add_argument_group(
        "data", "either clean pictures, which are damaged here, or pairs"
    )
    add_clean_options(group)
    add_pair_options(group)
    add_caches_options(group)
    {"foundation": _add_foundation, "fine-tune": _add_fine_tune}[name](command)
    add_lpips_option(command)
    add_length_options(command, _STEPS[name])
    add_rate_options(command, "cosine")
    add_run_options(command)


def _add_foundation(command):
    group = command.add_argument_group("network")
    add_network_options(group)
    add(
        group,
        "--loss",
        "l1; frequency: L1 of pixels and of the Fourier transform, for blur; psnr: mean PSNR of "
        "the pictures, which counts weak damage as much as strong",
        "l1",
        choices=_LOSSES,
    )
    group = command.add_argument_group("kinds of damage")
    group.add_argument(
        "--mix",
        nargs="+",
        metavar="KIND=N",
        help="kinds of damage that have turns, each on so many of --clean; all=N: all kinds "
        "(default: the paper's)",
    )
    group.add_argument(
        "--valid-mix",
        nargs="+",
        metavar="KIND=N",
        help="the same of --valid-clean (default: the paper's)",
    )
    group.add_argument(
        "--real",
        nargs="+",
        default=[],
        metavar="LAYOUT=DIR",
        help="published pairs of real damage that have turns too, for example polyu=DIR",
    )
    add(group, "--rotate-every", "updates of a turn", 250, type=ONE_OR_MORE, metavar="N")
    group.add_argument(
        "--turns",
        nargs="+",
        default=[],
        metavar="KIND=N",
        help="kinds, or layouts of --real, with more turns than one in a round",
    )
    group = command.add_argument_group("crops", "of the paper, growing, or all of one size")
    add(group, "--px-factor", "factor on the sides of the paper's crops", 1.0, type=number)
    add(group, "--batch-factor", "factor on the paper's batch sizes", 1.0, type=number)
    group.add_argument(
        "--crop-px",
        type=ONE_OR_MORE,
        metavar="N",
        help="side of all crops, in place of the paper's growing ones",
    )
    group.add_argument(
        "--batch-size", type=ONE_OR_MORE, metavar="N", help="crops an update, with --crop-px"
    )


def _add_fine_tune(command):
    group = command.add_argument_group("fine-tuning")
    add_few_options(group)
    group.add_argument(
        "--task",
        metavar="KIND",
        help="kind of damage to make of clean pictures, for example gaussian-noise, motion-blur, "
        "aliasing or inpainting",
    )
    add(group, "--train-size", "clean pictures to train on", 40, type=ONE_OR_MORE)
    add(group, "--valid-size", "clean pictures to evaluate on", 8, type=ONE_OR_MORE)


def run(options):
    """Train what the options say and write the weights."""
    check_data_options(options)
    runs.check_writable(options.out)
    strategy = runs.prepare(options)
    train = {"foundation": _foundation, "fine-tune": _fine_tune}[options.network]
    runs.write_weights(train(options, strategy), options)


def _foundation(options, strategy):
    """Train a foundation model and return its trainer."""
    from train.foundation import FoundationTrainer

    train_ds, valid_ds = _foundation_data(options)
    metrics = runs.metrics(options)
    with strategy.scope():
        model = network_of(options)
        if options.start_from:
            begin_from(options.start_from, model)
        trainer = FoundationTrainer(
            model,
            runs.directory_of(options),
            learning_rate(options, _PEAK["foundation"]),
            steps=steps_of(options) or 1,
            loss=_loss(options.loss),
            metrics=metrics,
            options=trainer_options(options, strategy),
        )
    trainer.train(
        train_ds, valid_ds, steps_of(options), options.evaluate_every, hours=options.hours
    )
    return trainer


def _loss(name):
    from train import losses

    return getattr(losses, f"{name}_loss")


def _foundation_data(options):
    from data.restoration import parse_mix, parse_real, parse_turns
    from data.tasks import rotation

    stages = _stages(options)
    if options.pairs:
        source, valid_ds = pairs_of(options)
        return rotation([source], stages, every=options.rotate_every), valid_ds
    return clean_of(options).foundation(
        stages,
        every=options.rotate_every,
        mix=parse_mix(options.mix),
        valid_mix=parse_mix(options.valid_mix),
        real=parse_real(options.real),
        turns=parse_turns(options.turns),
    )


def _stages(options):
    """``(first_step, crop_px, batch_size)`` of the paper, or one of a fixed size."""
    from train.foundation import progressive_stages

    if bool(options.crop_px) != bool(options.batch_size):
        raise ValueError("--crop-px and --batch-size go together")
    if options.crop_px:
        return [(0, options.crop_px, options.batch_size)]
    if options.hours:
        raise ValueError(
            "--hours needs crops of one size, as steps of growing ones cannot be measured "
            "beforehand: give --crop-px and --batch-size"
        )
    return progressive_stages(
        steps_of(options), px_factor=options.px_factor, batch_factor=options.batch_factor
    )


def _fine_tune(options, strategy):
    """Fine-tune a foundation model and return its trainer."""
    from train.foundation import fine_tune
    from weights.load import load_model

    metrics = runs.metrics(options)
    with strategy.scope():
        model = load_model(options.model)
    return fine_tune(
        model,
        options.task or "pairs",
        options.train_size,
        steps_of(options),
        datasets=_few(options),
        checkpoint_dir=runs.directory_of(options),
        valid_size=options.valid_size,
        learning_rate=learning_rate(options, _PEAK["fine-tune"]),
        evaluate_every=options.evaluate_every,
        metrics=metrics,
        options=trainer_options(options, strategy),
        hours=options.hours,
    )


def _few(options):
    """Function (task, train_size, valid_size) → training and validation batches."""
    if not options.pairs:
        return functools.partial(
            clean_of(options).few, crop_px=options.crop_px, batch_size=options.batch_size
        )
    source, valid_ds = pairs_of(options)
    training = source.dataset(options.batch_size, options.crop_px)
    return lambda task, train_size, valid_size: (training, valid_ds)
