"""The commands ``python -m train edsr|wdsr-a|wdsr-b|srgan-generator|srgan``: options, trainers."""

from train.commands.options import (
    add_damage_option,
    add_rate_options,
    add_run_options,
    learning_rate,
    trainer_options,
)

COMMANDS = {
    "edsr": "EDSR, pixel loss",
    "wdsr-a": "WDSR-A, pixel loss",
    "wdsr-b": "WDSR-B, pixel loss",
    "srgan-generator": "SRResNet, pixel loss (pre-training for srgan)",
    "srgan": "perceptual fine-tuning of a pre-trained network",
}


def add_options(command, name):
    """Add the options of one of `COMMANDS`."""
    _add_data_options(command)
    _add_length_options(command)
    add_rate_options(command, "trapezoid")
    add_run_options(command)
    if name == "srgan":
        _add_gan_options(command)
    else:
        _add_network_options(command, name)


def _add_data_options(command):
    group = command.add_argument_group("data")
    group.add_argument("--hr", nargs="+", required=True, metavar="DIR", help="HR pictures")
    group.add_argument("--lr", nargs="+", metavar="DIR", help="LR pictures (else made by bicubic)")
    group.add_argument("--valid-hr", nargs="+", metavar="DIR", help="HR pictures to validate on")
    group.add_argument("--valid-lr", nargs="+", metavar="DIR", help="their LR pictures")
    group.add_argument("--scale", type=int, default=4, help="2, 3, 4 (default 4)")
    group.add_argument("--hr-crop-px", type=int, default=96, help="side of HR crops (default 96)")
    group.add_argument("--caches-dir", default=".caches", help="decoded pictures (default .caches)")
    group.add_argument("--strict", action="store_true", help="stop at an unreadable picture")
    add_damage_option(group)


def _add_length_options(command):
    group = command.add_argument_group("length")
    group.add_argument("--steps", type=int, required=True, help="updates in all")
    group.add_argument("--batch-size", type=int, default=16, help="pairs a step (default 16)")
    group.add_argument(
        "--start-from", metavar="FILE", help="weights a new run begins with; of any scale"
    )


def _add_network_options(command, name):
    group = command.add_argument_group("network")
    group.add_argument("--num-filters", type=int, help="channels")
    group.add_argument("--num-res-blocks", type=int, default=16, help="default 16")
    if name != "srgan-generator":
        group.add_argument("--res-block-scaling", type=float, help="0.1 for wide networks")


def _add_gan_options(command):
    group = command.add_argument_group("networks")
    group.add_argument("--generator", required=True, metavar="FILE", help="pre-trained ×4 weights")
    group.add_argument("--content", choices=["VGG54", "VGG22"], default="VGG54", help="features")
    group.add_argument("--vgg-weights", metavar="FILE", help="VGG19's, where none can be fetched")


def make_trainer(options, load_model, strategy, directory):
    """Make the trainer of one of `COMMANDS`.

    Args:
        options: Of the command.
        load_model: Function of a name or file → network.
        strategy: `tf.distribute.Strategy`.
        directory: Folder of the run.
    """
    from model.srgan import discriminator
    from train import recipes

    rate, updates = learning_rate(options), trainer_options(options, strategy)
    if options.network == "srgan":
        generator = load_model(options.generator)
        networks = generator, discriminator(), _content_loss(options)
        return recipes.SrganTrainer(*networks, rate, directory, options=updates)
    model = _network(options)
    if options.start_from:
        _begin_from(options.start_from, model)
    recipe = {
        "edsr": recipes.EdsrTrainer,
        "wdsr-a": recipes.WdsrTrainer,
        "wdsr-b": recipes.WdsrTrainer,
        "srgan-generator": recipes.SrganGeneratorTrainer,
    }[options.network]
    paper = {} if rate is None else {"learning_rate": rate}
    return recipe(model, directory, options=updates, **paper)


def _content_loss(options):
    from model.vgg import vgg_22, vgg_54
    from train.losses import vgg_content_loss

    features = {"VGG54": vgg_54, "VGG22": vgg_22}[options.content]
    return vgg_content_loss(features(options.vgg_weights or "imagenet"))


def _begin_from(path, model, report=print):
    """Load weights, of another scale too: then the layers that enlarge are new."""
    from model import weight_file

    scale = model.built_by.arguments.get("scale")
    if weight_file.read_note(path).get("arguments", {}).get("scale", scale) == scale:
        model.load_weights(path)
    else:
        left = weight_file.load_other_scale(model, path)
        report(f"{path} is of another scale: {', '.join(left)} start anew")


def _network(options):
    from model.edsr import edsr
    from model.srgan import sr_resnet
    from model.wdsr import wdsr_a, wdsr_b

    size = {"num_res_blocks": options.num_res_blocks}
    if options.num_filters:
        size["num_filters"] = options.num_filters
    if options.network == "srgan-generator":
        return sr_resnet(**size)
    build = {"edsr": edsr, "wdsr-a": wdsr_a, "wdsr-b": wdsr_b}[options.network]
    return build(options.scale, res_block_scaling=options.res_block_scaling, **size)
