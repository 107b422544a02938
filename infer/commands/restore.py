"""The command ``python -m infer restore``: take away noise, blur, stairs or scratches.

Nothing here imports what takes time before the command runs.
"""

import functools

from data.quiet_start import load_tensorflow
from infer.commands import options as commands
from infer.commands.pictures import conclude, prepare, report

TASKS = ("denoise", "deblur", "antialias", "inpaint")
ALPHA = "alpha"
FOUNDATION = "restormer-small"
"""The bundled network of all tasks; the one fine-tuned to a task is ``NAME-TASK``."""


def add_options(command):
    """Add the options of ``restore``."""
    command.add_argument("pictures", nargs="+", help="files, folders or patterns such as '*.jpg'")
    command.add_argument("-o", "--out", required=True, help="file to write, or folder")
    command.add_argument("--task", required=True, choices=TASKS, help="what is wrong with them")
    commands.add_model(command)
    group = command.add_argument_group(
        "mask (inpaint)", "White means a real pixel, black a damaged one, as in prepared data."
    )
    group.add_argument(
        "--mask", metavar="FILE", help="mask picture, a folder of them by name, or the word alpha"
    )
    group.add_argument("--mask-colour", metavar="#RRGGBB", help="damaged pixels have this colour")
    group.add_argument("--mask-tolerance", type=float, default=0, help="in grey levels (default 0)")
    group.add_argument("--invert-mask", action="store_true", help="white means damaged")
    group.add_argument("--large-mask", action="store_true", help="over 90%% damaged is meant")
    group.add_argument("--all-pixels", action="store_true", help="let real pixels change as well")
    commands.add_files(command)
    commands.add_tile(command)


def run(options):
    """Restore pictures; returns the exit status."""
    _check_options(options)
    todo, in_folder = prepare(options)
    if options.task == "inpaint":
        outcome = _inpaint(options, todo, in_folder)
    else:
        network, key = _plain(options)
        outcome = _run(todo, network, options, key, in_folder)
    return conclude(outcome, in_folder)


def _check_options(options):
    given = [option for option in (options.mask, options.mask_colour) if option]
    if options.task == "inpaint" and len(given) != 1:
        raise ValueError("inpaint needs a mask: give --mask or --mask-colour (one of them)")
    if options.task != "inpaint" and given:
        raise ValueError(f"a mask belongs to --task inpaint, not to {options.task}")


def _load(options):
    """Load the network that ``--model`` names, or the bundled one that suits the task best."""
    load_tensorflow()
    from weights.load import load_model, manifest

    bundled = manifest()
    own = (f"{FOUNDATION}-{options.task}", FOUNDATION)
    name = options.model or next((name for name in own if name in bundled), None)
    if name is None:
        raise FileNotFoundError(
            f"no network to {options.task} is bundled: give --model a file that `python -m train "
            "foundation` made, or a name that `python -m infer weights` lists"
        )
    model = load_model(name)
    if model.built_by.name != "restormer":
        raise ValueError(f"restore needs a restormer, but {name} is of {model.built_by.name}")
    return name, model


def _plain(options):
    """The network without masks, whether its weights were trained with them or not; and its key."""
    _, model = _load(options)
    from infer.batch import fingerprint
    from infer.upscaler import Upscaler
    from model.restoration import has_mask, without_masks

    return Upscaler(without_masks(model) if has_mask(model) else model), fingerprint(model)


def _inpaint(options, todo, in_folder):
    """Each picture has its mask, so each is a run of its own."""
    from infer.batch import Outcome

    masks = {job: _mask_rule(options, job.source) for job in todo}
    if not in_folder:
        _try_mask(masks[todo[0]], todo[0].source)
    network, fingerprint = _masked(options)
    total = Outcome()
    for job in todo:
        key = f"{fingerprint} {_mask_key(options, job)}"
        outcome = _run([job], network(masks[job]), options, key, in_folder)
        total.done, total.skipped = total.done + outcome.done, total.skipped + outcome.skipped
        total.failures += outcome.failures
    return total


def _masked(options):
    """Function of a mask rule → `Inpainter`, and the network's key."""
    name, model = _load(options)
    from infer.batch import fingerprint
    from infer.inpaint import Inpainter
    from model.restoration import has_mask, without_masks

    if not has_mask(model):
        raise ValueError(f"{name} is a network without masks, so it cannot inpaint")
    settings = {"keep_known": not options.all_pixels, "drop_alpha": options.mask == ALPHA}
    network = functools.partial(Inpainter, model, without_masks(model), **settings)
    return network, fingerprint(model)


def _mask_rule(options, source):
    """Function of a picture → its mask, checked."""
    from infer import masks

    name, rule = _unchecked_mask(options, source)

    def mask_of(image):
        valid = rule(image)
        masks.check(valid, image.shape[:2], name, allow_large=options.large_mask)
        return valid

    return mask_of


def _unchecked_mask(options, source):
    """What to call the mask of a picture, and the function that gives it."""
    from infer import masks

    if options.mask == ALPHA:
        return "the alpha channel", lambda image: masks.alpha_mask(image) != options.invert_mask
    if options.mask_colour:
        colour, tolerance = options.mask_colour, options.mask_tolerance
        return (
            f"the colour {colour}",
            lambda image: masks.colour_mask(image, colour, tolerance) != options.invert_mask,
        )
    file = masks.find_mask_file(options.mask, source)
    read = functools.cache(lambda: masks.file_mask(file, invert=options.invert_mask, report=report))
    return str(file), lambda _: read()


def _try_mask(mask_of, source):
    """Find a wrong mask of a single picture before the network is loaded."""
    from data.pictures.read import load_image

    mask_of(load_image(source))


def _mask_key(options, job):
    """What the result depends on beside the network: the mask, and how it is read."""
    from infer import masks

    choices = [options.mask_colour, options.mask_tolerance, options.invert_mask, options.all_pixels]
    if options.mask in (None, ALPHA):
        return f"{options.mask} {choices}"
    stat = masks.find_mask_file(options.mask, job.source).stat()
    return f"{stat.st_size} {stat.st_mtime_ns} {choices}"


def _run(todo, network, options, key, in_folder):
    key = f"{options.task} {options.overlap_px} {options.quality} {key}"
    return run(todo, network, options, key, in_folder)
