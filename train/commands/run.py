"""What every training command does: start, train, write weights."""

import tempfile
from pathlib import Path

from data.quiet_start import load_tensorflow
from train.commands import esrgan as esrgan_commands
from train.commands import sr as sr_commands


def directory_of(options):
    """Folder of the run."""
    if options.network == "study":
        return Path(options.out)
    return Path(options.checkpoint_dir or Path(".ckpt", Path(options.out).name.split(".")[0]))


def prepare(options):
    """Make a run depend on its arguments only, and return its `tf.distribute` strategy.

    To be called before anything else in TensorFlow.
    """
    import keras
    import tensorflow as tf

    from train.distribute import make_strategy

    # Where a tensor has three users, the order in which TensorFlow adds their gradients depends
    # on which of several operations run at once ends first: run one at a time, on all cores.
    # Collective operations wait for each other, so several replicas need several threads.
    if options.strategy is None:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    strategy = make_strategy(options.strategy)
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    return strategy


def train(options):
    """Train what the options say and write the weights."""
    load_tensorflow()
    strategy = prepare(options)
    _check_writable(options.out)
    with strategy.scope():
        trainer = _trainer(options, directory_of(options), strategy)
    train_ds = _source(options, options.hr, options.lr).dataset(
        options.batch_size,
        hr_crop_px=options.hr_crop_px,
        seed=options.seed,
        damage=options.damage,
    )
    valid_ds = None
    if options.valid_hr:
        valid = _source(options, options.valid_hr, options.valid_lr)
        valid_ds = valid.dataset(1, 1, False, damage=options.damage)
    trainer.train(train_ds, valid_ds, options.steps, options.evaluate_every)
    _write_weights(trainer, options)


def _write_weights(trainer, options):
    """Write the best weights of a run, and what they were trained with."""
    from model.weight_file import write_note

    trainer.restore()
    if not trainer.is_chief:
        return
    if getattr(options, "interpolate", 1) < 1:
        from weights.load import load_model

        esrgan_commands.interpolate(trainer.model, options, load_model)
    trainer.model.save_weights(options.out, half=options.half)
    write_note(options.out, {"training": _training_note(options)})
    print(f"wrote {options.out}")


def _training_note(options):
    """What was asked for, without what does not change the weights."""
    neutral = ("out", "checkpoint_dir", "caches_dir", "evaluate_every", "allow_changes", "strict")
    given = {name: value for name, value in vars(options).items() if name not in neutral}
    return {name: value for name, value in given.items() if value not in (None, False)}


def _metrics(options):
    """The metrics of validation: PSNR, SSIM, and LPIPS where a network for it is named."""
    import tensorflow as tf

    from train.foundation import METRICS
    from weights.load import load_model

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
    from weights.load import load_model

    if options.network in esrgan_commands.COMMANDS:
        from weights.load import load_face_features

        features = load_face_features(getattr(options, "face_features", None))
        return esrgan_commands.make_trainer(options, load_model, features, strategy, directory)
    return sr_commands.make_trainer(options, load_model, strategy, directory)
