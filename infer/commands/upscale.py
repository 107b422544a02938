"""``python -m infer upscale``: enlarge pictures."""

from data.quiet_start import load_tensorflow
from infer.commands.choice import Choice
from infer.commands.engine import add_engine, run_on
from infer.commands.options import (
    add_files,
    add_model,
    add_pictures,
    add_tile,
    add_variants,
    network_of,
    plain_restorer,
)
from infer.commands.pictures import conclude, prepare
from infer.commands.size import add_size, is_at_most_twice, size_of, sized, tell_runs

HELP = "Enlarge pictures."
EXAMPLE = "upscale photo.jpg -o big.png"

FIRST = {"denoise": "restormer-small-denoise", "jpeg": "restormer-small-jpeg"}
FOUNDATION = "restormer-small"
"""What removes each kind of damage before enlarging, where its own network is not bundled."""


def add_options(parser):
    """Add the options of ``upscale``."""
    add_pictures(parser)
    add_model(parser, "by what the picture is; printed")
    parser.add_argument(
        "--first", choices=FIRST, help="remove noise, or what JPEG left, before enlarging"
    )
    add_size(parser)
    add_files(parser)
    add_variants(parser)
    add_tile(parser)
    add_engine(parser)


def run(options):
    """Enlarge pictures; returns the exit status."""
    todo, folder = prepare(options)
    load_tensorflow()
    return conclude(run_on(todo, maker, options, folder), folder)


def maker(options):
    """The function that makes a picture, see `infer.batch.run`, and the key of its results."""
    own = options.first or options.blend  # which network is said, and no look needed
    choice, at_most_twice = (
        Choice(what, lambda _, name: _ready(options, name), named=options.model, look=not own)
        for what in ("upscale", "upscale, at most twice")
    )
    parts = [size_of(options), options.self_ensemble, options.overlap_px, options.quality]
    if own or options.model:
        weights = choice.only()[1]
    else:
        weights = f"{choice.key()} {options.half} {options.full_precision}"
        weights += f" {at_most_twice.key()}" if size_of(options) else ""

    def make(job, pixels, **where):
        small = not own and is_at_most_twice(options, pixels.shape)
        network, _ = (at_most_twice if small else choice)(job, pixels)
        tell_runs(job, network, pixels.shape)
        return network(pixels, tile=options.tile, overlap_px=options.overlap_px, **where)

    return make, f"{weights} {parts}"


def _ready(options, name):
    """The network of that name, or of the options, made ready; and a digest of all weights."""
    model = network_of(options, name)
    from infer.batch import fingerprint
    from infer.upscaler import Upscaler

    network = sized(Upscaler(model, self_ensemble=options.self_ensemble), options)
    if not options.first:
        return network, fingerprint(model)
    from infer.chain import Chain

    restorer = _restorer(options.first)
    chain = Chain(Upscaler(plain_restorer(restorer, options)), network)
    return chain, f"{fingerprint(restorer)} {fingerprint(model)}"


def _restorer(kind):
    from weights.load import load_model, manifest

    return load_model(FIRST[kind] if FIRST[kind] in manifest() else FOUNDATION)
