"""What every training command does before and after the training itself."""

import errno
import functools
import os
import shutil
import tempfile
from pathlib import Path

_NEUTRAL = (  # what does not change the weights, and what is no option
    "out",
    "checkpoint_dir",
    "caches_dir",
    "evaluate_every",
    "allow_changes",
    "extend",
    "strict",
    "run",
    "default_steps",
    "default_schedule",
)


def directory_of(options):
    """Folder of the run: two files to be written never have the same."""
    if options.checkpoint_dir:
        return Path(options.checkpoint_dir)
    name = options.out.removesuffix(".h5").removesuffix(".weights")
    return Path(".ckpt", name.replace("+", "++").replace("/", "+"))


def prepare(options):
    """Make a run depend on its arguments only, and return its `tf.distribute` strategy.

    To be called before anything else in TensorFlow.
    """
    from data.quiet_start import load_tensorflow

    load_tensorflow()
    import keras
    import tensorflow as tf

    from train.distribute import make_strategy

    # Where a tensor has three users, the order in which TensorFlow adds their gradients depends
    # on which of several operations run at once ends first: run one at a time, on all cores.
    # Collective operations wait for each other, so several replicas need several threads.
    strategy = getattr(options, "strategy", None)
    if strategy is None:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    strategy = make_strategy(strategy)
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    return strategy


def check_writable(out):
    """Raise `OSError` now rather than after days of training."""
    if Path(out).suffix != ".h5":
        raise ValueError(f"--out must end in .weights.h5, got {out}")
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=Path(out).parent):
        pass


def train(trainer, options, train_dataset, valid_dataset, finish=None):
    """Train for the steps or hours of the options, and write the weights; see `write_weights`."""
    from train.commands.options import steps_of

    trainer.train(
        train_dataset,
        valid_dataset,
        steps_of(options),
        options.evaluate_every,
        hours=options.hours,
    )
    write_weights(trainer, options, finish)


def write_weights(trainer, options, finish=None):
    """Write the best weights of a run, and what they were trained with.

    Args:
        trainer: The trainer, at the end of its run.
        options: Of the command.
        finish: Function of the network that changes it before it is written, or None.
    """
    from model.weight_file import write_note

    steps = trainer.step
    trainer.restore()
    if not trainer.is_chief:
        return
    if finish:
        finish(trainer.model)
    out = Path(options.out)
    _check_room(out, trainer.model)
    partial = out.with_name(f".{os.getpid()}.partial.h5")
    try:
        trainer.model.save_weights(partial, half=options.half)
        write_note(partial, {"training": _training_note(options, steps, trainer.sessions())})
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    print(f"wrote {out}")


def _check_room(out, model):
    """Raise `OSError` where a weight file has no room: HDF5 would end the process."""
    needed = 4 * model.count_params() + 2000 * len(model.weights) + 2**16
    if shutil.disk_usage(out.parent).free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:.1f} MB are needed", str(out))


def _training_note(options, steps, sessions):
    """What was asked for, without what does not change the weights, and changes under way."""
    given = {name: value for name, value in vars(options).items() if name not in _NEUTRAL}
    note = {name: value for name, value in given.items() if value not in (None, False)}
    changes = [sentence for session in sessions for sentence in session.get("changes", [])]
    return note | {"steps": steps} | ({"changes": changes} if changes else {})


def metrics(options):
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


def faces(options, folders):
    """The faces in the pictures of one folder, as pairs."""
    from data import FFHQ
    from infer.detect import Mtcnn

    if len(folders) > 1:
        raise ValueError(f"faces are taken from one folder, got {len(folders)}")
    settings = {"caches_dir": options.caches_dir, "strict": options.strict}
    return FFHQ(folders[0], "all", Mtcnn(), options.scale, **settings)


def texts(options, folders):
    """Text drawn on the pictures of one folder; to validate, a twentieth as many of another key."""
    from data.rendered_text import RenderedText

    if len(folders) > 1:
        raise ValueError(f"text is written on the pictures of one folder, got {len(folders)}")
    valid = folders is options.valid_hr
    return RenderedText(
        folders[0],
        options.fonts,
        count=max(1, options.texts // 20) if valid else options.texts,
        scale=options.scale,
        px=tuple(options.font_px),
        seed=int(valid),
        caches_dir=options.caches_dir,
        strict=options.strict,
    )


def pairs(options, hr, lr=None):
    """Pairs of the pictures in some folders, of the faces in them, or of text drawn on them."""
    from data import ImageFolder

    if getattr(options, "faces", False):
        return faces(options, hr)
    if getattr(options, "texts", None):
        return texts(options, hr)
    return ImageFolder(hr, lr, options.scale, caches_dir=options.caches_dir, strict=options.strict)


def data_sets(options):
    """Training and validation batches of a command for super-resolution."""
    from data.text_lines import line_windows

    source = pairs(options, options.hr, getattr(options, "lr", None))
    read = getattr(options, "recogniser_weight", 0)
    batches = functools.partial(line_windows, source) if read else source.dataset
    train_ds = batches(
        options.batch_size,
        hr_crop_px=options.hr_crop_px,
        seed=options.seed,
        damage=options.damage,
    )
    if not options.valid_hr:
        return train_ds, None
    valid = pairs(options, options.valid_hr, getattr(options, "valid_lr", None))
    return train_ds, valid.dataset(1, 1, False, damage=options.damage)
