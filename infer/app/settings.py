"""What the tabs of the app ask for, and how a command line says it; see `infer.app.pages`."""

import contextlib
import importlib
import os

import cv2
import numpy as np

from data.pictures.read import picture_size, read_picture, rgb8
from data.pictures.write import save_image
from infer.sentences import sentence
from weights.load import manifest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
try:
    gr = importlib.import_module("gradio")  # by name: whoever checks types may not have it
except ImportError as error:
    raise ImportError(
        "the app needs the package gradio: pip install 'whole-pictures[app]'"
    ) from error

_DRAWN_PX = 2048  # longest side of pictures that are drawn
_PAINTED_PX = 1024  # of the one on which a mask is painted
_AUTO = "chosen by the picture"
SAME = "as the picture"
_NAMED = [  # what people call it, and what `infer restore` does
    ("noise", "denoise"),
    ("motion blur", "deblur"),
    ("jagged edges", "antialias"),
    ("what JPEG left", "jpeg"),
    ("scratches", "inpaint"),
]
_FAILURES = (ValueError, OSError, MemoryError, ImportError)


class CancelledError(Exception):
    """Somebody pressed Cancel."""


def drawn(pixels, longest_px=_DRAWN_PX):
    """A picture as a browser shows it, (H, W, 3) uint8, reduced to at most `longest_px`."""
    step = max(1, max(pixels.shape[:2]) // (2 * longest_px))  # rgb8 of all of it may not fit
    small = rgb8(np.ascontiguousarray(pixels[::step, ::step]))
    factor = longest_px / max(small.shape[:2])
    if factor >= 1:
        return small
    size = [max(1, round(factor * side)) for side in small.shape[1::-1]]
    return cv2.resize(small, size, interpolation=cv2.INTER_AREA)


class Enlarge:
    """Settings of the tab that enlarges."""

    command, verb = "upscale", "Enlarge"

    def __init__(self, source, max_megapixels):
        names = [name for name, fact in manifest().items() if fact["builder"] != "restormer"]
        self.network = gr.Dropdown([_AUTO, *names], value=_AUTO, label="Network")
        first = [("nothing", ""), _NAMED[0], _NAMED[3]]
        self.first = gr.Radio(first, value="", label="First remove")
        self.scale = gr.Number(label="Times the size (0: the network's)", value=0, minimum=0)
        self.inputs = {self.network, self.first, self.scale}

    def words(self, data, source, folder):
        """Words of the command line."""
        words = option("--model", data[self.network], _AUTO)
        words += option("--first", data[self.first], "")
        return words + ([f"--scale={data[self.scale]:g}"] if data[self.scale] else [])


class Restore:
    """Settings of the tab that restores, with a mask to paint."""

    command, verb = "restore", "Restore"

    def __init__(self, source, max_megapixels):
        self.task = gr.Radio(_NAMED, value="denoise", label="Take away")
        self.paint = gr.ImageEditor(
            label="Paint over it",
            sources=(),
            transforms=(),
            layers=False,
            format="png",
            brush=gr.Brush(default_size=8, colors=["#ff0000"], color_mode="fixed"),
            visible=False,
        )
        self.inputs = {self.task, self.paint}

        def show(path, task):
            painting = task == "inpaint"
            if not (painting and path):
                return gr.ImageEditor(visible=painting)
            with as_sentence():
                picture = read_picture(path, max_megapixels=max_megapixels)
            return gr.ImageEditor(value=drawn(picture.pixels, _PAINTED_PX), visible=True)

        for event in (source.change, self.task.change):
            event(show, [source, self.task], self.paint, show_progress="hidden")

    def words(self, data, source, folder):
        """Words of the command line, the mask written to the folder."""
        words = ["--task", data[self.task]]
        if data[self.task] != "inpaint":
            return words
        layers = (data[self.paint] or {}).get("layers") or []
        painted = [layer[..., 3] > 0 for layer in layers if layer.shape[2] == 4]
        if not np.any(painted):
            raise ValueError("paint over what is damaged first")
        damaged = np.any(painted, axis=0).astype(np.uint8)
        size = picture_size(source)[::-1]
        mask = 255 - 255 * cv2.resize(damaged, size, interpolation=cv2.INTER_NEAREST_EXACT)
        save_image(folder / "mask.png", mask)
        return [*words, "--mask", str(folder / "mask.png")]


class Fuse:
    """Settings of the tab that enlarges with specialists on what they know."""

    command, verb = "fuse", "Enlarge"

    def __init__(self, source, max_megapixels, specialists):
        names = list(specialists)
        self.names = gr.CheckboxGroup(names, value=names, label="Specialists for")
        self.least = gr.Number(
            label="Smallest detection, px of the result (0: as usual)", value=0, minimum=0
        )
        self.colour = gr.Checkbox(label="Take their colours from the picture around them")
        self.inputs = {self.names, self.least, self.colour}

    def words(self, data, source, folder):
        """Words of the command line."""
        if not data[self.names]:
            raise ValueError("choose a specialist; without one see Enlarge")
        words = [word for name in data[self.names] for word in ("--specialist", name)]
        words += [f"--least-px={data[self.least]:g}"] if data[self.least] else []
        return words + (["--match-colour"] if data[self.colour] else [])


def option(name, value, default):
    """Words of an option, none for the default."""
    return [] if value == default else [name, value]


@contextlib.contextmanager
def as_sentence():
    """Show what a user can mend as one sentence on the page."""
    try:
        yield
    except _FAILURES as error:
        raise gr.Error(sentence(error), duration=None, print_exception=False) from error
    except CancelledError as error:
        raise gr.Error("cancelled", print_exception=False) from error
