"""``python -m infer restore``: take away noise, blur, jagged edges, JPEG's traces or scratches."""

from data.quiet_start import load_tensorflow
from infer.commands import options as common
from infer.commands.options import (
    add_files,
    add_model,
    add_pictures,
    add_precision,
    add_self_ensemble,
    add_tile,
    not_negative,
)
from infer.commands.pictures import conclude, prepare, report
from infer.commands.pictures import run as run_all

HELP = "Take away noise, blur, jagged edges or scratches."
EXAMPLE = "restore scan.png -o clean.png --task inpaint --mask scratches.png"

TASKS = ("denoise", "deblur", "antialias", "jpeg", "inpaint")
ALPHA = "alpha"
FOUNDATION = "restormer-small"
"""The bundled network of all tasks; the one fine-tuned to a task is ``NAME-TASK``."""


def add_options(parser):
    """Add the options of ``restore``."""
    add_pictures(parser)
    parser.add_argument(
        "--task",
        required=True,
        choices=TASKS,
        help="what to take away: noise, blur, jagged edges, what JPEG left, or pixels that a mask "
        "marks",
    )
    add_model(parser, f"{FOUNDATION}-TASK if it is bundled, else {FOUNDATION}")
    add_self_ensemble(parser)
    add_precision(parser)
    group = parser.add_argument_group(
        "mask (inpaint)", "White means a real pixel, black a damaged one, as in prepared data."
    )
    group.add_argument(
        "--mask",
        metavar="FILE_OR_DIR",
        help="mask picture, or a folder of them, named as the pictures; the word alpha: "
        "transparent pixels are the damaged ones",
    )
    group.add_argument(
        "--mask-colour", metavar="#RRGGBB", help="pixels of this colour are the damaged ones"
    )
    group.add_argument(
        "--mask-tolerance",
        type=float,
        default=0,
        metavar="LEVELS",
        help="grey levels by which --mask-colour may be missed (default: 0)",
    )
    group.add_argument(
        "--invert-mask", action="store_true", help="take white for damaged and black for real"
    )
    group.add_argument(
        "--grow-mask",
        type=not_negative,
        metavar="PX",
        help="let damage reach so many px further (default: 1 for mask pictures with grey values, "
        "else 0)",
    )
    group.add_argument(
        "--large-mask",
        action="store_true",
        help="accept a mask that marks over 90%% of the picture as damaged",
    )
    group.add_argument(
        "--all-pixels",
        action="store_true",
        help="let the network change real pixels too (without it they are kept)",
    )
    add_files(parser)
    add_tile(parser)


def run(options):
    """Restore pictures; returns the exit status."""
    _check_options(options)
    todo, folder = prepare(options)
    make, key = maker(options, todo, folder)
    return conclude(run_all(todo, make, options, key, folder), folder)


def maker(options, todo, folder):
    """The function that makes a picture, see `infer.batch.run`, and that of its results' keys."""
    if options.task == "inpaint":
        make, key = _inpaint(options, todo, folder)
    else:
        make, key = _plain(options)
    network = f"{options.self_ensemble} {options.half} {options.full_precision}"
    kind = f"{options.task} {options.overlap_px} {options.quality} {network}"
    return make, lambda job: f"{kind} {key(job)}"


def _check_options(options):
    from infer import masks

    given = [option for option in (options.mask, options.mask_colour) if option]
    if options.task == "inpaint" and len(given) != 1:
        raise ValueError("inpaint needs a mask: give --mask or --mask-colour (one of them)")
    if options.task != "inpaint" and given:
        raise ValueError(f"a mask belongs to --task inpaint, not to {options.task}")
    if options.mask_colour:
        masks.colour_levels(options.mask_colour)


def _load(options):
    """Load the network that ``--model`` names, or the bundled one that suits the task best."""
    load_tensorflow()
    from weights.load import manifest

    bundled = manifest()
    own = (f"{FOUNDATION}-{options.task}", FOUNDATION)
    name = options.model or next((name for name in own if name in bundled), None)
    if name is None:
        raise FileNotFoundError(
            f"no network to {options.task} is bundled: give --model a file that `python -m train "
            "foundation` made, or a name that `python -m infer weights` lists"
        )
    model = common.load(name)
    built_by = model.built_by and model.built_by.name
    if built_by != "restormer":
        raise ValueError(f"restore needs a restormer, but {name} is of {built_by}")
    return name, model


def _plain(options):
    """What makes a picture without a mask, and the key of a job."""
    _, model = _load(options)
    from infer.batch import fingerprint
    from infer.upscaler import Upscaler

    key = fingerprint(model)
    restorer = common.plain_restorer(model, options)
    network = Upscaler(restorer, self_ensemble=options.self_ensemble)

    def make(job, pixels, **where):
        return network(pixels, tile=options.tile, overlap_px=options.overlap_px, **where)

    return make, lambda job: key


def _inpaint(options, todo, folder):
    """What makes a picture with its mask, and the key of a job."""
    from infer import masks

    files = {}
    if options.mask not in (None, ALPHA):
        files = masks.find_mask_files(options.mask, todo, folder)
    if folder is None:
        _try_mask(options, todo[0], files)
    name, model = _load(options)
    from infer.batch import fingerprint
    from infer.inpaint import Inpainter
    from model.restoration import has_mask

    if not has_mask(model):
        raise ValueError(f"{name} is a network without masks, so it cannot inpaint")
    weights = fingerprint(model)
    network = Inpainter(
        common.in_precision(model, options),
        keep_known=not options.all_pixels,
        drop_alpha=options.mask == ALPHA,
        self_ensemble=options.self_ensemble,
    )

    def make(job, pixels, **where):
        valid = _mask_of(options, pixels, files.get(job))
        _say_if_deep(job, valid)
        tiling = {"tile": options.tile, "overlap_px": options.overlap_px}
        return network(pixels, valid, **tiling, **where)

    return make, lambda job: f"{weights} {_mask_key(options, files.get(job))}"


def _try_mask(options, job, files):
    """Find a wrong mask of a single picture before the network is loaded."""
    from data.pictures.read import load_image

    _mask_of(options, load_image(job.source), files.get(job))


def _mask_of(options, image, file):
    """Mask of a picture, (H, W) bool, True = a real pixel; checked."""
    from infer import masks

    if file:
        name = str(file)
        valid = masks.file_mask(
            file, invert=options.invert_mask, grow_px=options.grow_mask, report=report
        )
    elif options.mask == ALPHA:
        name, valid = "the alpha channel", masks.alpha_mask(image) != options.invert_mask
    else:
        name = f"the colour {options.mask_colour}"
        valid = masks.colour_mask(image, options.mask_colour, options.mask_tolerance)
        valid = valid != options.invert_mask
    if not file:
        valid = masks.grown(valid, options.grow_mask or 0)
    masks.check(valid, image.shape[:2], name, allow_large=options.large_mask)
    return valid


def _say_if_deep(job, valid):
    """Say so where a hole is deeper than the network has learned to fill."""
    from infer.masks import DEEPEST_PX, depth_px

    depth = depth_px(valid)
    if depth > DEEPEST_PX:
        report(
            f"{job.source}: a hole is {depth:.0f} px deep; the network learned to fill scratches, "
            f"and below {DEEPEST_PX} px it gives a smooth surface without texture"
        )


def _mask_key(options, file):
    """What the result depends on beside the network: the mask, and how it is read."""
    choices = [options.mask_colour, options.mask_tolerance, options.invert_mask, options.all_pixels]
    choices.append(options.grow_mask)
    if file is None:
        return f"{options.mask} {choices}"
    stat = file.stat()
    return f"{stat.st_size} {stat.st_mtime_ns} {choices}"
