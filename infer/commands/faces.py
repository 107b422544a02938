"""The command ``python -m infer faces``: a general network, and one for faces where faces are.

Nothing here imports what takes time before the command runs.
"""

from pathlib import Path

from infer.commands import options as commands
from infer.commands.pictures import conclude, prepare
from infer.faces import described

DEFAULT_FACE = "wdsr-b-32-x4-faces-gan"
"""What is used for faces when no network is named."""

DEFAULT_GENERAL = "wdsr-b-32-x4-gan"
"""What is used for the rest then: as sharp as the faces, for in a soft picture they would show."""


def add_options(command):
    """Add the options of ``faces``."""
    command.add_argument("pictures", nargs="+", help="files, folders or patterns such as '*.jpg'")
    command.add_argument("-o", "--out", required=True, help="file to write, or folder")
    command.add_argument(
        "--model",
        metavar="NAME_OR_FILE",
        help=f"general network (default {DEFAULT_GENERAL}: as sharp as the one for faces)",
    )
    command.add_argument(
        "--face-model",
        metavar="NAME_OR_FILE",
        help=f"network for faces, of the same scale (default {DEFAULT_FACE})",
    )
    add_faces(command)
    command.add_argument(
        "--faces",
        type=numbers,
        metavar="0,2",
        help="use only these of the faces printed (one picture)",
    )
    command.add_argument(
        "--save-mask", metavar="PNG", help="also write the mask, or a folder of them"
    )
    commands.add_files(command)
    commands.add_tile(command)


def add_faces(command):
    """Add the options on finding and mixing faces; returns their group."""
    group = command.add_argument_group("faces", "Sizes are px of the enlarged picture.")
    group.add_argument(
        "--least-confidence", type=float, default=0.9, metavar="C", help="0..1 (default 0.9)"
    )
    group.add_argument(
        "--least-px", type=float, default=32, metavar="PX", help="smallest face (default 32)"
    )
    group.add_argument(
        "--match-colour",
        action="store_true",
        help="take the colour of faces from the general result: against visible patches",
    )
    return group


def numbers(text):
    """Read "0,2" as (0, 2)."""
    return tuple(int(number) for number in text.split(","))


def run(options):
    """Enlarge pictures with two networks; returns the exit status."""
    todo, in_folder = prepare(options)
    if options.faces is not None and len(todo) > 1:
        raise ValueError(f"--faces chooses in one picture, got {len(todo)}")
    fusion, key = fusion_of(options, commands.load(options.model or _general()))
    from infer.batch import Outcome

    total = Outcome()
    for job in todo:  # one at a time: what is said belongs to one picture
        outcome = _enlarge(options, fusion, key, job, in_folder)
        total.done, total.skipped = total.done + outcome.done, total.skipped + outcome.skipped
        total.failures += outcome.failures
    if options.faces is not None and total.failures:
        raise ValueError(total.failures[0][1])
    return conclude(total, in_folder)


def fusion_of(options, general):
    """Make the `Fusion` of a general network and ``--face-model``, and its key for `batch`."""
    from infer.batch import fingerprint
    from infer.detect import Mtcnn, confirmed
    from infer.face_masks import MaskOptions
    from infer.faces import Fusion, Specialist
    from infer.upscaler import Upscaler

    mask_options = MaskOptions(
        least_confidence=options.least_confidence,
        least_px=options.least_px,
        match_colour=options.match_colour,
        chosen=getattr(options, "faces", None),
    )
    face = commands.load(options.face_model or _bundled())
    specialist = Specialist(Upscaler(face), confirmed(Mtcnn(options.least_px)))
    fusion = Fusion(Upscaler(general), [specialist], mask_options)
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


def _enlarge(options, fusion, key, job, in_folder):
    key = f"{key} {options.save_mask} {options.overlap_px} {options.quality}"
    outcome = run([job], fusion, options, key, in_folder)
    if outcome.done:
        print(f"{job.source}: {described(fusion.found)}")
        if options.save_mask:
            _save_mask(options.save_mask, fusion.mask, job if in_folder else None)
    return outcome


def _save_mask(path, mask, job):
    """Write a mask, white where the face network is, to a file or (of a `job`) into a folder."""
    import numpy as np

    from data.pictures.write import save_image

    path = Path(path)
    if job:
        path.mkdir(parents=True, exist_ok=True)
        path = path / f"{job.target.stem}.png"
    save_image(path, np.rint(255 * mask).astype(np.uint8))
