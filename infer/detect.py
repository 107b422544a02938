"""Find faces in a picture, and make boxes of them that a second network can work in.

A detector is any function from a picture, (H, W, 3) uint8 RGB, to a list of `Detection`. `Mtcnn`
is one; another, or one for things other than faces, can be given wherever one is asked for.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

LEAST_CONFIDENCE = 0.9
"""Boxes below this are dropped: MTCNN's false hits on two crowds and on dogs have less."""

LEAST_PX = 32
"""Boxes with a shorter side are dropped: at ×4 such a face has 8 px in the small picture."""

PADDING = 0.3
"""Of a box's width and height, added on each side: MTCNN's boxes end at brow and chin."""

_MTCNN_PX = 20  # the shortest face it looks for; its own option for that finds nothing at 32
_LARGEST_SEARCH = 4e6  # pixels; above it a search would take minutes and gigabytes


@dataclass(frozen=True)
class Detection:
    """Where something was found, in px of the picture searched.

    Attributes:
        left, top: Of the corner.
        width, height: Above 0.
        confidence: 0..1.
        angle_deg: The box is turned by so much about its middle, clockwise as seen.
        label: What it is.
    """

    left: float
    top: float
    width: float
    height: float
    confidence: float = 1.0
    angle_deg: float = 0.0
    label: str = ""

    def padded(self, share, height, width):
        """Grow on each side by a share of width and height; clip to a picture of a size."""
        dx, dy = share * self.width, share * self.height
        grown = replace(
            self,
            left=self.left - dx,
            top=self.top - dy,
            width=self.width + 2 * dx,
            height=self.height + 2 * dy,
        )
        return grown.clipped(height, width)

    def clipped(self, height, width):
        """Return the part inside a picture of a size; its sides are 0 if there is none.

        A turned box is not cut, for a part of it is no box.
        """
        box = self.upright()
        left, top = max(0.0, box.left), max(0.0, box.top)
        right, bottom = min(width, box.left + box.width), min(height, box.top + box.height)
        sides = (max(0.0, right - left), max(0.0, bottom - top))
        if self.angle_deg and min(sides):
            return self
        return replace(box, left=left, top=top, width=sides[0], height=sides[1])

    def corners(self):
        """Corners, (4, 2): x and y in px, clockwise from the upper left one of the text or face."""
        turn = cv2.getRotationMatrix2D((0, 0), -self.angle_deg, 1)[:, :2]
        half = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (self.width / 2, self.height / 2)
        middle = (self.left + self.width / 2, self.top + self.height / 2)
        return middle + half @ turn.T

    def upright(self):
        """The box that is not turned and holds this one."""
        if not self.angle_deg:
            return self
        (left, top), (right, bottom) = self.corners().min(axis=0), self.corners().max(axis=0)
        sides = {"left": left, "top": top, "width": right - left, "height": bottom - top}
        return replace(self, **{n: float(v) for n, v in sides.items()}, angle_deg=0.0)


class Mtcnn:
    """The detector of the package mtcnn; its weights come with it. Reference: arXiv:1604.02878.

    Args:
        least_px: Shorter faces are not looked for.
    """

    def __init__(self, least_px=LEAST_PX):
        from mtcnn import MTCNN  # late: it builds its networks when imported

        self._detect, self._least_px = MTCNN().detect_faces, least_px

    def __call__(self, picture):
        """Return the boxes of the faces in (H, W, 3) uint8, in no order."""
        shrink = _MTCNN_PX / max(self._least_px, _MTCNN_PX)
        shrink = min(shrink, math.sqrt(_LARGEST_SEARCH / (picture.shape[0] * picture.shape[1])))
        if shrink < 1:
            picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        found = self._detect(np.ascontiguousarray(picture))
        return [
            Detection(*(float(side) / shrink for side in face["box"]), float(face["confidence"]))
            for face in found
        ]


_FAULTS = (  # of a user's detector: without them a folder of pictures would end at the first
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    cv2.error,
)


def find(
    detector, picture, *, least_confidence=LEAST_CONFIDENCE, least_px=LEAST_PX, name="detector"
):
    """Run a detector; drop what is unlikely, small or outside, and order the rest.

    Args:
        detector: Function of the picture that gives `Detection`s, or (left, top, width, height) or
            (left, top, width, height, confidence).
        picture: (H, W, 3) uint8 RGB.
        least_confidence: Boxes below are dropped.
        least_px: Boxes whose shorter side is below are dropped.
        name: Of the detector, in messages.

    Returns:
        Boxes clipped to the picture, from left to right.

    Raises:
        ValueError: The detector fails, or gives what is no box.
    """
    height, width = picture.shape[:2]
    try:
        given = list(detector(picture))
    except _FAULTS as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{name}: the detector failed on {width} × {height} px: {what}") from error
    clipped = (_checked(box, name).clipped(height, width) for box in given)
    kept = [
        box
        for box in clipped
        if box.confidence >= least_confidence and min(box.width, box.height) >= max(least_px, 1)
    ]
    return sorted(kept, key=lambda box: (box.left, box.top))


def _checked(box, name):
    """A detector's box as a `Detection`."""
    try:
        box = box if isinstance(box, Detection) else Detection(*map(float, box))
        numbers = [box.left, box.top, box.width, box.height, box.confidence, box.angle_deg]
        usable = np.isfinite(numbers).all()
    except (TypeError, ValueError):
        usable = False
    if not usable:
        raise ValueError(
            f"{name}: a detector must give Detection, or left, top, width and height with or "
            f"without confidence, all finite; got {box}"
        )
    return box


_SAME = 0.4  # shared over covered area, from which two boxes are of one face
_OTHER = 0.2  # up to which they are of two
_OTHER_SIZE = 1.15  # of a second look; the sizes of MTCNN's own pyramid are 1.41 apart
_LARGEST_COPY = 1e7  # pixels for it: 30 MB


def confirmed(detect):
    """Make a detector that looks twice: what it finds must be there in another size, too.

    The lower confidence counts. MTCNN took a drawn face (in tests/test_detect.py) for a real one in
    9 of 100 sizes with 0.9 or more, and never so twice; it lost none of 45 faces in photographs.
    """

    def look_twice(picture):
        first = detect(picture)
        second = list(_detections_in_another_size(detect, picture)) if first else []
        pairs = ((a, [b.confidence for b in second if _overlap(a, b) > _SAME]) for a in first)
        return [replace(a, confidence=min(a.confidence, max(c))) for a, c in pairs if c]

    return look_twice


def turned(detect, *, always=False, least_confidence=LEAST_CONFIDENCE):
    """Make a detector that looks for what lies on its side or upside down, too.

    A quarter of a turn from one look to the next is enough for MTCNN, which finds faces that are
    turned by up to 45°. Each look takes as long as the upright one.

    Args:
        detect: Detector of what is upright.
        always: False: only in pictures in which nothing is found upright.
        least_confidence: Boxes below are not taken for found.

    Returns:
        A detector. What it finds in turned copies has an `angle_deg` of 90, 180 or -90; of boxes
        that overlap it gives the likeliest.
    """

    def look_around(picture):
        found = list(detect(picture))
        if not always and any(box.confidence >= least_confidence for box in found):
            return found
        for quarters in (1, 2, 3):
            copy = np.ascontiguousarray(np.rot90(picture, quarters))
            found += [_turned_back(box, quarters, *picture.shape[:2]) for box in detect(copy)]
        kept = []
        for box in sorted(found, key=lambda box: -box.confidence):
            if all(_overlap(box.upright(), other.upright()) <= _OTHER for other in kept):
                kept.append(box)
        return kept

    return look_around


def _turned_back(box, quarters, height, width):
    """The box in the picture, of one found in a copy that was turned back by so many quarters."""
    x, y = box.left + box.width / 2, box.top + box.height / 2
    x, y = {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[quarters]
    angle_deg = {1: 90.0, 2: 180.0, 3: -90.0}[quarters]
    return replace(box, left=x - box.width / 2, top=y - box.height / 2, angle_deg=angle_deg)


def _detections_in_another_size(detect, picture):
    """Look in a copy that is a little larger, or, of a large picture, smaller."""
    area = picture.shape[0] * picture.shape[1]
    enlarge = area * _OTHER_SIZE**2 <= _LARGEST_COPY
    factor = _OTHER_SIZE if enlarge else min(1, math.sqrt(_LARGEST_COPY / area)) / _OTHER_SIZE
    for box in detect(cv2.resize(picture, None, fx=factor, fy=factor)):
        sides = (n / factor for n in (box.left, box.top, box.width, box.height))
        yield Detection(*sides, box.confidence)


def _overlap(a, b):
    """Area that two boxes share, over the area that they cover."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    shared = max(0, width) * max(0, height)
    return shared / (a.width * a.height + b.width * b.height - shared)
