"""Results of any size: a network run at its own scale as often as needed, then reduced.

Nothing is ever enlarged by interpolation: what is larger than one run gives is run again, and what
is larger than wanted is reduced by MATLAB's bicubic with its widened kernel (`data.resize`).
"""

import math
from dataclasses import dataclass, fields

import numpy as np

from data.resize import imresize_to
from infer.arrays import checked, result_dtype, without_hidden_colours

_MOST_RUNS = 8


@dataclass(frozen=True)
class OutputSize:
    """The size that a result is to have; exactly one attribute is given.

    Attributes:
        scale: Times the picture's height and width, rounded.
        width: px; the height follows, as with all that come.
        height: px.
        longest: px of the longer side.
        megapixels: Million pixels, as nearly as whole sides allow.

    Raises:
        ValueError: None or several are given, or one is no number above 0.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    longest: int | None = None
    megapixels: float | None = None

    def __post_init__(self):
        given = self._given()
        if len(given) != 1:
            names = ", ".join(field.name for field in fields(self))
            got = " and ".join(given) or "none"
            raise ValueError(f"a size is exactly one of {names}, got {got}")
        ((name, value),) = given.items()
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be above 0, got {value}")

    def _given(self):
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def of(self, height, width):
        """Return height and width of what a picture becomes, at least 1 px each."""
        ((name, value),) = self._given().items()
        if name == "megapixels":
            factor = math.sqrt(value * 1e6 / (height * width))
        else:
            sides = {"scale": 1, "width": width, "height": height, "longest": max(height, width)}
            factor = value / sides[name]
        return tuple(max(1, math.floor(side * factor + 0.5)) for side in (height, width))


class Sized:
    """A network whose results have the size that is wanted.

    It runs as often as needed to reach that size, each time on the result before, and one exact
    reduction follows. What is to be smaller than the picture is only reduced.

    Args:
        network: `infer.upscaler.Upscaler`, or `infer.fusion.Fusion`.
        size: The `OutputSize`.
        again: Network of the same scale for the second run and later ones; None: the same.
        room: Function (shape, dtype) → array, for results of the network that are reduced later.

    Raises:
        ValueError: The network does not enlarge.
    """

    def __init__(self, network, size, *, again=None, room=np.empty):
        self.reach = network.reach
        if self.reach.scale < 2:
            raise ValueError("this network does not enlarge, so it reaches no other size")
        self._network, self._again = network, again or network
        self._size, self._room = size, room

    def plan(self, shape):
        """Return how often the network runs for a picture's shape, and height and width after."""
        height, width = self._size.of(*shape[:2])
        runs, factor = 0, max(height / shape[0], width / shape[1])
        while self.reach.scale**runs < factor - 1e-9 and (height, width) != shape[:2]:
            runs += 1
            if runs > _MOST_RUNS:
                raise ValueError(
                    f"a result may be {self.reach.scale**_MOST_RUNS} times as large as its picture "
                    f"at most, got {factor:g}"
                )
        return runs, (height, width)

    def remark(self, shape):
        """A sentence where a picture of this shape needs more than one run, or none; else None."""
        runs, (height, width) = self.plan(shape)
        if runs == 1:
            return None
        if runs == 0:
            return f"a result of {width} × {height} px is not larger: reduced, without the network"
        return (
            f"a result of {width} × {height} px takes {runs} runs of a network ×"
            f"{self.reach.scale}: what the first one draws wrong, the next one enlarges"
        )

    def __call__(self, image, *, tile=None, overlap_px=None, out=None, report=None):
        """Make a picture of the wanted size; arguments as of `infer.upscaler.Upscaler`.

        Returns:
            What the network returns: an array, or `infer.fusion.Fused` of that size.
        """
        image = checked(image)
        runs, size = self.plan(image.shape)
        out = _array(out, (*size, *image.shape[2:]), result_dtype(image))
        made, pixels = None, without_hidden_colours(image)
        share = sum(self.reach.scale ** (2 * run) for run in range(runs))
        for run in range(runs):
            whole = tuple(side * self.reach.scale for side in pixels.shape[:2])
            last = run == runs - 1 and whole == size
            options = {
                "tile": tile,
                "overlap_px": overlap_px,
                "out": out if last else self._room,
                "report": report and (lambda done: report(done / share)),
            }
            result = (self._again if run else self._network)(pixels, **options)
            made = made or (result if hasattr(result, "pixels") else None)
            pixels = getattr(result, "pixels", result)
        if pixels is not out:
            imresize_to(out, pixels.astype(out.dtype, copy=False))
            if not runs and report:
                report(image.shape[0] * image.shape[1])
        return made.with_pixels(out) if made else out


def _array(out, shape, dtype):
    """The array to write to: given, made by a function, or new."""
    out = out(shape, dtype) if callable(out) else out
    if out is None:
        return np.empty(shape, dtype)
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must be {shape} {dtype}, got {out.shape} {out.dtype}")
    return out
