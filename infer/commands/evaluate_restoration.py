"""What ``python -m infer evaluate --task`` and ``--real`` score: networks that restore."""

import functools

from data.quiet_start import load_tensorflow
from infer.commands.restore import FOUNDATION

TASKS = (
    "gaussian-noise, salt-and-pepper, poisson-noise, motion-blur, gaussian-blur, aliasing, "
    "inpainting, jpeg"
)
"""Kinds of damage, for the help text: those of `data.tasks`."""


def add_restoration(parser):
    """Add the options on restoration networks."""
    group = parser.add_argument_group("restoration networks")
    group.add_argument(
        "--task",
        metavar="TASK",
        help=f"damage the pictures of --hr first: {TASKS}",
    )
    group.add_argument(
        "--strength",
        type=float,
        metavar="NUMBER",
        help="strength of that damage, in the task's unit, such as sigma in grey levels of "
        "gaussian-noise (default: the task's usual one)",
    )
    group.add_argument(
        "--real",
        metavar="LAYOUT=DIR",
        help="score on real pairs in place of damaged pictures; LAYOUT is gopro, nam, polyu, reds "
        "or sidd",
    )
    group.add_argument(
        "--caches-dir",
        default=".caches",
        metavar="DIR",
        help="folder where decoded pictures are kept (default: .caches)",
    )


def scores(options):
    """Score a network on damaged pictures or real pairs, each whole and in one pass; for JSON."""
    damage, pictures = _damaged_pictures(options)
    load_tensorflow()
    from infer import evaluate
    from model.restoration import restored
    from weights.tables import record

    name, model = _restorer(options)
    print(
        f"PSNR in dB / SSIM of 8-bit RGB pictures, nothing cut; {damage}. {evaluate.EXACT}\n"
        f"{'':24}{'damaged':>16}{'restored':>16}"
    )
    restore = functools.partial(restored, model, self_ensemble=options.self_ensemble)
    table = evaluate.restoration_scores(restore, pictures)
    mean = evaluate.means(table, ("input", "network"))
    print(evaluate.row("mean", mean, evaluate.RESTORED))
    if options.record:
        record(name, options.record, mean, damage)
    return {"damage": damage, "mean": mean, "pictures": table}


def in_both_precisions(options):
    """Name of a network, key of the scores, and its scores in float32 and bfloat16 on damage."""
    options.half = False  # which `_damaged_pictures` refuses: it is scored by the plain network
    load_tensorflow()
    from infer import evaluate
    from model.precision import in_half
    from model.restoration import restored

    name, model = _restorer(options)
    means = []
    for network in (model, in_half(model, "bfloat16")):
        _, pictures = _damaged_pictures(options)
        table = evaluate.restoration_scores(functools.partial(restored, network), pictures)
        means.append(evaluate.means(table, ("network",))["network"])
    return name, "psnr_rgb_db", *means


def _restorer(options):
    """Name of the network to score, and itself."""
    from weights.load import load_model

    name = options.model or FOUNDATION
    model = load_model(name)
    if model.built_by.name != "restormer":
        raise ValueError(f"{name} is of {model.built_by.name}, but restormers restore")
    return name, model


def _damaged_pictures(options):
    """What the damage is called, and `data.restoration` pictures with it."""
    changed = (options.blend, options.half, options.overlap_px, options.lr)
    if any(changed) or options.tile != "auto":
        raise ValueError(
            "restoration is scored by the plain network on whole pictures; leave --lr, --blend, "
            "--half, --tile and --overlap-px out"
        )
    if bool(options.task) == bool(options.real) or bool(options.task) != bool(options.hr):
        raise ValueError("give --task TASK with --hr DIR, or --real LAYOUT=DIR alone")
    if options.real and options.strength is not None:
        raise ValueError("--strength is of the damage that --task makes; real pairs have theirs")
    load_tensorflow()
    from data.restoration import parse_real, real_pictures, validation_pictures
    from data.tasks import find_task

    caches = {"caches_dir": options.caches_dir}
    if options.real:
        ((layout, folder),) = parse_real([options.real]).items()
        return f"real pairs of {layout}", real_pictures(layout, folder, **caches)
    strength = find_task(options.task).usual if options.strength is None else options.strength
    pictures = validation_pictures(options.task, options.hr, strength, **caches)
    return f"{options.task} {strength:g}", pictures
