"""``python -m train shelf NAME``: how each file of ``weights/`` was made, and how to make it again.

A recipe is a list of ``python -m train`` commands, each a process of its own: the next begins with
what the one before it wrote. Nothing else went into the files, except where a remark says so.
"""

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_WEIGHTS = Path(__file__).parents[1] / "weights"
_PHOTOS = "--hr {pictures}/photos {pictures}/bsds300 --valid-hr {pictures}/b100"
_FACES = "--hr {pictures}/faces_train --valid-hr {pictures}/faces_valid"
_CLEAN = "--clean {pictures}/photos {pictures}/bsds300 --valid-clean {pictures}/b100"
_RESTORMER = f"foundation --dim 16 --num-blocks 2 2 2 2 --num-refinement-blocks 1 {_CLEAN}"
_WDSR = "wdsr-b --num-res-blocks 32 --scale 4"
_BF16 = "--precision mixed_bfloat16"
_GAN = (
    f"--discriminator-filters 32 --lpips lpips-squeeze --pixel-weight 1 {_BF16} "
    "--learning-rate 2e-4 --warm-up-steps 50 --ema-decay 0.99 --seed 1"
)
_TUNED = (
    f"{_RESTORMER} --rotate-every 5 --px-factor 0.5 --batch-factor 0.125 --warm-up-steps 50 "
    "--start-from {weights}/restormer-small.weights.h5 --seed 1"
)
_ALL_TASKS = "--mix all=445 --valid-mix all=3 --real polyu={pictures}/polyu"


@dataclass(frozen=True)
class Recipe:
    """How one weight file is made.

    Attributes:
        stages: Commands of ``python -m train`` without ``--out``. ``{pictures}`` stands for the
            folder of all data sets, ``{before}`` for what the stage before wrote, ``{weights}`` for
            the folder of the bundled files, which some begin with.
        remark: What a repetition will differ in, or what it costs.
    """

    stages: tuple[str, ...]
    remark: str = ""


def _wdsr_of_another_scale(scale):
    data = f"{_PHOTOS} --scale {scale} --hr-crop-px {24 * scale} --learning-rate 1e-3 {_BF16}"
    return Recipe(
        (
            f"wdsr-b --num-res-blocks 32 {data} --steps 900 --warm-up-steps 100 --fall-steps 700 "
            "--evaluate-every 450 --seed 1 --start-from {weights}/wdsr-b-32-x4.weights.h5",
            f"wdsr-b --num-res-blocks 32 {data} --steps 1500 --warm-up-steps 50 --fall-steps 1100 "
            "--evaluate-every 1500 --seed 2 --start-from {before}",
        ),
    )


RECIPES = {
    "edsr-16-x4": Recipe(
        (
            f"edsr --num-res-blocks 16 --scale 4 {_PHOTOS} --steps 5000 --learning-rate 5e-4 "
            f"--fall-steps 2500 --seed 1 {_BF16}",
            f"edsr --num-res-blocks 16 --scale 4 {_PHOTOS} --steps 2500 --learning-rate 5e-4 "
            f"--warm-up-steps 100 --fall-steps 1050 --seed 2 {_BF16} --start-from {{before}}",
        ),
    ),
    "wdsr-b-32-x2": _wdsr_of_another_scale(2),
    "wdsr-b-32-x3": _wdsr_of_another_scale(3),
    "wdsr-b-32-x4": Recipe(
        (
            f"{_WDSR} {_PHOTOS} --steps 9500 --learning-rate 2e-3 --fall-steps 3500 --seed 1",
            f"{_WDSR} {_PHOTOS} --steps 3000 --learning-rate 1e-3 --warm-up-steps 100 "
            f"--fall-steps 2200 --evaluate-every 750 --seed 3 {_BF16} --start-from {{before}}",
        ),
        "up to step 3,363 windows were drawn in proportion to a picture's area (commit 3ca1514)",
    ),
    "wdsr-b-32-x4-faces": Recipe(
        (
            f"{_WDSR} {_FACES} --steps 1000 --learning-rate 5e-4 --warm-up-steps 50 "
            f"--fall-steps 800 --evaluate-every 500 --seed 1 {_BF16} "
            "--start-from {weights}/wdsr-b-32-x4.weights.h5",
        ),
    ),
    "wdsr-b-32-x4-faces-gan": Recipe(
        (
            f"esrgan --faces {_FACES} --generator {{weights}}/wdsr-b-32-x4-faces.weights.h5 "
            f"--hr-crop-px 64 --batch-size 16 {_GAN} --steps 1000 --fall-steps 500 "
            "--evaluate-every 250",
        ),
    ),
    "wdsr-b-32-x4-gan": Recipe(
        (
            f"esrgan {_PHOTOS} --generator {{weights}}/wdsr-b-32-x4.weights.h5 --hr-crop-px 96 "
            f"--batch-size 8 {_GAN} --steps 1400 --fall-steps 700 --evaluate-every 350 "
            "--interpolate 0.8",
        ),
    ),
    "restormer-small-antialias": Recipe(
        (
            f"{_TUNED} --no-masks --mix aliasing=445 --valid-mix aliasing=6 --steps 900 "
            "--learning-rate 1e-3 --evaluate-every 300",
        ),
    ),
    "restormer-small-deblur": Recipe(
        (
            f"{_TUNED} --no-masks --mix motion-blur=445 --valid-mix motion-blur=6 --steps 1600 "
            "--learning-rate 1e-3 --evaluate-every 400",
        ),
    ),
    "restormer-small-denoise": Recipe(
        (
            f"{_TUNED} --no-masks --mix gaussian-noise=445 poisson-noise=445 salt-and-pepper=445 "
            "--real polyu={pictures}/polyu --valid-mix gaussian-noise=4 salt-and-pepper=4 "
            "--steps 400 --learning-rate 5e-4 --evaluate-every 200",
        ),
    ),
    "restormer-small-inpaint": Recipe(
        (
            f"{_TUNED} --mix inpainting=445 --valid-mix inpainting=6 --steps 450 "
            "--learning-rate 5e-4 --evaluate-every 225",
        ),
    ),
    "restormer-small": Recipe(
        (
            f"{_RESTORMER} --steps 4000 --rotate-every 25 {_ALL_TASKS} --px-factor 0.375 "
            "--batch-factor 0.1875 --learning-rate 1e-3 --seed 1",
            f"{_RESTORMER} --steps 900 --rotate-every 5 {_ALL_TASKS} --px-factor 0.375 "
            "--batch-factor 0.1875 --learning-rate 3e-4 --seed 2 --start-from {before}",
        ),
        "the first stage ended at step 3,320 and saw damaged pixels as 0 (commit d23899c)",
    ),
}
"""File name without its ending → recipe."""


def add_options(command):
    """Add the options of ``shelf``."""
    command.add_argument("name", nargs="?", help="of a file in weights/; none: list them")
    command.add_argument(
        "--pictures",
        default=".",
        metavar="DIR",
        help="folder of photos, bsds300, b100, faces_train … (default .)",
    )
    command.add_argument("--out", default="shelf", metavar="DIR", help="default ./shelf")
    command.add_argument("--show", action="store_true", help="only print the commands")


def run(options, report=print):
    """List the recipes, or run one stage after the other; returns the exit status.

    A stage that was interrupted goes on where it was; one that is done takes seconds.

    Raises:
        ValueError: There is no such recipe.
    """
    if options.name is None:
        report("\n".join(f"{name}: {_described(recipe)}" for name, recipe in RECIPES.items()))
        return 0
    if options.name not in RECIPES:
        raise ValueError(f"recipes are {', '.join(RECIPES)}; got {options.name!r}")
    for words in commands(options.name, options.pictures, options.out):
        report(f"python -m train {shlex.join(words)}")
        if not options.show and (status := _train(words)):
            return status
    return 0


def commands(name, pictures, out):
    """Return the commands of a recipe, each a list of words after ``python -m train``.

    Args:
        name: Key of `RECIPES`.
        pictures: Folder that holds the data sets' folders.
        out: Where weights are written: NAME.weights.h5 in 16 bits, those of earlier stages whole.
    """
    found, before = [], None
    stages = RECIPES[name].stages
    for number, stage in enumerate(stages, 1):
        last = number == len(stages)
        written = str(Path(out, f"{name}{'' if last else f'-stage-{number}'}.weights.h5"))
        words = [
            w.format(pictures=pictures, before=before, weights=_WEIGHTS) for w in stage.split()
        ]
        found.append([*words, *(["--half"] if last else []), "--out", written])
        before = written
    return found


def _described(recipe):
    steps = [int(stage.split("--steps ")[1].split()[0]) for stage in recipe.stages]
    text = f"{recipe.stages[-1].split()[0]}, {' + '.join(f'{n:,}' for n in steps)} steps"
    return f"{text}; {recipe.remark}" if recipe.remark else text


def _train(words):
    """One stage in a new process: names, seeds and threads as the command alone has them."""
    return subprocess.run([sys.executable, "-m", "train", *words], check=False).returncode
