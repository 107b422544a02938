"""The commands ``python -m train esrgan-generator|esrgan|fusion-study``: options, what they run.

Data sets, weight files and `infer.faces` are handed in by ``train/__main__.py``, which alone may
know the other rooms.
"""

from pathlib import Path

from train.commands.options import (
    add_damage_option,
    add_rate_options,
    add_run_options,
    add_seed_options,
    learning_rate,
    trainer_options,
)

COMMANDS = {
    "esrgan-generator": "RRDBNet, pixel loss (pre-training for esrgan)",
    "esrgan": "sharpen a pre-trained network with content, adversarial and face losses",
    "fusion-study": "train general, face and mixed networks, and compare them with their fusion",
}


def add_options(command, name):
    """Add the options of one of `COMMANDS`."""
    data = command.add_argument_group("data")
    data.add_argument("--hr", nargs="+", required=True, metavar="DIR", help="HR pictures")
    data.add_argument(
        "--valid-hr",
        nargs="+",
        required=name == "fusion-study",
        metavar="DIR",
        help="others, to validate on",
    )
    if name == "fusion-study":
        data.add_argument("--face-hr", required=True, metavar="DIR", help="FFHQ, or faces")
        data.add_argument("--valid-faces", nargs="+", required=True, metavar="DIR", help="others")
    else:
        data.add_argument(
            "--faces",
            action="store_true",
            help="--hr and --valid-hr are one folder each of faces: cut them out, 80 to 148 px",
        )
    data.add_argument("--scale", type=int, default=4, help="2, 4 (default 4)")
    data.add_argument("--hr-crop-px", type=int, default=96, help="side of HR crops (default 96)")
    data.add_argument("--batch-size", type=int, default=16, help="pairs a step (default 16)")
    data.add_argument("--caches-dir", default=".caches", help="decoded pictures (default .caches)")
    data.add_argument("--strict", action="store_true", help="stop at an unreadable picture")
    add_damage_option(data)
    command.set_defaults(lr=None, valid_lr=None)
    if name == "fusion-study":
        _add_network(command.add_argument_group("networks"))
        _add_losses(command.add_argument_group("losses"))
        _add_study(command)
        return
    command.add_argument("--steps", type=int, required=True, help="updates in all")
    if name == "esrgan":
        group = command.add_argument_group("networks")
        group.add_argument("--generator", required=True, metavar="NAME_OR_FILE", help="to sharpen")
        _add_discriminator(group)
        group = command.add_argument_group("losses")
        _add_losses(group)
        command.add_argument(
            "--interpolate",
            type=float,
            default=1.0,
            metavar="SHARE",
            help="write what lies between --generator (0) and the trained network (1, default)",
        )
        group.add_argument(
            "--pixel-weight", type=float, default=0.01, help="default 0.01; with --lpips try 1"
        )
    else:
        _add_network(command.add_argument_group("network"))
        command.add_argument("--start-from", metavar="FILE", help="weights a new run begins with")
    add_rate_options(command, "trapezoid")
    add_run_options(command)
    command.set_defaults(ema_decay=0.999)


def _add_network(group):
    group.add_argument("--num-filters", type=int, default=64, help="channels (default 64)")
    group.add_argument("--num-blocks", type=int, default=23, help="groups of three (default 23)")
    group.add_argument("--num-growth", type=int, default=32, help="a convolution (default 32)")


def _add_discriminator(group):
    group.add_argument(
        "--discriminator-filters", type=int, default=64, metavar="N", help="default 64"
    )


def _add_losses(group):
    group.add_argument(
        "--lpips", metavar="NAME_OR_FILE", help="content loss in place of VGG19's features"
    )
    group.add_argument("--vgg-weights", metavar="FILE", help="VGG19's, where none can be fetched")
    group.add_argument(
        "--face-features", metavar="NAME_OR_FILE", help="add the face-feature loss, by these"
    )


def _add_study(command):
    group = command.add_argument_group("study")
    _add_discriminator(group)
    group.add_argument(
        "--generator", metavar="NAME_OR_FILE", help="begin from this, not from a new RRDBNet"
    )
    group.add_argument("--psnr-steps", type=int, default=10_000, help="first stage (default 10000)")
    group.add_argument("--gan-steps", type=int, default=10_000, help="second (default 10000)")
    group.add_argument("--learning-rates", type=float, nargs=2, help="constant ones of the stages")
    group.add_argument("--out", required=True, metavar="DIR", help="weights, table and figure")
    add_seed_options(group)
    command.set_defaults(strategy=None)


def new_generator(options):
    """Build the generator that the options describe."""
    from model.esrgan import rrdb_net

    return rrdb_net(options.scale, options.num_filters, options.num_blocks, options.num_growth)


def new_discriminator(options):
    """Build the discriminator: of the crop's size if it can be, else of any."""
    from model.esrgan import vgg_discriminator

    px = options.hr_crop_px
    return vgg_discriminator(options.discriminator_filters, None if px % 32 else px)


def losses(options, load_model, features):
    """Make the content loss, and of a network of face features the face loss, or None."""
    from model.vgg import vgg_54
    from train import losses

    if options.lpips:
        content = losses.lpips_content_loss(load_model(options.lpips))
    else:
        vgg = vgg_54(options.vgg_weights or "imagenet", before_relu=True)
        content = losses.vgg_content_loss(vgg, losses.feature_l1_loss)
    return content, losses.face_feature_loss(features) if features else None


def make_trainer(options, load_model, features, strategy, directory):
    """Make the trainer of ``esrgan-generator`` or ``esrgan``.

    Args:
        options: Of the command.
        load_model: Function of a name or file → network.
        features: Network of face features, or None.
        strategy: `tf.distribute.Strategy`.
        directory: Folder of the run.
    """
    from train.recipes import EsrganGeneratorTrainer, EsrganTrainer

    rate, updates = learning_rate(options), trainer_options(options, strategy)
    if options.network == "esrgan-generator":
        generator = new_generator(options)
        if options.start_from:
            generator.load_weights(options.start_from)
        return EsrganGeneratorTrainer(generator, directory, rate, options=updates)
    if not 0 <= options.interpolate <= 1:
        raise ValueError(f"--interpolate must be in 0..1, got {options.interpolate:g}")
    content, face = losses(options, load_model, features)
    return EsrganTrainer(
        load_model(options.generator),
        new_discriminator(options),
        content,
        rate,
        directory,
        pixel_weight=options.pixel_weight,
        face_loss=face,
        options=updates,
    )


def interpolate(model, options, load_model):
    """Move a trained generator towards the one it began with: less noise, less invented texture.

    Args:
        model: The trained generator; changed in place.
        options: Of the command.
        load_model: Function of a name or file → network.

    Reference: arXiv:1809.00219, section 3.4; here of the variables, weight normalisation's too.
    """
    share, before = options.interpolate, load_model(options.generator).get_weights()
    pairs = zip(before, model.get_weights(), strict=True)
    model.set_weights([(1 - share) * a + share * b for a, b in pairs])


def run_study(options, data, fuse, metrics, load_model, features):
    """Run the fusion study.

    Args:
        options: Of the command.
        data: Training and test sets, as `train.studies.fusion.FusionStudy` takes them.
        fuse: See there.
        metrics: See there; how alike faces are is added where `features` are given.
        load_model: Function of a name or file → network.
        features: Network of face features, or None.
    """
    import keras

    from model.metrics import face_similarity_of
    from train.studies.fusion import FusionStudy, Recipe

    def new_networks():
        keras.utils.set_random_seed(options.seed)
        begin = load_model(options.generator) if options.generator else new_generator(options)
        return begin, new_discriminator(options)

    recipe = Recipe(
        new_networks,
        *losses(options, load_model, features),
        options.psnr_steps,
        options.gan_steps,
        tuple(options.learning_rates or (None, None)),
    )
    if features:
        metrics = metrics | {"face_similarity": face_similarity_of(features)}
    FusionStudy(recipe, *data, fuse, metrics, Path(options.out)).run()
