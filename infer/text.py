"""Text as a specialist of `infer.fusion`: lines of any direction, found and read by PP-OCRv4.

The detector and the recogniser are ONNX models that the package rapidocr-onnxruntime brings along
(extra ``text``). How well text is read is the measure of a network for it: `character_error_rate`.
"""

import cv2
import numpy as np

from infer.detect import Detection
from infer.fusion import Specialist
from infer.fusion_masks import MaskOptions, TurnedMask

MASKS = MaskOptions(least_confidence=0.4, least_px=12, padding=0.25, softness=0.08)
"""Lines lower than 12 px of the enlarged picture are left alone: at ×4 they had 3 px, and no
network knows what they say. Padding and softness are shares of a line's height."""

_LARGEST_SEARCH_PX = 2000  # longer side; above it a search would take minutes
_LEAST_READ_PX = 8  # sides of what is read


def specialist(network, options=MASKS):
    """Make a `Specialist` for text, which is looked for in what its own network makes.

    Args:
        network: `Upscaler` of a network for text.
        options: `MaskOptions`.

    Raises:
        ImportError: rapidocr-onnxruntime is missing.
    """
    return Specialist(network, Text().find, "text line", TurnedMask, options, in_own=True)


class Text:
    """Finds and reads lines of text in Latin letters and digits.

    Raises:
        ImportError: rapidocr-onnxruntime is missing.
    """

    def __init__(self):
        try:
            from rapidocr_onnxruntime import RapidOCR  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ImportError(
                "finding text needs rapidocr-onnxruntime: pip install 'whole-pictures[text]'"
            ) from error
        self._engine = RapidOCR(use_cls=False, max_side_len=_LARGEST_SEARCH_PX)

    def find(self, picture):
        """Return the lines of (H, W, 3) uint8 RGB, turned `Detection`s, in no order.

        The detector tells no confidence: each line is read, and the recogniser's is taken.
        """
        bgr = np.ascontiguousarray(picture[..., ::-1])
        found, _ = self._engine(bgr, use_cls=False, text_score=0)
        return [_detection(np.float64(corners), float(sure)) for corners, _, sure in found or ()]

    def read(self, picture, corners):
        """Return what a line says.

        Args:
            picture: (H, W, 3) uint8 RGB.
            corners: (4, 2), x and y in px, clockwise from its first letter's upper corner.
        """
        line = levelled(picture, corners)
        read, _ = self._engine(
            np.ascontiguousarray(line[..., ::-1]), use_det=False, use_cls=False, use_rec=True
        )
        return read[0][0] if read else ""


def levelled(picture, corners):
    """Cut a line out, (h, w, 3) uint8, its height and width that of the line.

    Args:
        picture, corners: As for `Text.read`.
    """
    corners = np.float32(corners)
    sides = [np.linalg.norm(corners[0] - corners[n]) for n in (1, 3)]
    width, height = (max(_LEAST_READ_PX, round(float(side))) for side in sides)
    flat = np.float32([(0, 0), (width, 0), (width, height), (0, height)])
    matrix = cv2.getPerspectiveTransform(corners, flat)
    return cv2.warpPerspective(
        picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def _detection(corners, confidence):
    """The box whose corners are nearest to four that may be no rectangle."""
    along, down = (
        (corners[1] + corners[2] - corners[0] - corners[3]) / 2,
        (corners[2] + corners[3] - corners[0] - corners[1]) / 2,
    )
    width, height = max(float(np.hypot(*along)), 1.0), max(float(np.hypot(*down)), 1.0)
    left, top = corners.mean(axis=0) - (width / 2, height / 2)
    angle_deg = float(np.degrees(np.arctan2(along[1], along[0])))
    return Detection(float(left), float(top), width, height, confidence, angle_deg)


def character_error_rate(true, read):
    """Edits that turn what was read into what is true, over the letters that are true.

    Args:
        true, read: Texts, or equally long sequences of them, whose edits and letters are summed.
            Spaces do not count: a recogniser of many languages sets few of them.

    Returns:
        0 where all is right; above 1 where more is read than there is.

    Raises:
        ValueError: There is no true letter.
    """
    pairs = [(true, read)] if isinstance(true, str) else list(zip(true, read, strict=True))
    bare = [["".join(text.split()) for text in pair] for pair in pairs]
    letters = sum(len(text) for text, _ in bare)
    if not letters:
        raise ValueError("an error rate needs at least one true letter")
    return sum(_edits(*pair) for pair in bare) / letters


def _edits(a, b):
    """Levenshtein distance of two texts."""
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            change = before + (letter != other)
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, change)
    return row[-1]
