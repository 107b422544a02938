"""The commands ``python -m train foundation|fine-tune|study``: their options, and what they run.

Data sets and the reading of weight files are handed in by ``train/__main__.py``, which alone may
know the other rooms.
"""

import functools

from data.quiet_start import load_tensorflow
from data.restoration import parse_real
from train.commands.options import (
    _add_few,
    add_rate_options,
    add_run_options,
    add_seed_options,
    learning_rate,
    trainer_options,
)
from train.commands.run import _check_writable, _metrics, _write_weights, directory_of, prepare
from train.commands.studies import _add_study, run_study

COMMANDS = {
    "foundation": "train one restoration network on several kinds of damage in turn",
    "fine-tune": "train a foundation model further on one task and few pictures",
    "study": "run the fine-tuning study and write its tables and figures",
}


def add_options(command, name):
    """Add the options of one of `COMMANDS`."""
    _add_data_options(command)
    group = command.add_argument_group(name)
    {"foundation": _add_foundation, "fine-tune": _add_fine_tune, "study": _add_study}[name](group)
    group.add_argument(
        "--lpips", metavar="NAME_OR_FILE", help="also measure LPIPS, for example by lpips-squeeze"
    )
    if name == "study":
        add_seed_options(group)
        command.set_defaults(strategy=None)
    else:
        add_rate_options(command, "cosine")
        add_run_options(command)


def _add_data_options(command):
    group = command.add_argument_group("data")
    group.add_argument("--clean", nargs="+", required=True, metavar="DIR", help="clean pictures")
    group.add_argument(
        "--valid-clean", nargs="+", required=True, metavar="DIR", help="others, to validate on"
    )
    group.add_argument("--caches-dir", default=".caches", help="decoded pictures (default .caches)")


def _add_foundation(group):
    group.add_argument("--size", choices=["full", "lite"], default="lite", help="default lite")
    group.add_argument("--dim", type=int, help="channels at full size, in place of the size's")
    group.add_argument("--num-blocks", nargs=4, type=int, metavar="N", help="of the four levels")
    group.add_argument("--num-refinement-blocks", type=int, metavar="N", help="after the decoder")
    group.add_argument("--no-masks", action="store_true", help="plain network, for comparison")
    group.add_argument("--steps", type=int, default=50_000, help="updates in all (default 50000)")
    group.add_argument("--rotate-every", type=int, default=250, help="steps a turn (default 250)")
    group.add_argument("--mix", nargs="+", metavar="TASK=N", help="training pictures; all=N")
    group.add_argument("--valid-mix", nargs="+", metavar="TASK=N", help="validation pictures")
    group.add_argument(
        "--real", nargs="+", default=[], metavar="LAYOUT=DIR", help="real pairs, such as polyu=DIR"
    )
    group.add_argument("--px-factor", type=float, default=1.0, help="on the paper's crops")
    group.add_argument("--batch-factor", type=float, default=1.0, help="on the paper's batches")
    group.add_argument("--start-from", metavar="FILE", help="weights a new run begins with")


def _add_fine_tune(group):
    _add_few(group)
    group.add_argument("--task", required=True, help="a wrong one lists them")
    group.add_argument("--train-size", type=int, default=40, help="pictures (default 40)")
    group.add_argument("--valid-size", type=int, default=8, help="pictures (default 8)")
    group.add_argument("--steps", type=int, default=800, help="updates (default 800)")


def run_foundation(options, data, parsed, metrics, strategy):
    """Train a foundation model and return its trainer.

    Args:
        options: Of the command.
        data: What makes data sets, with ``foundation(stages, …)``.
        parsed: ``mix``, ``valid_mix`` and ``real`` as `data` takes them.
        metrics: See `train.foundation.FoundationTrainer`.
        strategy: `tf.distribute.Strategy`.
    """
    from train.foundation import FoundationTrainer, progressive_stages

    stages = progressive_stages(
        options.steps, px_factor=options.px_factor, batch_factor=options.batch_factor
    )
    train_ds, valid_ds = data.foundation(stages, every=options.rotate_every, **parsed)
    with strategy.scope():
        model = _network(options)
        if options.start_from:
            model.load_weights(options.start_from)
        trainer = FoundationTrainer(
            model,
            directory_of(options),
            learning_rate(options),
            steps=options.steps,
            metrics=metrics,
            options=trainer_options(options, strategy),
        )
    trainer.train(train_ds, valid_ds, options.steps, options.evaluate_every)
    return trainer


def _network(options):
    from model.restormer import restormer, restormer_lite

    build = {"full": restormer, "lite": restormer_lite}[options.size]
    model = build(mask_aware=not options.no_masks)
    names = ("dim", "num_blocks", "num_refinement_blocks")
    changes = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return restormer(**model.built_by.arguments | changes) if changes else model


def run_fine_tune(options, datasets, load_model, metrics, strategy):
    """Fine-tune a foundation model and return its trainer."""
    from train.foundation import fine_tune

    with strategy.scope():
        model = load_model()
    return fine_tune(
        model,
        options.task,
        options.train_size,
        options.steps,
        datasets=datasets,
        checkpoint_dir=directory_of(options),
        valid_size=options.valid_size,
        learning_rate=learning_rate(options),
        evaluate_every=options.evaluate_every,
        metrics=metrics,
        options=trainer_options(options, strategy),
    )


def train_restoration(options):
    """Run one of `restoration.COMMANDS` and write weights, or tables and figures."""
    load_tensorflow()
    strategy = prepare(options)
    _check_writable(options.out)
    from data.restoration import RestorationData, parse_mix
    from weights.load import load_model

    data = RestorationData(
        options.clean, options.valid_clean, caches_dir=options.caches_dir, seed=options.seed
    )
    metrics = _metrics(options)
    if options.network == "foundation":
        parsed = {
            "mix": parse_mix(options.mix),
            "valid_mix": parse_mix(options.valid_mix),
            "real": parse_real(options.real),
        }
        trainer = run_foundation(options, data, parsed, metrics, strategy)
    else:
        datasets = functools.partial(
            data.few, crop_px=options.crop_px, batch_size=options.batch_size
        )
        load = functools.partial(load_model, options.model)
        if options.network == "study":
            run_study(options, datasets, load, metrics)
            return
        trainer = run_fine_tune(options, datasets, load, metrics, strategy)
    _write_weights(trainer, options)
