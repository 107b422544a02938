"""What the commands of ``python -m train`` share: options of data, run, learning rate and machine.

Numbers are checked where they are read, so that an error names the option.
"""

import argparse
import dataclasses
import math

from train.options import TrainerOptions

SCHEDULES = ("constant", "trapezoid", "cosine", "two-cycles")
_MACHINE = ("precision", "jit_compile", "steps_per_call")
_RUN = ("allow_changes", "extend")


def add(group, name, meaning, default=None, **settings):
    """Add an option whose help ends with its default."""
    shown = "" if default is None else " (default %(default)s)"
    if settings.get("type") and not settings.get("choices"):
        settings.setdefault("metavar", "N")
    group.add_argument(name, help=meaning + shown, default=default, **settings)


def whole(least):
    """Type of an option: a whole number of at least `least`."""

    def parse(text):
        if not text.removeprefix("-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {least}, got {text!r}"
            )
        return int(text)

    return parse


def number(text):
    """Type of an option: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value


def zero_or_number(text):
    """Type of an option: a finite number of at least 0."""
    return 0.0 if text.strip("0.") == "" and "0" in text else number(text)


def share(text):
    """Type of an option: a number in 0..1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be in 0..1, got {text!r}")
    return value


ONE_OR_MORE = whole(1)
ZERO_OR_MORE = whole(0)


def add_hr_options(group, *, face_option=False, validated=False):
    """Add the options of pairs for super-resolution that do not depend on the command."""
    group.add_argument(
        "--hr", nargs="+", required=True, metavar="DIR", help="folders of HR pictures to train on"
    )
    group.add_argument(
        "--valid-hr",
        nargs="+",
        required=validated,
        metavar="DIR",
        help="folders of HR pictures to evaluate on",
    )
    if face_option:
        group.add_argument(
            "--faces",
            action="store_true",
            help="--hr and --valid-hr are one folder each: cut the faces out of its pictures and "
            "train on these, 80 to 148 px",
        )
    add(group, "--scale", "HR side over LR side", 4, type=int, choices=[2, 3, 4, 8])
    add(group, "--hr-crop-px", "side of the HR crops, in px", 96, type=ONE_OR_MORE)
    add(group, "--batch-size", "pairs of crops an update", 16, type=ONE_OR_MORE)
    group.add_argument(
        "--damage",
        metavar="mild|strong|FILE",
        help="blur, noise and JPEG in LR pictures, drawn for each crop: a preset, or a JSON file "
        "of your own (default: none)",
    )
    add_caches_options(group)


def add_caches_options(group):
    """Add where decoded pictures are kept."""
    add(group, "--caches-dir", "folder to keep decoded pictures in", ".caches", metavar="DIR")
    group.add_argument(
        "--strict", action="store_true", help="stop at an unreadable picture, not leave it out"
    )


def add_seed_options(group):
    """Add what makes a command repeatable."""
    add(group, "--seed", "key of first weights and of all batches", 0, type=ZERO_OR_MORE)
    group.add_argument(
        "--deterministic",
        action="store_true",
        help="bit for bit repeatable on a GPU too, and slower there",
    )


def add_length_options(command, default_steps=None):
    """Add how long to train: steps or hours."""
    group = command.add_mutually_exclusive_group(required=default_steps is None)
    text = "" if default_steps is None else f" (default {default_steps:,} steps)"
    group.add_argument(
        "--steps",
        type=ONE_OR_MORE,
        metavar="N",
        help=f"updates in all, those of earlier sessions included{text}",
    )
    group.add_argument(
        "--hours",
        type=number,
        metavar="H",
        help="time in all: measure the first steps, then choose number of steps and cool-down so "
        "that training ends on time",
    )
    command.set_defaults(default_steps=default_steps)


def steps_of(options):
    """Steps of a command's run; None where it has hours."""
    return None if options.hours else options.steps or options.default_steps


def add_run_options(command, **defaults):
    """Add the options of every training run; `defaults` are of fields of `TrainerOptions`."""
    group = command.add_argument_group("run")
    group.add_argument(
        "--out", required=True, metavar="FILE.weights.h5", help="where to write trained weights"
    )
    group.add_argument(
        "--half", action="store_true", help="write weights as 16-bit numbers: half as large"
    )
    group.add_argument(
        "--checkpoint-dir",
        metavar="DIR",
        help="folder of checkpoints and logs; a run whose folder has checkpoints resumes "
        "(default: in .ckpt, named after --out)",
    )
    add(group, "--evaluate-every", "updates between evaluations", 1000, type=ONE_OR_MORE)
    _add_fields(group, lambda name: name in _RUN, defaults)
    add_seed_options(group)
    group = command.add_argument_group("updates")
    _add_fields(group, lambda name: name not in (*_RUN, *_MACHINE), defaults)
    group = command.add_argument_group("machine")
    _add_fields(group, lambda name: name in _MACHINE, defaults)
    group.add_argument(
        "--strategy",
        choices=["mirrored", "multi-worker"],
        help="train on all GPUs of this machine, or on all machines of TF_CONFIG (default: one "
        "device)",
    )


def add_precision_option(group):
    """Add the number type of the computation alone."""
    _add_fields(group, lambda name: name == "precision", {})


def _add_fields(group, chosen, defaults):
    """Add the fields of `TrainerOptions` with help of their own as options."""
    for field in dataclasses.fields(TrainerOptions):
        if not field.metadata or not chosen(field.name):
            continue
        name, meaning = f"--{field.name.replace('_', '-')}", field.metadata["help"]
        if field.metadata["type"] is bool:
            group.add_argument(name, action="store_true", help=meaning)
            continue
        kind = {int: ONE_OR_MORE, float: number, str: str}[field.metadata["type"]]
        choices = field.metadata["choices"]
        default = defaults.get(field.name, field.default)
        add(group, name, meaning, default, type=kind, choices=choices)


def trainer_options(options, strategy):
    """Make `TrainerOptions` of the command's options."""
    names = [field.name for field in dataclasses.fields(TrainerOptions) if field.metadata]
    return TrainerOptions(strategy=strategy, **{name: getattr(options, name) for name in names})


def add_rate_options(command, schedule):
    """Add the options of the learning rate, with a default schedule."""
    group = command.add_argument_group("learning rate")
    add(
        group,
        "--learning-rate",
        "highest rate (default: the paper's, with its schedule)",
        type=number,
    )
    group.add_argument(
        "--schedule",
        choices=SCHEDULES,
        help="course of --learning-rate: constant; trapezoid: rise, stay, fall to zero; cosine: "
        "rise, then fall; two-cycles: stay, then fall "
        f"(default {schedule}{'' if schedule == 'trapezoid' else ', with --hours trapezoid'})",
    )
    warm_up = 200 if schedule == "trapezoid" else 0
    add(
        group,
        "--warm-up-steps",
        "trapezoid, cosine: updates of the rise from zero",
        warm_up,
        type=ZERO_OR_MORE,
    )
    add(
        group,
        "--fall-steps",
        "trapezoid: updates of the fall to zero at the end",
        0,
        type=ZERO_OR_MORE,
    )
    add(group, "--last-rate", "cosine, two-cycles: rate at the end", 1e-6, type=number)
    command.set_defaults(default_schedule=schedule)


def learning_rate(options, peak=None):
    """Return the schedule that the options ask for; None: the paper's.

    Args:
        options: Of the command.
        peak: Rate of a run of hours where none is given, if the paper's schedule has an end.
    """
    from train.schedules import Trapezoid, TwoCycles, cosine

    rate, steps, schedule = options.learning_rate, steps_of(options), options.schedule
    if options.hours:
        if schedule not in (None, "constant", "trapezoid") or options.fall_steps:
            raise ValueError(
                "--hours chooses the end of a trapezoid: leave --schedule and --fall-steps out"
            )
        rate, schedule = rate or peak, schedule or "trapezoid"
    schedule = schedule or options.default_schedule
    if rate is None or schedule == "constant":
        return rate
    if schedule == "trapezoid":
        return Trapezoid(rate, steps, options.warm_up_steps, options.fall_steps)
    if schedule == "two-cycles":
        return TwoCycles(rate, options.last_rate, steps)
    return cosine(rate, options.last_rate, steps, warm_up_steps=options.warm_up_steps)
