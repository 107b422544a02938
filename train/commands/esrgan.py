"""``python -m train esrgan-generator|esrgan``: ESRGAN's two stages."""

from train.commands import run as runs
from train.commands.options import (
    ONE_OR_MORE,
    ZERO_OR_MORE,
    add,
    add_hr_options,
    add_length_options,
    add_rate_options,
    add_run_options,
    learning_rate,
    number,
    share,
    trainer_options,
)

COMMANDS = {
    "esrgan-generator": (
        "Train RRDBNet with a pixel loss, to be sharpened by esrgan.",
        "python -m train esrgan-generator --hr photos --steps 5000 --out rrdb.weights.h5",
    ),
    "esrgan": (
        "Sharpen a trained network with content, adversarial and face losses.",
        "python -m train esrgan --generator wdsr-b-32-x4 --hr photos --lpips lpips-squeeze "
        "--pixel-weight 1 --learning-rate 2e-4 --steps 1400 --out sharp.weights.h5",
    ),
}


def add_options(command, name):
    """Add the options of one of `COMMANDS`."""
    group = command.add_argument_group("data")
    add_hr_options(group, face_option=True)
    add_length_options(command)
    if name == "esrgan":
        group = command.add_argument_group("networks")
        group.add_argument(
            "--generator", required=True, metavar="NAME_OR_FILE", help="network to sharpen"
        )
        add_discriminator_options(group)
        add(
            group,
            "--interpolate",
            "write what lies between --generator (0) and the trained network (1)",
            1.0,
            type=share,
            metavar="SHARE",
        )
        add_loss_options(command.add_argument_group("losses"))
        add_adversary_options(command.add_argument_group("adversary"))
    else:
        group = command.add_argument_group("network")
        add_rrdb_options(group)
        group.add_argument(
            "--start-from", metavar="FILE", help="weights that a new run begins with"
        )
    add_rate_options(command, "trapezoid")
    add_run_options(command, ema_decay=0.999)


def add_rrdb_options(group):
    """Add the size of an RRDBNet."""
    add(group, "--num-filters", "channels", 64, type=ONE_OR_MORE, metavar="N")
    add(group, "--num-blocks", "blocks of three dense blocks", 23, type=ONE_OR_MORE, metavar="N")
    add(
        group,
        "--num-growth",
        "channels that each convolution of a dense block adds",
        32,
        type=ONE_OR_MORE,
        metavar="N",
    )


def add_discriminator_options(group):
    """Add the kind and size of the discriminator."""
    add(
        group,
        "--discriminator",
        "vgg judges a picture; unet, as in Real-ESRGAN, every pixel",
        "vgg",
        choices=("vgg", "unet"),
    )
    add(
        group,
        "--discriminator-filters",
        "channels of the discriminator's first block",
        64,
        type=ONE_OR_MORE,
        metavar="N",
    )


def add_loss_options(group):
    """Add what the content and face losses are measured with."""
    group.add_argument(
        "--lpips",
        metavar="NAME_OR_FILE",
        help="LPIPS network for the content loss, for example lpips-squeeze (default: features of "
        "VGG19)",
    )
    group.add_argument(
        "--vgg-weights", metavar="FILE", help="weights of VGG19 (default: fetched from Keras)"
    )
    group.add_argument(
        "--face-features",
        metavar="NAME_OR_FILE",
        help="network of face features for a loss that asks for the same face (default: no such "
        "loss)",
    )
    add(
        group,
        "--pixel-weight",
        "weight of the L1 loss, beside 1 of the content loss; with --lpips try 1",
        0.01,
        type=number,
    )
    add(
        group,
        "--grid-weight",
        "weight of a loss on errors that repeat with the network's blocks and show as a grid, for "
        "example 1000 (default: no such loss)",
        type=number,
    )


def add_adversary_options(group):
    """Add the fields of `train.gan.Adversary`."""
    add(group, "--adversarial-weight", "weight of the adversarial loss", 5e-3, type=number)
    add(
        group,
        "--alone-steps",
        "first updates of the discriminator alone",
        0,
        type=ZERO_OR_MORE,
        metavar="N",
    )
    add(
        group,
        "--ramp-steps",
        "updates after them in which the weight of the adversarial loss rises from 0",
        0,
        type=ZERO_OR_MORE,
        metavar="N",
    )
    group.add_argument(
        "--augment",
        action="store_true",
        help="show the discriminator pictures of changed colours, shifted and partly hidden: for "
        "few pictures",
    )


def new_generator(options):
    """Build the generator that the options describe."""
    from model.esrgan import rrdb_net

    return rrdb_net(options.scale, options.num_filters, options.num_blocks, options.num_growth)


def new_discriminator(options):
    """Build the discriminator: of the crop's size if it can be, else of any.

    Raises:
        ValueError: A U-Net cannot halve crops of this size three times.
    """
    from model.esrgan import unet_discriminator, vgg_discriminator

    px = options.hr_crop_px
    if options.discriminator == "unet":
        if px % 8:
            raise ValueError(f"--hr-crop-px must be a multiple of 8 for a U-Net, got {px}")
        return unet_discriminator(options.discriminator_filters)
    return vgg_discriminator(options.discriminator_filters, None if px % 32 else px)


def adversary(options):
    """The `train.gan.Adversary` that the options describe."""
    from train.gan import Adversary

    return Adversary(
        options.adversarial_weight, options.alone_steps, options.ramp_steps, options.augment
    )


def losses(options):
    """Make the content loss, and of a network of face features the face loss, or None."""
    from model.vgg import vgg_54
    from train import losses
    from weights.load import load_face_features, load_model

    if options.lpips:
        content = losses.lpips_content_loss(load_model(options.lpips))
    else:
        vgg = vgg_54(options.vgg_weights or "imagenet", before_relu=True)
        content = losses.vgg_content_loss(vgg, losses.feature_l1_loss)
    features = load_face_features(options.face_features)
    return content, losses.face_feature_loss(features) if features else None


def run(options):
    """Train what the options say and write the weights."""
    runs.check_writable(options.out)
    strategy = runs.prepare(options)
    with strategy.scope():
        trainer = _trainer(options, runs.directory_of(options), strategy)
    train_ds, valid_ds = runs.data_sets(options)
    runs.train(trainer, options, train_ds, valid_ds, finish=_finish(options))


def _trainer(options, directory, strategy):
    from train.recipes import EsrganGeneratorTrainer, EsrganTrainer
    from weights.load import load_model

    rate, updates = learning_rate(options), trainer_options(options, strategy)
    if options.network == "esrgan-generator":
        generator = new_generator(options)
        if options.start_from:
            generator.load_weights(options.start_from)
        return EsrganGeneratorTrainer(generator, directory, rate, options=updates)
    content, face = losses(options)
    return EsrganTrainer(
        load_model(options.generator),
        new_discriminator(options),
        content,
        rate,
        directory,
        pixel_weight=options.pixel_weight,
        face_loss=face,
        adversary=adversary(options),
        grid_weight=options.grid_weight,
        options=updates,
    )


def _finish(options):
    """Function of the trained network, or None."""
    if getattr(options, "interpolate", 1) == 1:
        return None
    from weights.load import load_model

    return lambda model: interpolate(model, load_model(options.generator), options.interpolate)


def interpolate(model, before, share):
    """Move a trained generator towards the one it began with: less noise, less invented texture.

    Args:
        model: The trained generator; changed in place.
        before: What it began with.
        share: Of the trained one, in 0..1.

    Reference: arXiv:1809.00219, section 3.4; here of the variables, weight normalisation's too.
    """
    pairs = zip(before.get_weights(), model.get_weights(), strict=True)
    model.set_weights([(1 - share) * a + share * b for a, b in pairs])
