"""Two networks on one picture: a general one, and one that knows faces where faces are.

The general result is searched for faces. Around each the specialist's result is mixed in with a
soft mask M: M · specialist + (1 - M) · general. M is the padded box convolved with a normalised
Gaussian as wide as the box is, in each direction, so that the edge of a large face is as soft, in
proportion, as that of a small one. Nothing here is about faces only: any network and detector can
be a pair.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from data.pictures.read import rgb8
from infer import tiles
from infer.detect import LEAST_CONFIDENCE, LEAST_PX, PADDING, Box, find, padded
from infer.upscale import Upscaler

SOFTNESS = 0.1
"""σ of the mask's Gaussian, as a share of the box's width and height."""

_CUT_SIGMAS = 3  # where the Gaussian ends, in σ; with PADDING, M is 1 on all of the found box
_SAME = 0.4  # shared over covered area, from which two boxes are of one face
_OTHER_SIZE = 1.15  # of a second look; the sizes of MTCNN's own pyramid are 1.41 apart
_LARGEST_COPY = 1e7  # pixels for it: 30 MB
_ROWS = 256
_COLOUR_SIGMA = 0.15  # of the low frequencies that --match-colour takes, as a share of the box


def confirmed(detect):
    """Make a detector that looks twice: what it finds must be there in another size, too.

    The lower confidence counts. MTCNN took a drawn face (in tests/test_detect.py) for a real one in
    9 of 100 sizes with 0.9 or more, and never so twice; it lost none of 45 faces in photographs.
    """

    def look_twice(picture):
        first = detect(picture)
        second = list(_finds_in_another_size(detect, picture)) if first else []
        pairs = ((a, [b.confidence for b in second if _overlap(a, b) > _SAME]) for a in first)
        return [replace(a, confidence=min(a.confidence, max(c))) for a, c in pairs if c]

    return look_twice


def _finds_in_another_size(detect, picture):
    """Look in a copy that is a little larger, or, of a large picture, smaller."""
    area = picture.shape[0] * picture.shape[1]
    enlarge = area * _OTHER_SIZE**2 <= _LARGEST_COPY
    factor = _OTHER_SIZE if enlarge else min(1, math.sqrt(_LARGEST_COPY / area)) / _OTHER_SIZE
    for box in detect(cv2.resize(picture, None, fx=factor, fy=factor)):
        sides = (n / factor for n in (box.left, box.top, box.width, box.height))
        yield Box(*sides, box.confidence)


def _overlap(a, b):
    """Area that two boxes share, over the area that they cover."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    shared = max(0, width) * max(0, height)
    return shared / (a.width * a.height + b.width * b.height - shared)


@dataclass(frozen=True)
class Specialist:
    """A network for what a detector finds.

    Attributes:
        network: `Upscaler` of the general one's scale.
        detect: Function from (H, W, 3) uint8 RGB to a list of `infer.detect.Box`.
    """

    network: Upscaler
    detect: Callable[[np.ndarray], Sequence[Box]]


@dataclass(frozen=True)
class MaskOptions:
    """How finds become masks.

    Attributes:
        least_confidence, least_px: Finds below are dropped; px of the enlarged picture.
        padding: Share of a box's width and height added on each side.
        softness: σ of the mask's Gaussian as a share of width and height.
        match_colour: Take low frequencies from the general result: against visible patches.
        chosen: Numbers of the finds to use, from left to right from 0; None: all.

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


class Fusion:
    """A general network with its specialists, made ready for many pictures.

    Runs like an `infer.upscale.Upscaler`. A picture in which nothing is found, and every pixel
    outside the masks, is exactly the general network's.

    Args:
        general: `Upscaler` of the general network.
        specialists: `Specialist`s; where masks overlap, later ones lie on top.
        options: How finds become masks.

    Attributes:
        found: Boxes found in the last picture, px of the enlarged one; all specialists' in a row.

    Raises:
        ValueError: A specialist has another scale than the general network.
    """

    def __init__(self, general, specialists, options=None):
        self._general, self.reach = general, general.reach
        self._specialists = specialists
        self._options = options or MaskOptions()
        self.found, self._masks, self._size = [], [], (0, 0)
        for specialist in specialists:
            if specialist.network.reach.scale != self.reach.scale:
                raise ValueError(
                    f"both networks must have one scale, got ×{self.reach.scale} (general) and "
                    f"×{specialist.network.reach.scale} (face)"
                )

    @property
    def mask(self):
        """Total weight of the specialists in the last picture, (H, W) float32 in 0..1."""
        total = np.zeros(self._size, np.float32)
        for mask in self._masks:
            there = total[mask.support.y0 : mask.support.y1, mask.support.x0 : mask.support.x1]
            there[...] = 1 - (1 - there) * (1 - mask.weights())
        return total

    def result(self, image):
        """Return shape and type of what `image` becomes."""
        return self._general.result(image)

    def __call__(self, image, *, tile=None, overlap_px=None, out=None, report=None):
        """Enlarge a picture; arguments as of `Upscaler`.

        Raises:
            ValueError: `MaskOptions.chosen` names a find there is not.
        """
        out = self._general(image, tile=tile, overlap_px=overlap_px, out=out, report=report)
        searched = _rgb8(out)
        self._masks, self._size = [], out.shape[:2]
        limits = {
            "least_confidence": self._options.least_confidence,
            "least_px": self._options.least_px,
        }
        found = [find(s.detect, searched, **limits) for s in self._specialists]
        self.found = [box for boxes in found for box in boxes]
        for specialist, boxes in zip(self._specialists, self._only_chosen(found), strict=True):
            masks = [Mask(box, *out.shape[:2], self._options) for box in boxes]
            self._masks += masks
            for window, inside in _windows(masks, image.shape[:2], specialist.network.reach):
                pixels = image[window.y0 : window.y1, window.x0 : window.x1]
                special = specialist.network(pixels, tile=tile, overlap_px=overlap_px)
                for mask in inside:
                    self._mix(out, special, window, mask)
        return out

    def _only_chosen(self, found):
        """The finds whose number, counted over all specialists, is chosen."""
        chosen, count = self._options.chosen, len(self.found)
        if chosen is None:
            return found
        missing = [number for number in chosen if not 0 <= number < count]
        if missing:
            there = f"0 to {count - 1}" if count else "none"
            raise ValueError(f"there is no face {missing[0]}; found were {there}")
        numbers = iter(range(count))
        return [[box for box in boxes if next(numbers) in chosen] for boxes in found]

    def _mix(self, out, special, window, mask):
        """Mix one find into the result, in place."""
        scale, box = self.reach.scale, mask.support
        there = (slice(box.y0, box.y1), slice(box.x0, box.x1))
        y, x = box.y0 - window.y0 * scale, box.x0 - window.x0 * scale
        colours = 1 if out.ndim == 2 else out.shape[2] - (out.shape[2] in (2, 4))
        target = (out[..., None] if out.ndim == 2 else out)[there][..., :colours]
        face = special[y : y + box.y1 - box.y0, x : x + box.x1 - box.x0]
        face = face.reshape(*face.shape[:2], -1)[..., :colours].astype(np.float32)
        general, weight = target.astype(np.float32), mask.weights()
        if self._options.match_colour:
            face = _with_colours_of(general, face, mask.colour_sigma)
        mixed = general + weight[..., None] * (face - general)
        target[...] = _rounded(mixed, out.dtype)


class Mask:
    """The soft mask of one find.

    Args:
        box: What was found, px of the enlarged picture.
        height, width: Of that picture.
        options: `MaskOptions`.
    """

    def __init__(self, box, height, width, options):
        grown = padded(box, height, width, options.padding)
        sigmas = (options.softness * box.height, options.softness * box.width)
        self._rows = _profile(grown.top, grown.height, height, sigmas[0])
        self._columns = _profile(grown.left, grown.width, width, sigmas[1])
        (y0, y1), (x0, x1) = (_ends(profile) for profile in (self._rows, self._columns))
        self.support = tiles.Box(y0, y1, x0, x1)
        """Where the weights are above 0."""
        self.colour_sigma = (_COLOUR_SIGMA * box.width, _COLOUR_SIGMA * box.height)
        """σ in px, along x and y, of the blur that tells a face's colour from its features."""

    def weights(self):
        """Weights inside the support, (h, w) float32 in 0..1."""
        box = self.support
        return np.outer(self._rows[box.y0 : box.y1], self._columns[box.x0 : box.x1])


def _profile(start, length, size, sigma):
    """One side of a box, 1 inside and 0 outside, convolved with a normalised Gaussian.

    Beyond the picture it goes on as at the border: a face that the border cuts is not faded there.
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


def _windows(masks, size, reach):
    """Pairs (window, its masks): what a network must read to give the masks' supports exactly.

    Windows are joined where one run on both is no more work than two.

    Args:
        masks: `Mask`s.
        size: Height and width of the picture.
        reach: Of the network.
    """
    radius = tiles.GLOBAL_OVERLAP_PX if reach.radius_px is None else reach.radius_px
    margin, step = max(radius, tiles.LEAST_RADIUS_PX), reach.multiple
    if reach.radius_px is None:
        step = math.lcm(step, tiles.GLOBAL_OVERLAP_PX)
    joined = []
    for mask in masks:
        window, inside = _read_for(mask.support, size, reach.scale, margin, step), [mask]
        for other in [j for j in joined if _area(_around(window, j[0])) <= _area(window, j[0])]:
            joined.remove(other)
            window, inside = _around(window, other[0]), other[1] + inside
        joined.append((window, inside))
    return joined


def _read_for(support, size, scale, margin, step):
    """Pixels of the picture within `margin` of what a support comes from, out to the next step."""
    ends = []
    for start, end, length in (
        (support.y0, support.y1, size[0]),
        (support.x0, support.x1, size[1]),
    ):
        first, last = start // scale - margin, -(-end // scale) + margin
        ends += [max(0, first // step * step), min(length, -(-last // step) * step)]
    return tiles.Box(*ends)


def _around(a, b):
    return tiles.Box(min(a.y0, b.y0), max(a.y1, b.y1), min(a.x0, b.x0), max(a.x1, b.x1))


def _area(*boxes):
    return sum((box.y1 - box.y0) * (box.x1 - box.x0) for box in boxes)


def _with_colours_of(general, face, sigma):
    """The face's high frequencies on the general result's low ones."""
    blurred = (
        cv2.GaussianBlur(picture, (0, 0), *sigma, borderType=cv2.BORDER_REFLECT_101)
        for picture in (general, face)
    )
    general_low, face_low = (blur.reshape(face.shape) for blur in blurred)  # OpenCV drops one axis
    return face - face_low + general_low


def _rgb8(picture):
    """`rgb8`, a few rows at a time: a large picture of another type would need several times it."""
    if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
        return picture
    whole = np.empty((*picture.shape[:2], 3), np.uint8)
    for start in range(0, len(whole), _ROWS):
        whole[start : start + _ROWS] = rgb8(picture[start : start + _ROWS])
    return whole


def _rounded(block, dtype):
    if dtype in (np.uint8, np.uint16):
        return np.rint(np.clip(block, 0, np.iinfo(dtype).max)).astype(dtype)
    return np.clip(block, 0, 255)
