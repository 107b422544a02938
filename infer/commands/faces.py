"""``python -m infer faces``: a general network, and one for faces where faces are."""

import argparse
from pathlib import Path

from infer.commands import options as common
from infer.commands.pictures import conclude, prepare
from infer.commands.pictures import run as run_all

HELP = "Enlarge pictures with one network, and the faces in them with another."
EXAMPLE = "faces group.jpg -o big.png --save-mask mask.png"

DEFAULT_FACE = "wdsr-b-32-x4-faces-gan"
"""What is used for faces when no network is named."""

DEFAULT_GENERAL = "wdsr-b-32-x4-gan"
"""What is used for the rest then: as sharp as the faces, for in a soft picture they would show."""


def add_options(parser):
    """Add the options of ``faces``."""
    common.add_pictures(parser)
    common.add_model(parser, f"{DEFAULT_GENERAL}, as sharp as the one for faces")
    parser.add_argument(
        "--face-model",
        metavar="NAME_OR_FILE",
        help=f"network for faces, of the same scale (default: {DEFAULT_FACE})",
    )
    add_faces(parser)
    parser.add_argument(
        "--faces",
        type=numbers,
        metavar="0,2",
        help="use the face network only for the faces with these numbers, which a run without "
        "this option prints (for one picture)",
    )
    parser.add_argument(
        "--save-mask",
        metavar="FILE_OR_DIR",
        help="also write the mask, white where the face network is: a picture file, or for several "
        "pictures a folder",
    )
    common.add_files(parser)
    common.add_tile(parser)


def add_faces(parser):
    """Add the options on finding and mixing faces; returns their group."""
    group = parser.add_argument_group("faces", "Sizes are px of the enlarged picture.")
    group.add_argument(
        "--least-confidence",
        type=float,
        default=0.9,
        metavar="0..1",
        help="drop detections with less confidence (default: 0.9)",
    )
    group.add_argument(
        "--least-px",
        type=float,
        default=32,
        metavar="PX",
        help="drop faces with a shorter side (default: 32)",
    )
    group.add_argument(
        "--match-colour",
        action="store_true",
        help="take the colour of faces from the general network, where patches would show",
    )
    return group


def numbers(text):
    """Read "0,2" as (0, 2)."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"must be whole numbers such as 0,2, got {text!r}")
    return tuple(int(part) for part in parts)


def run(options):
    """Enlarge pictures with two networks; returns the exit status."""
    todo, folder = prepare(options)
    if options.faces is not None and len(todo) > 1:
        raise ValueError(f"--faces chooses in one picture, got {len(todo)}")
    masks = _mask_files(options, todo, folder)
    fusion, key = fusion_of(options, common.load_enlarging(options.model or _general()))
    key = f"{key} {options.save_mask} {options.overlap_px} {options.quality}"

    def make(job, pixels, **where):
        return fusion(pixels, tile=options.tile, overlap_px=options.overlap_px, **where)

    def before(job, fused):
        _tell(job, fused)
        if job in masks:
            _save_mask(masks[job], fused)

    outcome = run_all(todo, make, options, lambda job: key, folder, before)
    if options.faces is not None and outcome.failures:
        raise ValueError(outcome.failures[0][1])
    return conclude(outcome, folder)


def _tell(job, fused):
    """Print what was found in a picture."""
    from tqdm import tqdm

    from infer.faces import described

    tqdm.write(f"{job.source}: {described(fused.found)}")


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
    if path.resolve() == folder.resolve():
        raise ValueError(f"masks would take the names of pictures in {folder}: give another folder")
    return {job: path / job.target.relative_to(folder).with_suffix(".png") for job in todo}


def _save_mask(path, fused):
    """Write a mask, white where the face network is."""
    import numpy as np

    from data.pictures.write import save_image

    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(path, np.rint(255 * fused.mask).astype(np.uint8))


def fusion_of(options, general):
    """Make the `Fusion` of a general network and ``--face-model``, and its key for `Settings`."""
    from infer import detect
    from infer.batch import fingerprint
    from infer.face_masks import MaskOptions
    from infer.faces import Fusion, Specialist
    from infer.upscaler import Upscaler

    mask_options = MaskOptions(
        least_confidence=options.least_confidence,
        least_px=options.least_px,
        match_colour=options.match_colour,
        chosen=getattr(options, "faces", None),
    )
    face = common.load_enlarging(options.face_model or _bundled())
    detector = detect.confirmed(detect.Mtcnn(options.least_px))
    fusion = Fusion(Upscaler(general), [Specialist(Upscaler(face), detector)], mask_options)
    return fusion, f"{fingerprint(general)} {fingerprint(face)} {mask_options}"


def _general():
    """The default general network; None, for the default of all commands, if it is not bundled."""
    from weights.load import manifest

    return DEFAULT_GENERAL if DEFAULT_GENERAL in manifest() else None


def _bundled():
    from weights.load import manifest

    if DEFAULT_FACE not in manifest():
        raise FileNotFoundError(
            "no network for faces is bundled: give --face-model a file that `python -m train "
            "esrgan --faces` made, or any network of the same scale"
        )
    return DEFAULT_FACE
