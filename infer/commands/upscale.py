"""``python -m infer upscale``: enlarge pictures."""

from infer.commands.options import (
    add_files,
    add_model,
    add_pictures,
    add_tile,
    add_variants,
    network_of,
)
from infer.commands.pictures import conclude, prepare
from infer.commands.pictures import run as run_all

HELP = "Enlarge pictures."
EXAMPLE = "upscale photo.jpg -o big.png"


def add_options(parser):
    """Add the options of ``upscale``."""
    add_pictures(parser)
    add_model(parser, "wdsr-b-32-x4")
    add_files(parser)
    add_variants(parser)
    add_tile(parser)


def run(options):
    """Enlarge pictures; returns the exit status."""
    todo, folder = prepare(options)
    model = network_of(options)
    from infer.batch import fingerprint
    from infer.upscaler import Upscaler

    network = Upscaler(model, self_ensemble=options.self_ensemble)
    choices = [options.self_ensemble, options.half, options.overlap_px, options.quality]
    key = f"{fingerprint(model)} {choices}"

    def make(job, pixels, **where):
        return network(pixels, tile=options.tile, overlap_px=options.overlap_px, **where)

    return conclude(run_all(todo, make, options, lambda job: key, folder), folder)
