"""``python -m infer faces``: a general network, and one for faces where faces are.

``fuse`` is the same with other specialists, too.
"""

import argparse
import functools
import sys
from pathlib import Path

from data.quiet_start import load_tensorflow
from infer.commands import options as common
from infer.commands.choice import Choice, weights_key
from infer.commands.pictures import conclude, prepare
from infer.commands.pictures import run as run_all
from infer.commands.size import add_size, size_of, sized, tell_runs
from infer.commands.specialists import Asked, mask_options, network_of, specialist

HELP = "Enlarge pictures with one network, and the faces in them with another."
EXAMPLE = "faces group.jpg -o big.png --save-mask mask.png"


def add_options(parser):
    """Add the options of ``faces``."""
    add_fusion(parser)
    parser.add_argument(
        "--face-model",
        metavar="NAME_OR_FILE",
        help="network for faces, of the same scale (default: by what the picture is)",
    )
    parser.add_argument(
        "--faces",
        type=numbers,
        metavar="0,2",
        help="use the face network only for the faces with these numbers, which a run without "
        "this option prints (for one picture)",
    )


def add_fusion(parser):
    """Add the options that ``faces`` and ``fuse`` share."""
    common.add_pictures(parser)
    common.add_model(parser, "by what the picture is; printed")
    parser.add_argument(
        "--save-mask",
        metavar="FILE_OR_DIR",
        help="also write the mask, white where specialists are: a picture file, or for several "
        "pictures a folder",
    )
    add_faces(parser)
    _add_likeness(parser)
    add_size(parser)
    common.add_files(parser)
    common.add_precision(parser.add_argument_group("networks"))
    common.add_tile(parser)


def add_faces(parser):
    """Add the options on finding and mixing faces, or what else there is; returns their group."""
    group = parser.add_argument_group(
        "detections", "Sizes are px of the picture as enlarged by the networks."
    )
    group.add_argument(
        "--least-confidence",
        type=float,
        metavar="0..1",
        help="drop detections with less confidence (default: 0.9; text 0.4)",
    )
    group.add_argument(
        "--least-px",
        type=float,
        metavar="PX",
        help="leave detections with a shorter side to the general network, which draws them no "
        "worse (default: 40; text 12)",
    )
    group.add_argument(
        "--turned",
        action="store_true",
        help="look for faces on their side and upside down, too, as is done by itself where none "
        "is upright; three more searches",
    )
    group.add_argument(
        "--match-colour",
        action="store_true",
        help="take the colour there from the general network, where patches would show",
    )
    group.add_argument(
        "--fidelity",
        type=share,
        metavar="0..1",
        help="mix the weights of the network for faces with those of the one that it was made of: "
        "0 invents nothing, 1 is sharpest (default: 1)",
    )
    return group


def _add_likeness(parser):
    """Add the options on how alike faces stay."""
    group = parser.add_argument_group("likeness")
    group.add_argument(
        "--likeness",
        metavar="NAME_OR_FILE",
        help="weights of face features, to print how alike each face and its enlargement by "
        "bicubic are, up to 1: vggface2-senet50, once fetched by `python -m infer weights get "
        "vggface2-senet50`, or dlib's face network of face-api",
    )
    group.add_argument(
        "--least-likeness",
        type=share,
        metavar="0..1",
        help="lower the fidelity of each face by quarters until it is so alike; needs --likeness",
    )


def share(text):
    """Read a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, got {text!r}")
    return value


def numbers(text):
    """Read "0,2" as (0, 2)."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"must be whole numbers such as 0,2, got {text!r}")
    return tuple(int(part) for part in parts)


def run(options):
    """Enlarge pictures with two networks; returns the exit status."""
    todo, folder = prepare(options)
    if options.least_likeness is not None and not options.likeness:
        raise ValueError("--least-likeness needs --likeness, the network that judges")
    chosen = getattr(options, "faces", None)
    if chosen is not None and len(todo) > 1:
        raise ValueError(f"--faces chooses in one picture, got {len(todo)}")
    masks = _mask_files(options, todo, folder)
    load_tensorflow()
    make, key = maker(options)

    def before(job, fused):
        if not hasattr(fused, "found"):
            return  # the picture was only reduced
        _tell(job, fused, sys.stderr if options.out == "-" else sys.stdout)
        if job in masks:
            _save_mask(masks[job], fused)

    outcome = run_all(todo, make, options, lambda job: key, folder, before)
    if chosen is not None and outcome.failures:
        raise ValueError(outcome.failures[0][1])
    return conclude(outcome, folder)


def maker(options):
    """The function that makes a picture, see `infer.batch.run`, and the key of its results."""
    has_faces = any(one.name == "faces" for one in _asked(options))
    ready = functools.partial(_ready, options)
    choice = Choice("faces" if has_faces else "upscale", ready, named=options.model)
    weights = choice.only()[1] if options.model else f"{choice.key()} {_specialists_key(options)}"
    choices = [options.save_mask, options.overlap_px, options.quality, size_of(options)]
    choices += [options.fidelity, options.likeness, options.least_likeness]
    choices += [options.half, options.full_precision, options.turned]

    def make(job, pixels, **where):
        fusion, _ = choice(job, pixels)
        tell_runs(job, fusion, pixels.shape)
        return fusion(pixels, tile=options.tile, overlap_px=options.overlap_px, **where)

    return make, f"{weights} {choices}"


def _specialists_key(options):
    """What results depend on beside the general network, as `fusion_of` tells it, unloaded."""
    asked = _asked(options)
    weights = [weights_key(network_of(one)) for one in asked]
    return f"{asked} {weights} {mask_options(options)}"


def _ready(options, _, name):
    """The fusion with that general network, and a digest of all weights."""
    from infer.upscaler import Upscaler

    general = common.load_precise(name, options)
    fusion, key = fusion_of(options, general)
    return sized(fusion, options, again=Upscaler(general)), key


def _tell(job, fused, stream):
    """Print what was found in a picture."""
    from tqdm import tqdm

    from infer.faces import described

    tqdm.write(f"{job.source}: {described(fused)}", file=stream)


def _mask_files(options, todo, folder):
    """Job → where its mask is to be written; checked, as far as can be before anything is made."""
    from data.pictures.write import check_writable
    from infer.jobs import check_free

    if not options.save_mask:
        return {}
    path = Path(options.save_mask)
    if folder is None:
        check_writable(path, 1, 1)
        check_free(path, options.overwrite)
        return {todo[0]: path}
    if path.exists() and not path.is_dir():
        raise ValueError(f"the masks of several pictures need a folder to go to, got {path}")
    if isinstance(folder, Path) and path.resolve() == folder.resolve():
        raise ValueError(f"masks would take the names of pictures in {folder}: give another folder")
    return {job: path / job.target.relative_to(folder).with_suffix(".png") for job in todo}


def _save_mask(path, fused):
    """Write a mask, white where the face network is."""
    import numpy as np

    from data.pictures.write import save_image

    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(path, np.rint(255 * fused.mask).astype(np.uint8))


def fusion_of(options, general):
    """Make the `Fusion` of a general network and its specialists, and its key for `Settings`.

    Without ``--specialist`` that is the one for faces; a network that is not named is the bundled
    one.
    """
    from infer.batch import fingerprint
    from infer.fusion import Fusion
    from infer.upscaler import Upscaler

    ready = [specialist(options, one) for one in _asked(options)]
    masks = mask_options(options)
    fusion = Fusion(Upscaler(general), [specialist for specialist, _ in ready], masks)
    keys = [fingerprint(general), *(key for _, key in ready)]
    return fusion, f"{' '.join(keys)} {masks}"


def _asked(options):
    """The specialists."""
    return getattr(options, "specialist", None) or [Asked("faces", None, options.face_model)]
