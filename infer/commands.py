"""The commands of ``python -m infer`` that need no data sets: their options, and what they do.

Nothing here imports what takes time before a command runs.
"""

import signal
import sys
from pathlib import Path

from data.quiet_start import load_tensorflow


def add_model(command):
    """Add ``--model``."""
    command.add_argument(
        "--model", metavar="NAME_OR_FILE", help="bundled network or weight file (has a default)"
    )


def add_tile(command):
    """Add the options on tiles."""
    group = command.add_argument_group("memory")
    group.add_argument(
        "--tile",
        type=lambda text: text if text == "auto" else None if text == "none" else int(text),
        default="auto",
        metavar="PX",
        help="side of a tile; auto (default): what fits in memory; none: no tiles",
    )
    group.add_argument("--overlap-px", type=int, metavar="PX", help="px read around each tile")


def load(name_or_path):
    """Load a network for inference: None is the default one; weight normalisation is folded."""
    load_tensorflow()
    from infer.weights import DEFAULT, load_model
    from model.layers import fold_weight_norm

    return fold_weight_norm(load_model(name_or_path or DEFAULT))


def add_upscale(command):
    """Add the options of ``upscale``."""
    command.add_argument("pictures", nargs="+", help="files, folders or patterns such as '*.jpg'")
    command.add_argument("-o", "--out", required=True, help="file to write, or folder")
    add_model(command)
    add_files(command)
    add_quality(command)
    add_tile(command)


def add_files(command):
    """Add the options on files."""
    group = command.add_argument_group("files")
    group.add_argument("--suffix", default="", help="put at the end of names: --suffix=-x4")
    group.add_argument("--format", choices=["png", "jpg", "tif", "webp", "bmp"], help="of results")
    group.add_argument("--quality", type=int, default=95, help="of JPEG and WebP (default 95)")
    group.add_argument("--overwrite", action="store_true", help="replace originals, others' files")
    group.add_argument("--workers", type=int, default=2, help="threads for files (default 2)")
    group.add_argument(
        "--max-megapixels", type=float, default=256, help="refuse larger pictures (default 256)"
    )


def add_quality(command):
    """Add the options on other forms of a network."""
    group = command.add_argument_group("network")
    group.add_argument(
        "--self-ensemble", action="store_true", help="mean of 8 flips and turns: 8 times slower"
    )
    group.add_argument(
        "--blend", nargs=3, metavar=("A", "B", "SHARE"), help="network between A (0) and B (1)"
    )
    group.add_argument(
        "--half", action="store_true", help="half precision, if that is faster on this device"
    )


def prepare(options):
    """Find what a command is to make, and make the folder it goes to, before a network is loaded.

    Returns:
        ``(jobs, in_folder)``, see `infer.jobs.jobs_for` and `infer.batch.run`.
    """
    from data.pictures.write import check_quality
    from infer import jobs

    check_quality(options.quality)
    sources, many = jobs.find_sources(options.pictures)
    ending = options.format and f".{options.format}"
    todo = jobs.jobs_for(
        sources,
        many,
        options.out,
        suffix=options.suffix,
        ending=ending,
        overwrite=options.overwrite,
    )
    in_folder = todo[0].target != Path(options.out)
    if in_folder:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        jobs.remove_leftovers(Path(options.out))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return todo, in_folder


def run(todo, network, options, key, in_folder):
    """Send pictures through a network, see `infer.batch.run`; `key` names network and options."""
    from infer import batch

    settings = batch.Settings(
        key=key,
        tile=options.tile,
        overlap_px=options.overlap_px,
        quality=options.quality,
        overwrite=options.overwrite,
        max_megapixels=options.max_megapixels,
        workers=options.workers,
    )
    return batch.run(todo, network, settings, in_folder=in_folder, report=report)


def report(sentence):
    """Write a sentence to stderr, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(sentence, file=sys.stderr)


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


def network_of(options):
    """Load the network that ``--model``, ``--blend`` and ``--half`` describe."""
    if options.model and options.blend:
        raise ValueError("give --model or --blend, not both")
    if options.blend:
        a, b, share = options.blend
        networks = load(a), load(b)
        from infer.variants import blend

        model = blend(*networks, _number(share, "the share of --blend"))
    else:
        model = load(options.model)
    if options.half:
        from infer.variants import half_if_faster

        model, sentence = half_if_faster(model)
        print(sentence, file=sys.stderr)
    return model


def _number(text, what):
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{what} must be a number, got {text!r}") from None


def conclude(outcome, in_folder):
    """Print what became of the run; returns the exit status."""
    if in_folder:
        print(
            f"{outcome.done} done, {outcome.skipped} skipped (done before), "
            f"{len(outcome.failures)} failed"
        )
    for source, sentence in outcome.failures:
        about = "" if str(source) in sentence else f"{source}: "
        print(f"error: {about}{sentence}", file=sys.stderr)
    return 1 if outcome.failures else 0


def add_compare(command):
    """Add the options of ``compare``."""
    command.add_argument("pictures", nargs="+", help="two or more picture files")
    command.add_argument("-o", "--out", required=True, metavar="PAGE.html", help="page to write")
    command.add_argument("--reference", metavar="FILE", help="true picture, to score against")
    command.add_argument("--lpips", metavar="NAME_OR_FILE", help="weights, to score LPIPS too")


def compare(options):
    """Write a page that compares pictures."""
    load_tensorflow()
    from data.pictures.write import whole_file
    from infer.compare import compare as page_of
    from infer.weights import load_model

    if options.lpips and not options.reference:
        raise ValueError("--lpips scores against a reference; give --reference")
    lpips = load_model(options.lpips) if options.lpips else None
    page = page_of(options.pictures, options.reference, lpips)
    with whole_file(Path(options.out)) as file:
        file.write(page.encode())


def add_export(command):
    """Add the options of ``export``."""
    command.add_argument("model", metavar="NAME_OR_FILE", help="bundled network or weight file")
    command.add_argument("-o", "--out", required=True, metavar="FILE", help="file or folder")
    command.add_argument("--format", choices=["savedmodel", "tflite", "onnx"], required=True)


def export(options):
    """Write a network for another runtime; returns the exit status."""
    model = load(options.model)
    from infer.export import export as write

    try:
        difference = write(model, options.out, options.format)
    except (ArithmeticError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.out}; largest difference from Keras {difference:.2g} grey levels")
    return 0
