"""Masks that blend what was found into a picture: a box, padded and blurred.

The box is convolved with a normalised Gaussian as wide as it is, in each direction, so that the
edge of a large face is as soft, in proportion, as that of a small one.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from infer import tiles
from infer.detect import LEAST_CONFIDENCE, PADDING

SOFTNESS = 0.1
"""σ of the mask's Gaussian, as a share of the box's width and height."""

LEAST_PX = 40
"""Boxes with a shorter side are left alone. Measured on 100 faces (docs/faces.md): from 40 px on
the bundled network for faces is nearer to the truth than the general one by PSNR and by likeness,
with 28 px by PSNR only, and to find those takes twice the time."""

_CUT_SIGMAS = 3  # where the Gaussian ends, in σ; with PADDING, M is 1 on all of the found box
_COLOUR_SIGMA = 0.15  # of the low frequencies that --match-colour takes, as a share of the box


@dataclass(frozen=True)
class MaskOptions:
    """How detections become masks.

    Attributes:
        least_confidence, least_px: Detections below are dropped; px of the enlarged picture.
        padding: Share of a box's width and height added on each side.
        softness: σ of the mask's Gaussian as a share of width and height.
        match_colour: Take low frequencies from the general result: against visible patches.
        chosen: Numbers of those to use, from left to right from 0; None: all.

    Raises:
        ValueError: A number is not in its range.
    """

    least_confidence: float = LEAST_CONFIDENCE
    least_px: float = LEAST_PX
    padding: float = PADDING
    softness: float = SOFTNESS
    match_colour: bool = False
    chosen: tuple[int, ...] | None = None

    def __post_init__(self):
        if not 0 <= self.least_confidence <= 1:
            raise ValueError(f"least_confidence must be in 0..1, got {self.least_confidence}")
        for name in ("least_px", "padding", "softness"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


class Mask:
    """The soft mask of one detection.

    Args:
        box: What was found, px of the enlarged picture.
        height, width: Of that picture.
        options: `MaskOptions`.
    """

    def __init__(self, box, height, width, options):
        grown = box.padded(options.padding, height, width)
        sigmas = (options.softness * box.height, options.softness * box.width)
        self._rows = _profile(grown.top, grown.height, height, sigmas[0])
        self._columns = _profile(grown.left, grown.width, width, sigmas[1])
        (y0, y1), (x0, x1) = (_ends(profile) for profile in (self._rows, self._columns))
        self.support = tiles.Window(y0, y1, x0, x1)
        """Where the weights are above 0."""
        self.colour_sigma = (_COLOUR_SIGMA * box.width, _COLOUR_SIGMA * box.height)
        """σ in px, along x and y, of the blur that tells a face's colour from its features."""

    def weights(self):
        """Weights inside the support, (h, w) float32 in 0..1."""
        box = self.support
        return np.outer(self._rows[box.y0 : box.y1], self._columns[box.x0 : box.x1])


class TurnedMask:
    """The soft mask of a box of any direction, as lines of text have.

    Padding and softness are shares of the box's shorter side. Args and attributes as `Mask`.
    """

    def __init__(self, box, height, width, options):
        shorter = min(box.width, box.height)
        self._box, self._sigma = box, options.softness * shorter
        self._sides = [n + 2 * options.padding * shorter for n in (box.width, box.height)]
        reach = np.array(self._sides) / 2 + _CUT_SIGMAS * self._sigma
        turn = np.deg2rad(box.angle_deg)
        self._along = np.array([np.cos(turn), np.sin(turn)])  # of the box's width: x, y
        self._middle = np.array([box.left + box.width / 2, box.top + box.height / 2])
        far = np.abs(self._along) @ reach, np.abs(self._along) @ reach[::-1]
        ends = [
            (max(0, int(np.floor(middle - n))), min(size, int(np.ceil(middle + n))))
            for middle, n, size in zip(self._middle, far, (width, height), strict=True)
        ]
        (x0, x1), (y0, y1) = ((start, max(start, end)) for start, end in ends)
        self.support = tiles.Window(y0, y1, x0, x1)
        self.colour_sigma = (_COLOUR_SIGMA * shorter,) * 2

    def weights(self):
        """Weights inside the support, (h, w) float32 in 0..1."""
        box = self.support
        y, x = np.mgrid[box.y0 : box.y1, box.x0 : box.x1].astype(np.float32) + 0.5
        x, y = x - self._middle[0], y - self._middle[1]
        along, across = (
            x * self._along[0] + y * self._along[1],
            y * self._along[0] - x * self._along[1],
        )
        return self._side(along, self._sides[0]) * self._side(across, self._sides[1])

    def _side(self, place, length):
        """1 within a length about 0 and 0 outside, convolved with the Gaussian, cut as `Mask`'s."""
        if not self._sigma:
            return (np.abs(place) < length / 2).astype(np.float32)
        rest = ndtr(-_CUT_SIGMAS)
        steps = (ndtr((place + s * length / 2) / self._sigma) for s in (1, -1))
        rise, fall = (np.clip((step - rest) / (1 - 2 * rest), 0, 1) for step in steps)
        return (rise - fall).astype(np.float32)


def box_mask(box, height, width, options):
    """The mask of a box of any direction; args as `Mask`."""
    if box.angle_deg % 90:
        return TurnedMask(box, height, width, options)
    return Mask(box.upright(), height, width, options)


def _profile(start, length, size, sigma):
    """One side of a box, 1 inside and 0 outside, convolved with a normalised Gaussian.

    Beyond the picture it is taken to be as at the border, so that a face which the border cuts does
    not fade there.
    """
    pixels = np.arange(size)
    inside = ((pixels > start - 1) & (pixels < start + length)).astype(np.float64)
    radius = int(_CUT_SIGMAS * sigma)
    if not radius:
        return inside.astype(np.float32)
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    spread = np.convolve(np.pad(inside, radius, "edge"), kernel / kernel.sum(), "valid")
    return np.clip(spread, 0, 1).astype(np.float32)


def _ends(profile):
    positive = np.flatnonzero(profile)
    return (int(positive[0]), int(positive[-1]) + 1) if len(positive) else (0, 0)
