"""``python -m train edsr|wdsr-a|wdsr-b|text|srgan-generator|srgan``: options, trainers."""

from train.commands import run as runs
from train.commands.options import (
    ONE_OR_MORE,
    add,
    add_hr_options,
    add_length_options,
    add_rate_options,
    add_run_options,
    learning_rate,
    number,
    trainer_options,
    zero_or_number,
)

_EXAMPLE = "python -m train {} --hr photos --steps 5000 --out {}.weights.h5"
COMMANDS = {
    "edsr": ("Train EDSR with a pixel loss.", _EXAMPLE.format("edsr", "edsr")),
    "wdsr-a": ("Train WDSR-A with a pixel loss.", _EXAMPLE.format("wdsr-a", "wdsr-a")),
    "wdsr-b": (
        "Train WDSR-B with a pixel loss: the best small network for its time.",
        "python -m train wdsr-b --hr photos --valid-hr b100 --num-res-blocks 32 --hours 2 "
        "--learning-rate 1e-3 --out wdsr.weights.h5",
    ),
    "text": (
        "Train WDSR-B on text drawn with fonts, with a loss of pixels, edges and what is read.",
        "python -m train text --hr photos --damage mild --num-res-blocks 32 --steps 2500 "
        "--start-from weights/wdsr-b-32-x4-photo.weights.h5 --out text.weights.h5",
    ),
    "srgan-generator": (
        "Train SRResNet with a pixel loss, to be sharpened by srgan.",
        _EXAMPLE.format("srgan-generator", "sr_resnet"),
    ),
    "srgan": (
        "Sharpen a trained network with a content and an adversarial loss.",
        "python -m train srgan --generator sr_resnet.weights.h5 --hr photos --steps 2000 "
        "--out srgan.weights.h5",
    ),
}


def add_options(command, name):
    """Add the options of one of `COMMANDS`."""
    group = command.add_argument_group("data")
    add_hr_options(group)
    if name == "text":
        _add_text_options(group)
    else:
        _add_lr_options(group)
    add_length_options(command)
    add_rate_options(command, "trapezoid")
    add_run_options(command)
    if name == "srgan":
        _add_gan_options(command)
    else:
        _add_network_options(command, name)


def _add_lr_options(group):
    group.add_argument(
        "--lr", nargs="+", metavar="DIR", help="their LR pictures (default: shrunk from --hr)"
    )
    group.add_argument(
        "--valid-lr",
        nargs="+",
        metavar="DIR",
        help="their LR pictures (default: shrunk from --valid-hr)",
    )


def _add_text_options(group):
    group.add_argument(
        "--fonts",
        nargs="+",
        metavar="FILE_OR_DIR",
        help="fonts to write with, on the pictures of --hr (default: the system's)",
    )
    add(group, "--texts", "pictures to write", 400, type=ONE_OR_MORE)
    group.add_argument(
        "--font-px",
        nargs=2,
        type=ONE_OR_MORE,
        default=(20, 72),
        metavar=("FROM", "TO"),
        help="size of the fonts in HR pictures (default 20 72)",
    )
    add(
        group,
        "--recogniser-weight",
        "weight of a loss that has PP-OCRv4's recogniser read SR as it reads HR; needs the extra "
        "text; 0: pixels and edges alone",
        0.0,
        type=zero_or_number,
        metavar="W",
    )


def _add_network_options(command, name):
    group = command.add_argument_group("network")
    filters = 32 if name == "text" or name.startswith("wdsr") else 64
    add(group, "--num-filters", f"channels (default {filters})", type=ONE_OR_MORE, metavar="N")
    add(group, "--num-res-blocks", "residual blocks", 16, type=ONE_OR_MORE, metavar="N")
    if name != "srgan-generator":
        add(
            group,
            "--res-block-scaling",
            "factor on the output of each residual block, 0.1 for 256 channels (default: none)",
            type=number,
        )
    group.add_argument(
        "--start-from",
        metavar="FILE",
        help="weights that a new run begins with, of the same network at any scale",
    )


def _add_gan_options(command):
    group = command.add_argument_group("networks")
    group.add_argument(
        "--generator",
        required=True,
        metavar="NAME_OR_FILE",
        help="trained ×4 network to begin with",
    )
    add(
        group,
        "--content",
        "layer of VGG19 whose features are compared",
        "VGG54",
        choices=["VGG54", "VGG22"],
    )
    group.add_argument(
        "--vgg-weights", metavar="FILE", help="weights of VGG19 (default: fetched from Keras)"
    )


def run(options):
    """Train what the options say and write the weights."""
    runs.check_writable(options.out)
    strategy = runs.prepare(options)
    with strategy.scope():
        trainer = _trainer(options, runs.directory_of(options), strategy)
    runs.train(trainer, options, *runs.data_sets(options))


def _trainer(options, directory, strategy):
    from model.srgan import discriminator
    from train import recipes
    from train.text import TextTrainer
    from weights.load import load_model
    from weights.onnx_graph import text_recogniser

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
        "text": TextTrainer,
        "srgan-generator": recipes.SrganGeneratorTrainer,
    }[options.network]
    paper = {} if rate is None else {"learning_rate": rate}
    if options.network == "text" and options.recogniser_weight:
        paper |= {"recogniser": text_recogniser(), "weight": options.recogniser_weight}
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
        return
    left = weight_file.load_other_scale(model, path)
    taken = [w for layer in model.layers if layer.name not in left for w in layer.weights]
    model.loaded_digest = weight_file.digest(taken)
    report(f"{path} is of another scale: {', '.join(left)} start anew")


def _network(options):
    from model.edsr import edsr
    from model.srgan import sr_resnet
    from model.wdsr import wdsr_a, wdsr_b

    size = {"num_res_blocks": options.num_res_blocks}
    if options.num_filters is not None:
        size["num_filters"] = options.num_filters
    if options.network == "srgan-generator":
        return sr_resnet(**size)
    build = {"edsr": edsr, "wdsr-a": wdsr_a}.get(options.network, wdsr_b)
    return build(options.scale, res_block_scaling=options.res_block_scaling, **size)
