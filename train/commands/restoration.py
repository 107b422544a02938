"""``python -m train foundation|fine-tune``: restoration networks, on made damage or own pairs."""

import functools
import json

import numpy as np

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
    add(
        group,
        "--size",
        "full: Restormer as published; lite: half its width and about half its blocks",
        "lite",
        choices=["full", "lite"],
    )
    add(group, "--dim", "channels at full size (default: that of --size)", type=ONE_OR_MORE)
    group.add_argument(
        "--num-blocks",
        nargs=4,
        type=int,
        metavar="N",
        help="transformer blocks of the four levels, full size first (default: those of --size)",
    )
    group.add_argument(
        "--num-refinement-blocks",
        type=int,
        metavar="N",
        help="transformer blocks after the decoder (default: those of --size)",
    )
    add(
        group,
        "--unshuffle",
        "2: work at half size, which takes a quarter of the time and sees twice as far",
        1,
        type=int,
        choices=[1, 2],
    )
    group.add_argument("--no-masks", action="store_true", help="build a network that takes no mask")
    group.add_argument(
        "--mask-embedding",
        action="store_true",
        help="mark damaged pixels by a learned vector",
    )
    add(
        group,
        "--loss",
        "l1; frequency: L1 of pixels and of the Fourier transform, for blur; psnr: mean PSNR of "
        "the pictures, which counts weak damage as much as strong",
        "l1",
        choices=_LOSSES,
    )
    group.add_argument(
        "--start-from",
        metavar="FILE",
        help="weights that a new run begins with, of the same network with masks or without; also "
        "of one with fewer blocks",
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
        model = _network(options)
        if options.start_from:
            _begin_from(options.start_from, model)
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


_OF_MASKS = ("mask_aware", "mask_fill", "mask_embedding")  # arguments; weights fit all the same
_OF_BLOCKS = ("num_blocks", "num_refinement_blocks")  # more of them than in a file: they start anew


def _network(options):
    from model.restormer import restormer, restormer_lite

    build = {"full": restormer, "lite": restormer_lite}[options.size]
    model = build(mask_aware=not options.no_masks)
    if options.mask_embedding and options.no_masks:
        raise ValueError("--mask-embedding needs masks: leave --no-masks out")
    changes = {
        "dim": options.dim,
        "num_blocks": options.num_blocks and tuple(options.num_blocks),
        "num_refinement_blocks": options.num_refinement_blocks,
        "unshuffle": options.unshuffle if options.unshuffle > 1 else None,
        "mask_embedding": options.mask_embedding or None,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    return restormer(**model.built_by.arguments | changes) if changes else model


def _begin_from(path, model, report=print):
    """Load weights of the same network, or of one with fewer blocks or without masks or marks.

    A block that the file lacks begins as the identity, so that nothing changes by it at first.
    """
    from model.weight_file import read_note
    from weights.load import load_model

    here = json.loads(json.dumps(model.built_by.arguments))  # JSON's lists, not tuples
    there = here | {"unshuffle": 1} | read_note(path).get("arguments", {})
    differing = {name for name in here if there[name] != here[name]}
    if not differing:
        model.load_weights(path)
        return
    sentences = [
        f"{name} {there[name]}, not {here[name]}"
        for name in differing - set(_OF_MASKS)
        if name not in _OF_BLOCKS or np.any(np.less(here[name], there[name]))
    ]
    if sentences:
        raise ValueError(f"{path} is of a network with {'; '.join(sorted(sentences))}")
    source = {layer.name: layer for layer in load_model(path).layers if layer.weights}
    for layer in model.layers:
        if layer.name in source:
            layer.set_weights(source.pop(layer.name).get_weights())
        elif layer.name.endswith("_project_out"):  # what a new block adds
            layer.set_weights([0 * w for w in layer.get_weights()])
    if source:
        report(f"{path}: {', '.join(source)} is left out, as the new network takes no masks")


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
