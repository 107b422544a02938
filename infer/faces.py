"""Two networks on one picture: a general one, and one that knows faces where faces are.

The general result is searched for faces. Around each the specialist's result is mixed in with a
soft mask M: M · specialist + (1 - M) · general. M is the padded box convolved with a normalised
Gaussian as wide as the box is, in each direction, so that the edge of a large face is as soft, in
proportion, as that of a small one. Nothing here is about faces only: any network and detector can
be a pair.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from data.pictures.read import rgb8
from data.resize import imresize_to
from infer import detect, tiles
from infer.detect import Detection, find
from infer.face_masks import Mask, MaskOptions
from infer.upscaler import Upscaler

_ROWS = 256


@dataclass(frozen=True)
class Specialist:
    """A network for what a detector finds.

    Attributes:
        network: `Upscaler` of the general one's scale.
        detect: Function from (H, W, 3) uint8 RGB to a list of `infer.detect.Detection`.
    """

    network: Upscaler
    detect: Callable[[np.ndarray], Sequence[Detection]]


@dataclass(frozen=True)
class Fused:
    """What a `Fusion` makes of one picture.

    Attributes:
        pixels: The enlarged picture.
        found: `Detection`s, px of the enlarged picture; all specialists' in a row.
        masks: Of those that were used.
        masked_px: Height and width of the picture that `masks` belong to; None: of `pixels`.
    """

    pixels: np.ndarray
    found: list[Detection]
    masks: list[Mask]
    masked_px: tuple[int, int] | None = None

    @functools.cached_property
    def mask(self):
        """Total weight of the specialists, (H, W) float32 in 0..1."""
        total = np.zeros(self.masked_px or self.pixels.shape[:2], np.float32)
        for mask in self.masks:
            there = total[mask.support.y0 : mask.support.y1, mask.support.x0 : mask.support.x1]
            there[...] = 1 - (1 - there) * (1 - mask.weights())
        if total.shape == self.pixels.shape[:2]:
            return total
        out = np.empty(self.pixels.shape[:2], np.float32)
        imresize_to(out, total)
        return np.clip(out, 0, 1, out=out)

    def with_pixels(self, pixels):
        """The same of another size, to which the picture was enlarged or reduced afterwards."""
        down, across = (pixels.shape[axis] / self.pixels.shape[axis] for axis in (0, 1))
        found = [
            replace(
                box,
                left=box.left * across,
                top=box.top * down,
                width=box.width * across,
                height=box.height * down,
            )
            for box in self.found
        ]
        return Fused(pixels, found, self.masks, self.masked_px or self.pixels.shape[:2])


class Fusion:
    """A general network with its specialists, made ready for many pictures.

    A picture in which nothing is found, and every pixel outside the masks, is exactly the general
    network's.

    Args:
        general: `Upscaler` of the general network.
        specialists: `Specialist`s; where masks overlap, later ones lie on top.
        options: How detections become masks.

    Raises:
        ValueError: A specialist has another scale than the general network.
    """

    def __init__(self, general, specialists, options=None):
        self._general, self.reach = general, general.reach
        self._specialists = specialists
        self._options = options or MaskOptions()
        for specialist in specialists:
            if specialist.network.reach.scale != self.reach.scale:
                raise ValueError(
                    f"both networks must have one scale, got ×{self.reach.scale} (general) and "
                    f"×{specialist.network.reach.scale} (face)"
                )

    def __call__(self, image, **options):
        """Enlarge a picture.

        Args:
            image: The picture.
            **options: As of `Upscaler`: tile, overlap_px, out and report.

        Returns:
            `Fused`.

        Raises:
            ValueError: `MaskOptions.chosen` names a detection there is not.
        """
        out = self._general(image, **options)
        tiling = {name: options.get(name) for name in ("tile", "overlap_px")}
        searched, used = _rgb8(out), []
        limits = {
            "least_confidence": self._options.least_confidence,
            "least_px": self._options.least_px,
        }
        found = [find(s.detect, searched, **limits) for s in self._specialists]
        for specialist, boxes in zip(self._specialists, self._only_chosen(found), strict=True):
            masks = [Mask(box, *out.shape[:2], self._options) for box in boxes]
            used += masks
            for window, inside in _windows(masks, image.shape[:2], specialist.network.reach):
                pixels = image[window.y0 : window.y1, window.x0 : window.x1]
                special = specialist.network(pixels, **tiling)
                for mask in inside:
                    self._mix(out, special, window, mask)
        return Fused(out, [box for boxes in found for box in boxes], used)

    def _only_chosen(self, found):
        """The detections whose number, counted over all specialists, is chosen."""
        chosen, count = self._options.chosen, sum(len(boxes) for boxes in found)
        if chosen is None:
            return found
        missing = [number for number in chosen if not 0 <= number < count]
        if missing:
            there = f"0 to {count - 1}" if count else "none"
            raise ValueError(f"there is no face {missing[0]}; found were {there}")
        numbers = iter(range(count))
        return [[box for box in boxes if next(numbers) in chosen] for boxes in found]

    def _mix(self, out, special, window, mask):
        """Mix one face into the result, in place."""
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
    return tiles.Window(*ends)


def _around(a, b):
    return tiles.Window(min(a.y0, b.y0), max(a.y1, b.y1), min(a.x0, b.x0), max(a.x1, b.x1))


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


def described(boxes):
    """What was found, as lines for people."""
    if not boxes:
        return "no face found, so the result is the general network's"
    lines = [
        f"  {number}: {box.width:.0f} × {box.height:.0f} px at ({box.left:.0f}, {box.top:.0f}), "
        f"confidence {box.confidence:.3f}"
        for number, box in enumerate(boxes)
    ]
    return "\n".join([f"{len(boxes)} face{'s' if len(boxes) > 1 else ''} found", *lines])


def fuse(general, face):
    """Function of an LR batch of one picture to the SR batch that two networks make together."""
    specialist = Specialist(Upscaler(face), detect.confirmed(detect.Mtcnn()))
    fusion = Fusion(Upscaler(general), [specialist])
    return lambda lr: fusion(lr[0].numpy()).pixels[None]
