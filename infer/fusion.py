"""A general network on a whole picture, and specialists on what they know: faces, text, …

Each specialist's detector searches the general result, or that of its own network. Around each
detection the specialist's result is mixed in with a soft mask M: M · specialist + (1 - M) ·
general. Nothing here is about faces: any detector and network can be a pair.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from data.pictures.read import rgb8
from data.resize import imresize_to
from infer.detect import Detection, find
from infer.fusion_masks import Mask, MaskOptions, box_mask
from infer.fusion_windows import windows
from infer.upscaler import Upscaler

_ROWS = 256


@dataclass(frozen=True)
class Specialist:
    """A network for what a detector finds.

    Attributes:
        network: `Upscaler` of the general one's scale.
        detect: Function from (H, W, 3) uint8 RGB to a sequence of `infer.detect.Detection`, or of
            (left, top, width, height) or (left, top, width, height, confidence) in px.
        name: What it finds, in messages.
        mask: Function of a detection, height and width of the enlarged picture and options to a
            mask with the attributes of `infer.fusion_masks.Mask`.
        options: `MaskOptions` of its own; None: those of the `Fusion`.
        in_own: Whether the detector looks at what `network` makes of the picture, not at the
            general result: for what the general network draws so badly that it cannot be found.
        judge: None, or function of a detection before and after: (h, w, 3) uint8 of the picture,
            and (s·h, s·w, 3) of the result, to a number that should be large, such as the likeness
            of a face.
        least: Below this, `gentler` networks are tried.
        gentler: `Upscaler`s in place of `network`, one after the other, until `least` is reached.
    """

    network: Upscaler
    detect: Callable[[np.ndarray], Sequence[Detection]]
    name: str = "face"
    mask: Callable = box_mask
    options: MaskOptions | None = None
    in_own: bool = False
    judge: Callable | None = None
    least: float = 0.0
    gentler: Sequence[Upscaler] = ()


@dataclass(frozen=True)
class Fused:
    """What a `Fusion` makes of one picture.

    Attributes:
        pixels: The enlarged picture.
        found: `Detection`s, px of the enlarged picture; all specialists' in a row.
        masks: Of those that were used.
        left: Detections that are too small for their specialist: left to the general network.
        names: Of the specialists.
        masked_px: Height and width of the picture that `masks` belong to; None: of `pixels`.
        judged: Number in `found` → (what `Specialist.judge` says of it, how many steps gentler the
            network is that was taken, whether `Specialist.least` is reached).
    """

    pixels: np.ndarray
    found: list[Detection]
    masks: list[Mask]
    left: list[Detection]
    judged: dict[int, tuple[float, int, bool]]
    names: tuple[str, ...] = ()
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
        found, left = (
            [
                replace(
                    box,
                    left=box.left * across,
                    top=box.top * down,
                    width=box.width * across,
                    height=box.height * down,
                )
                for box in boxes
            ]
            for boxes in (self.found, self.left)
        )
        masked_px = self.masked_px or self.pixels.shape[:2]
        return replace(self, pixels=pixels, found=found, left=left, masked_px=masked_px)


class Fusion:
    """A general network with its specialists, made ready for many pictures.

    A picture in which nothing is found, and every pixel outside the masks, is exactly the general
    network's.

    Args:
        general: `Upscaler` of the general network.
        specialists: `Specialist`s; where masks overlap, later ones lie on top.
        options: How detections become masks, for specialists without options of their own; its
            `chosen` counts the detections of all.

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
                    f"×{specialist.network.reach.scale} ({specialist.name})"
                )

    def __call__(self, image, **options):
        """Enlarge a picture.

        Args:
            image: The picture.
            **options: As of `Upscaler`: tile, overlap_px, out and report.

        Returns:
            `Fused`.

        Raises:
            ValueError: `MaskOptions.chosen` names a detection there is not, or a detector fails or
                gives what is no box.
        """
        out = self._general(image, **options)
        tiling = {name: options.get(name) for name in ("tile", "overlap_px")}
        fused = Fused(out, [], [], [], {}, tuple(s.name for s in self._specialists))
        result = functools.cache(lambda: _rgb8(out))
        sorted_by = [
            self._found(s, _rgb8(s.network(image, **tiling)) if s.in_own else result())
            for s in self._specialists
        ]
        self._check_chosen([box for large, _ in sorted_by for box in large])
        for specialist, (large, small) in zip(self._specialists, sorted_by, strict=True):
            self._use(specialist, large, fused, image, tiling)
            fused.left.extend(small)
        return fused

    def _options_of(self, specialist):
        return specialist.options or self._options

    def _found(self, specialist, searched):
        """What a specialist's detector finds, large enough and too small."""
        options = self._options_of(specialist)
        found = find(
            specialist.detect,
            searched,
            least_confidence=options.least_confidence,
            least_px=0,
            name=specialist.name,
        )
        named = [replace(box, label=specialist.name) for box in found]
        large = [box for box in named if min(box.width, box.height) >= options.least_px]
        return large, [box for box in named if box not in large]

    def _check_chosen(self, found):
        missing = [n for n in self._options.chosen or () if not 0 <= n < len(found)]
        if missing:
            what = self._specialists[0].name if len(self._specialists) == 1 else "detection"
            there = f"0 to {len(found) - 1}" if found else "none"
            raise ValueError(f"there is no {what} {missing[0]}; found were {there}")

    def _use(self, specialist, boxes, fused, image, tiling):
        """Mix one specialist's detections into the result."""
        options, out, chosen = self._options_of(specialist), fused.pixels, self._options.chosen
        numbers = range(len(fused.found), len(fused.found) + len(boxes))
        fused.found.extend(boxes)
        masks = {
            specialist.mask(box, *out.shape[:2], options): (number, box)
            for number, box in zip(numbers, boxes, strict=True)
            if chosen is None or number in chosen
        }
        fused.masks.extend(masks)
        for window, inside in windows(masks, image.shape[:2], specialist.network.reach):
            pixels = image[window.y0 : window.y1, window.x0 : window.x1]
            run = functools.cache(functools.partial(_run, pixels, tiling))
            for mask in inside:
                number, box = masks[mask]
                judge = functools.partial(self._judged, specialist, box, image, out)
                judged = self._mix(specialist, mask, out, window, run, judge)
                if judged:
                    fused.judged[number] = judged

    def _mix(self, specialist, mask, out, window, run, judge):
        """Mix one detection into the result, in place; returns what `Fused.judged` keeps of it."""
        scale, box = self.reach.scale, mask.support
        there = (slice(box.y0, box.y1), slice(box.x0, box.x1))
        y, x = box.y0 - window.y0 * scale, box.x0 - window.x0 * scale
        general, match = out[there].copy(), self._options_of(specialist).match_colour
        for steps, network in enumerate((specialist.network, *specialist.gentler)):
            special = run(network)[y : y + box.y1 - box.y0, x : x + box.x1 - box.x0]
            out[there] = _mixed(general, special, mask, match)
            if specialist.judge is None:
                return None
            value = judge()
            if value >= specialist.least:
                return value, steps, True
        return value, steps, False

    def _judged(self, specialist, box, image, out):
        """What the specialist's judge says of a detection: from the picture, and as it is now."""
        scale, box = self.reach.scale, box.upright()
        ends = ((box.top, box.height), (box.left, box.width))
        small = [(max(0, int(start // scale)), -(-(start + n) // scale)) for start, n in ends]
        small = [slice(first, int(last)) for first, last in small]
        large = [slice(scale * part.start, scale * part.stop) for part in small]
        return specialist.judge(rgb8(image[tuple(small)]), rgb8(out[tuple(large)]))


def _run(pixels, tiling, network):
    return network(pixels, **tiling)


def _mixed(general, special, mask, match_colour):
    """Both results on a mask's support; grey, alpha and type as the general one's."""
    colours = 1 if general.ndim == 2 else general.shape[2] - (general.shape[2] in (2, 4))
    mixed = general[..., None] if general.ndim == 2 else general.copy()
    special = special.reshape(*special.shape[:2], -1)[..., :colours].astype(np.float32)
    plain = mixed[..., :colours].astype(np.float32)
    if match_colour:
        special = _with_colours_of(plain, special, mask.colour_sigma)
    blended = plain + mask.weights()[..., None] * (special - plain)
    mixed[..., :colours] = _rounded(blended, general.dtype)
    return mixed.reshape(general.shape)


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
