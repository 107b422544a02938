"""``python -m train study|fusion-study``: the papers' studies."""

from data.quiet_start import load_tensorflow
from train.commands import esrgan as esrgan_commands
from train.commands.options import _add_few
from train.commands.run import _faces, _metrics, _source, prepare


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


def run_study(options, datasets, load_model, metrics):
    """Run the study."""
    from train.studies import fine_tuning as study

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


def study_fusion(options):
    """Run the fusion study: networks, table and figure."""
    load_tensorflow()
    prepare(options)
    from data.faces import mixed
    from infer.faces import fuse
    from weights.load import load_face_features, load_model

    damage = {"damage": options.damage}
    crops = {"hr_crop_px": options.hr_crop_px, "seed": options.seed} | damage
    general, faces = _source(options, options.hr, None), _faces(options, [options.face_hr])
    half = options.batch_size // 2
    train_sets = {
        "general": general.dataset(options.batch_size, **crops),
        "faces": faces.dataset(options.batch_size, **crops),
        "both": mixed(general.dataset(half, **crops), faces.dataset(half, **crops)),
    }
    test_sets = {
        "general": _source(options, options.valid_hr, None).dataset(1, 1, False, **damage),
        "faces": _source(options, options.valid_faces, None).dataset(1, 1, False, **damage),
    }
    esrgan_commands.run_study(
        options,
        (train_sets, test_sets),
        fuse,
        _metrics(options),
        load_model,
        load_face_features(options.face_features),
    )
