"""``python -m infer upscale``: enlarge pictures."""

from infer.commands.options import add_files, add_model, add_quality, add_tile, network_of
from infer.commands.pictures import conclude, prepare, run


def add_upscale(command):
    """Add the options of ``upscale``."""
    command.add_argument("pictures", nargs="+", help="files, folders or patterns such as '*.jpg'")
    command.add_argument("-o", "--out", required=True, help="file to write, or folder")
    add_model(command)
    add_files(command)
    add_quality(command)
    add_tile(command)


def upscale(options):
    """Enlarge pictures; returns the exit status."""
    todo, in_folder = prepare(options)
    model = network_of(options)
    from infer.batch import fingerprint
    from infer.upscaler import Upscaler

    network = Upscaler(model, self_ensemble=options.self_ensemble)
    choices = [options.self_ensemble, options.half, options.overlap_px, options.quality]
    outcome = run(todo, network, options, f"{fingerprint(model)} {choices}", in_folder)
    return conclude(outcome, in_folder)
