"""The commands ``python -m train foundation|fine-tune|study``: their options, and what they run.

Data sets and the reading of weight files are handed in by ``train/__main__.py``, which alone may
know the other rooms.
"""

from pathlib import Path

from train.arguments import (
    add_rate_options,
    add_run_options,
    add_seed_options,
    learning_rate,
    trainer_options,
)

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


def _add_few(group):
    group.add_argument("--model", required=True, metavar="NAME_OR_FILE", help="foundation weights")
    group.add_argument("--crop-px", type=int, default=128, help="side of crops (default 128)")
    group.add_argument("--batch-size", type=int, default=8, help="crops a step (default 8)")


def _add_fine_tune(group):
    _add_few(group)
    group.add_argument("--task", required=True, help="a wrong one lists them")
    group.add_argument("--train-size", type=int, default=40, help="pictures (default 40)")
    group.add_argument("--valid-size", type=int, default=8, help="pictures (default 8)")
    group.add_argument("--steps", type=int, default=800, help="updates (default 800)")


def _add_study(group):
    _add_few(group)
    group.add_argument("--out", required=True, metavar="DIR", help="tables, figures, cells")
    group.add_argument("--tasks", nargs="+", metavar="TASK", help="default: one of each kind")
    group.add_argument(
        "--sizes", nargs="+", metavar="TRAIN:VALID", help="default 10:2 20:4 40:8 80:16"
    )
    group.add_argument("--sizes-steps", type=int, default=200, help="of each (default 200)")
    group.add_argument("--steps", nargs="+", type=int, help="default 100 200 … 800")
    group.add_argument("--steps-size", metavar="TRAIN:VALID", help="of each (default 40:8)")


def directory_of(options):
    """Folder of the run."""
    if options.network == "study":
        return Path(options.out)
    return Path(options.checkpoint_dir or Path(".ckpt", Path(options.out).name.split(".")[0]))


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


def run_study(options, datasets, load_model, metrics):
    """Run the study."""
    from train import study

    study.Study(
        load_model,
        datasets,
        options.out,
        tasks=options.tasks or study.TASKS,
        sizes=[_size(word) for word in options.sizes] if options.sizes else study.SIZES,
        sizes_steps=options.sizes_steps,
        steps=options.steps or study.STEPS,
        steps_size=_size(options.steps_size) if options.steps_size else study.STEPS_SIZE,
        metrics=metrics,
    ).run()


def _size(word):
    train_size, _, valid_size = word.partition(":")
    if not train_size.isdecimal() or not valid_size.isdecimal():
        raise ValueError(f"a size is TRAIN:VALID, such as 40:8, got {word!r}")
    return int(train_size), int(valid_size)
