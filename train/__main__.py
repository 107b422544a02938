"""Command line: ``python -m train edsr --hr DIR --scale 4 --steps N --out FILE.weights.h5``."""

import argparse
import functools
import signal
import sys
import tempfile
from pathlib import Path

from data.quiet_start import load_tensorflow
from data.restoration import parse_real
from train import esrgan_commands, report, restoration, shelf, sr_commands
from train.arguments import prepare


def parser():
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m train",
        description="Train a network. Run again with the same arguments, it goes on where it was.",
    )
    commands = top.add_subparsers(dest="network", required=True, metavar="NETWORK")
    for room in (sr_commands, esrgan_commands, restoration):
        for name, what in room.COMMANDS.items():
            command = commands.add_parser(name, help=what, description=what)
            room.add_options(command, name)
    what = "draw and tabulate runs side by side"
    report.add_options(commands.add_parser("report", help=what, description=what))
    what = "make one of the bundled networks again"
    shelf.add_options(commands.add_parser("shelf", help=what, description=what))
    return top


def main(arguments=None):
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.network in restoration.COMMANDS:
            train_restoration(options)
        elif options.network == "fusion-study":
            study_fusion(options)
        elif options.network == "report":
            return report.run(options)
        elif options.network == "shelf":
            return shelf.run(options)
        else:
            train(options)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, (ValueError, FileNotFoundError)) else 1
    except KeyboardInterrupt:
        return 130
    return 0


def train(options):
    """Train what the options say and write the weights."""
    load_tensorflow()
    strategy = prepare(options)
    _check_writable(options.out)
    with strategy.scope():
        trainer = _trainer(options, restoration.directory_of(options), strategy)
    train_ds = _source(options, options.hr, options.lr).dataset(
        options.batch_size, hr_crop_px=options.hr_crop_px, seed=options.seed
    )
    valid_ds = None
    if options.valid_hr:
        valid_ds = _source(options, options.valid_hr, options.valid_lr).dataset(1, 1, False)
    trainer.train(train_ds, valid_ds, options.steps, options.evaluate_every)
    _write_weights(trainer, options)


def _write_weights(trainer, options):
    """Write the best weights of a run, and what they were trained with."""
    from model.weight_file import write_note

    trainer.restore()
    if not trainer.is_chief:
        return
    if getattr(options, "interpolate", 1) < 1:
        from infer.weights import load_model

        esrgan_commands.interpolate(trainer.model, options, load_model)
    trainer.model.save_weights(options.out, half=options.half)
    write_note(options.out, {"training": _training_note(options)})
    print(f"wrote {options.out}")


def _training_note(options):
    """What was asked for, without what does not change the weights."""
    neutral = ("out", "checkpoint_dir", "caches_dir", "evaluate_every", "allow_changes", "strict")
    given = {name: value for name, value in vars(options).items() if name not in neutral}
    return {name: value for name, value in given.items() if value not in (None, False)}


def train_restoration(options):
    """Run one of `restoration.COMMANDS` and write weights, or tables and figures."""
    load_tensorflow()
    strategy = prepare(options)
    _check_writable(options.out)
    from data.restoration import RestorationData, parse_mix
    from infer.weights import load_model

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
        trainer = restoration.run_foundation(options, data, parsed, metrics, strategy)
    else:
        datasets = functools.partial(
            data.few, crop_px=options.crop_px, batch_size=options.batch_size
        )
        load = functools.partial(load_model, options.model)
        if options.network == "study":
            restoration.run_study(options, datasets, load, metrics)
            return
        trainer = restoration.run_fine_tune(options, datasets, load, metrics, strategy)
    _write_weights(trainer, options)


def _metrics(options):
    """The metrics of validation: PSNR, SSIM, and LPIPS where a network for it is named."""
    import tensorflow as tf

    from infer.weights import load_model
    from train.foundation import METRICS

    if not options.lpips:
        return METRICS
    lpips = load_model(options.lpips)

    def distance(clean, restored):
        return lpips.traced(tf.cast(clean, tf.float32), tf.cast(restored, tf.float32))

    return METRICS | {"lpips": distance}


def _check_writable(out):
    """Raise `OSError` now rather than after days of training."""
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=Path(out).parent):
        pass


def study_fusion(options):
    """Run the fusion study: networks, table and figure."""
    load_tensorflow()
    prepare(options)
    from infer.commands.options.faces import face_features

    from data.faces import mixed
    from infer.faces import fuse
    from infer.weights import load_model

    crops = {"hr_crop_px": options.hr_crop_px, "seed": options.seed}
    general, faces = _source(options, options.hr, None), _faces(options, [options.face_hr])
    half = options.batch_size // 2
    train_sets = {
        "general": general.dataset(options.batch_size, **crops),
        "faces": faces.dataset(options.batch_size, **crops),
        "both": mixed(general.dataset(half, **crops), faces.dataset(half, **crops)),
    }
    test_sets = {
        "general": _source(options, options.valid_hr, None).dataset(1, 1, False),
        "faces": _source(options, options.valid_faces, None).dataset(1, 1, False),
    }
    esrgan_commands.run_study(
        options,
        (train_sets, test_sets),
        fuse,
        _metrics(options),
        load_model,
        face_features(options.face_features),
    )


def _faces(options, folders):
    from data import FFHQ
    from infer.detect import Mtcnn

    if len(folders) > 1:
        raise ValueError(f"faces are taken from one folder, got {len(folders)}")
    settings = {"caches_dir": options.caches_dir, "strict": options.strict}
    return FFHQ(folders[0], "all", Mtcnn(), options.scale, **settings)


def _source(options, hr, lr):
    from data import ImageFolder

    if getattr(options, "faces", False):
        return _faces(options, hr)
    return ImageFolder(hr, lr, options.scale, caches_dir=options.caches_dir, strict=options.strict)


def _trainer(options, directory, strategy):
    from infer.weights import load_model

    if options.network in esrgan_commands.COMMANDS:
        from infer.commands.options.faces import face_features

        features = face_features(getattr(options, "face_features", None))
        return esrgan_commands.make_trainer(options, load_model, features, strategy, directory)
    return sr_commands.make_trainer(options, load_model, strategy, directory)


if __name__ == "__main__":
    sys.exit(main())
