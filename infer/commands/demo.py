"""``python -m infer demo``: photographs made small or noisy, brought back, measured and drawn.

The photographs come with packages that the library needs, and no network was trained on them:
Rachel Michetti's coffee and Stefan van der Walt's cat (CC0, in scikit-image), NASA's portrait of
Eileen Collins and the US Navy's of Grace Hopper (public domain, in scikit-image and matplotlib).
"""

import argparse
import logging
import shlex
from dataclasses import dataclass
from pathlib import Path

from data.quiet_start import load_tensorflow
from infer.commands import faces, restore, upscale
from infer.commands.options import add_model

HELP = "Show enlarging, restoring and faces on photographs whose originals are known."
EXAMPLE = "demo -o out"

_SCALE = 4
_SIGMA = 25  # of the noise, grey levels
_FILTER_STRENGTH = 0.5  # of the filter, times sigma: of 0.4 to 1 the best on this photograph
_NOTE = "No network was trained on these photographs. dB: PSNR on RGB of each as a whole."


@dataclass
class _Case:
    """A photograph, damaged and brought back: pictures and their scores by name."""

    pictures: dict
    scores: dict

    def parts(self, top, left, height, width, *, names):
        """Parts of the pictures for `infer.plot.comparison`; names: caption → name."""
        shown = {}
        for caption, name in names.items():
            picture = self.pictures[name]
            if picture.shape != self.pictures["original"].shape:
                picture = picture.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
            score = self.scores.get(name)
            db = f"{score['psnr_rgb_db']:.1f} dB" if score else ""
            shown[caption, db] = picture[top : top + height, left : left + width]
        return shown


def add_options(parser):
    """Add the options of ``demo``."""
    add_model(parser, "by what the picture is; printed")
    parser.add_argument(
        "-o",
        "--out",
        default="out",
        metavar="DIR",
        help="folder to write to; what an earlier demo wrote is replaced (default: out)",
    )


def run(options):
    """Damage photographs, run the commands on them, and compare with the originals."""
    load_tensorflow()
    logging.getLogger("tensorflow").setLevel("ERROR")  # each network is traced anew: no mistake
    from skimage.data import astronaut, chelsea, coffee

    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    named = ["--model", options.model, f"--scale={_SCALE}"] if options.model else []
    cases = {
        "coffee": _enlarging(folder / "coffee", coffee(), {"upscale": (upscale, named)}),
        "cat": _restoring(folder / "cat", chelsea()),
    }
    both = {"upscale": (upscale, named), "faces": (faces, [])}
    for name, photograph in {"collins": astronaut(), "hopper": _hopper()}.items():
        cases[name] = _enlarging(folder / name, photograph, both)
    _draw(folder, **cases)
    print(*_table(cases), sep="\n")
    print(f"wrote {folder}/demo.jpg and faces.jpg, and the pictures in them as PNG")


def _hopper():
    import numpy as np
    from matplotlib.cbook import get_sample_data
    from PIL import Image

    with get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def _enlarging(place, hr, commands):
    """Make a photograph small, and enlarge it by bicubic and by commands."""
    from data.degrade import imresize

    hr = hr[: hr.shape[0] // _SCALE * _SCALE, : hr.shape[1] // _SCALE * _SCALE]
    lr = imresize(hr, 1 / _SCALE)
    return _case(place, {"input": lr, "bicubic": imresize(lr, _SCALE)}, commands, hr)


def _restoring(place, clean):
    """Add noise, and take it away by a filter, which is told how much it is, and by a command."""
    import numpy as np
    from skimage.restoration import denoise_nl_means

    from data.tasks import damage

    noisy, _ = damage("gaussian-noise", clean, np.random.default_rng(1), _SIGMA)
    sigma = _SIGMA / 255
    filtered = denoise_nl_means(
        noisy / 255, 5, 6, _FILTER_STRENGTH * sigma, sigma=sigma, channel_axis=-1
    )
    filtered = np.rint(255 * np.clip(filtered, 0, 1)).astype(np.uint8)
    commands = {"restore": (restore, ["--task", "denoise"])}
    return _case(place, {"input": noisy, "non-local means": filtered}, commands, clean)


def _case(place, before, commands, hr):
    """Write the input and what is classical, run commands on the input, and score all."""
    from data.pictures.read import load_image
    from data.pictures.write import save_image
    from infer.evaluate import score

    def file(name):
        return place.with_name(f"{place.name}-{name.replace(' ', '-')}.png")

    pictures = {**before, "original": hr}
    for name, picture in pictures.items():
        save_image(file(name), picture)
    for name, (module, words) in commands.items():
        _run(module, [str(file("input")), "-o", str(file(name)), *words])
        pictures[name] = load_image(file(name))
    made = [name for name in pictures if name != "original" and pictures[name].shape == hr.shape]
    return _Case(pictures, {name: score(pictures[name], hr, _SCALE) for name in made})


def _run(module, words):
    """Run a command as the command line would, and print that line."""
    name = module.__name__.rpartition(".")[2]
    print("$", shlex.join(["python", "-m", "infer", name, *words]), flush=True)
    parser = argparse.ArgumentParser()
    module.add_options(parser)
    if module.run(parser.parse_args([*words, "--overwrite"])):
        raise OSError(f"the demo ends here: {name} failed")


def _draw(folder, coffee, cat, collins, hopper):
    """Draw the front picture, and portraits at full size."""
    from infer.plot import comparison

    def names(classical, ours):
        return {"input": "input", classical: classical, "ours": ours, "original": "original"}

    rows = {
        (f"Enlarge ×{_SCALE}", "python -m infer upscale"): coffee.parts(
            226, 306, 90, 108, names=names("bicubic", "upscale")
        ),
        ("Restore", "python -m infer restore --task denoise"): cat.parts(
            22, 100, 120, 144, names=names("non-local means", "restore")
        ),
        (f"Faces ×{_SCALE}", "python -m infer faces"): collins.parts(
            62, 168, 108, 108, names=names("bicubic", "faces")
        ),
    }
    jpeg = {"dpi": 72, "pil_kwargs": {"quality": 85}}
    comparison(rows, note=_NOTE).savefig(folder / "demo.jpg", **jpeg)
    titles = {name: name for name in ("bicubic", "upscale", "faces", "original")}
    rows = {
        ("Eileen Collins", ""): collins.parts(10, 88, 300, 280, names=titles),
        ("Grace Hopper", ""): hopper.parts(14, 134, 340, 280, names=titles),
    }
    comparison(rows, width_px=280).savefig(folder / "faces.jpg", **jpeg)


def _table(cases):
    """PSNR and SSIM of whole pictures: on RGB, and on luma without the border."""
    yield f"RGB: all channels, no border cut. Y: BT.601 luma, {_SCALE} px border cut."
    yield f"{'':26}{'PSNR RGB':>12}{'SSIM RGB':>12}{'PSNR Y':>12}{'SSIM Y':>12}"
    for title, case in cases.items():
        for name, s in case.scores.items():
            cells = (f"{s[f'psnr_{y}_db']:9.2f} dB{s[f'ssim_{y}']:12.4f}" for y in ("rgb", "y"))
            yield f"{f'{title}, {name}':26}{''.join(cells)}"
