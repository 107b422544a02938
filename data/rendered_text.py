"""Pictures of text, drawn with fonts onto photographs and plain colours, as pairs to train with.

Each picture holds lines of one direction, of many fonts, sizes and colours, some of them on a plate
as signs are. What is written where is known, so that it can be judged what a recogniser reads.
"""

import hashlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageFont

from data.batches import step_generator
from data.degrade import to_uint8
from data.pairs import PairSource
from data.pictures.folder import picture_files
from data.pictures.read import read_rgb8
from data.sources import Source, files_source, shrunk_source
from data.store import open_store

PX = (20, 72)
"""Size of the fonts in HR, from and to: 5 to 18 px at ×4, where a recogniser begins to fail."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

_OVERSAMPLE = 2  # lines are drawn so much larger and shrunk: smooth edges in any direction
_LEAST_CONTRAST = 60  # of letters to what is behind them, in grey levels
_LUMA = np.array([0.299, 0.587, 0.114])
_ENDINGS = (".ttf", ".otf")


@dataclass(frozen=True)
class Line:
    """A line of a picture.

    Attributes:
        text: What is written.
        corners: (4, 2) float, x and y in px: clockwise from the first letter's upper corner.
    """

    text: str
    corners: np.ndarray


class RenderedText(PairSource):
    """Pairs of drawn text, LR made of HR by MATLAB's bicubic.

    Args:
        backgrounds_dir: Folder of photographs to write on.
        fonts: Font files, or folders of them. None: those of the system.
        words: What to write, an iterable of words. None: words of Python's own documentation.
        count: Number of pictures.
        scale: HR size over LR size.
        px: Size of the fonts in HR, from and to.
        side_px: Side of a picture in HR.
        seed: Each picture is a function of it and of the picture's number.
        caches_dir: Where pictures are kept.
        workers: Threads that draw.
        strict: Stop at an unreadable background instead of leaving its pictures out.
        report: Called with a sentence on what was left out.

    Raises:
        FileNotFoundError: There is no picture, or no font with Latin letters.
        ValueError: A number is out of range, or there are no words.
    """

    def __init__(
        self,
        backgrounds_dir,
        fonts=None,
        words=None,
        *,
        count=400,
        scale=4,
        px=PX,
        side_px=384,
        seed=0,
        caches_dir=".caches",
        workers=None,
        strict=False,
        report=print,
    ):
        if not 4 <= px[0] <= px[1] or side_px < px[1] or count < 1:
            raise ValueError(
                "px must be two sizes of at least 4, the smaller first, side_px not below them, "
                f"and count at least 1; got {px}, {side_px} and {count}"
            )
        self.scale, self.report = scale, report
        self._files, self._families = picture_files(backgrounds_dir), font_families(fonts)
        self._words = sorted(set(_python_words() if words is None else words))
        if not self._words:
            raise ValueError("words must hold at least one word")
        self._count, self._px, self._side_px, self._seed = count, px, side_px, seed
        self._caches_dir = caches_dir
        self._options = {"workers": workers, "strict": strict, "report": report}

    def stores(self):
        """Return the LR and the HR store, drawing them when first asked for."""
        side = self._side_px
        source = Source(
            names=[f"text-{i:05}" for i in range(self._count)],
            digest=self._digest(),
            size=lambda i: (side, side),
            read=lambda i: self.drawn(i)[0],
        )
        hr = open_store(self._caches_dir, "text", source, **self._options)
        small = shrunk_source(hr, self.scale)
        return open_store(self._caches_dir, f"text-x{self.scale}", small, **self._options), hr

    def drawn(self, number):
        """Draw a picture.

        Returns:
            (H, W, 3) uint8, and its `Line`s that lie inside of it whole.
        """
        random, side = step_generator(self._seed, number), self._side_px
        picture = _background(read_rgb8(_any(self._files, random)), side, random)
        angle_deg = _angle(random)
        turn = cv2.getRotationMatrix2D((0, 0), angle_deg, 1)[:, :2]
        reach = side * (abs(turn[0]).sum()) / 2  # of the picture, in the direction of the lines
        down, lines = -reach, []
        while down < reach:
            line = self._line(random, 2 * reach)
            start = -reach + random.uniform(0, max(1, 2 * reach - line.width))
            corner = side / 2 + turn @ (start, down)
            corners = line.write(picture, np.column_stack([turn, corner]), random)
            if corners.min() >= 0 and corners.max() <= side:
                lines.append(Line(line.text, corners))
            down += line.height * random.uniform(1.05, 1.6)
        if random.random() < 0.3:  # as a lens and a sensor leave it
            picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.3, 0.8))
        return to_uint8(picture), lines

    def _line(self, random, width):
        size_px = math.exp(random.uniform(*np.log(self._px)))
        file = _any(_any(self._families, random), random)
        font = ImageFont.truetype(file, round(_OVERSAMPLE * size_px))
        text = _written(_any(self._words, random), random)
        while font.getlength(f"{text} ") < _OVERSAMPLE * width * random.uniform(0.3, 0.9):
            text += f" {_written(_any(self._words, random), random)}"
        return _Drawn(text, font)

    def _digest(self):
        fonts = [[Path(f).name, os.path.getsize(f)] for family in self._families for f in family]
        own = [self._words, fonts, self._count, self._px, self._side_px, self._seed]
        key = f"version 1 {files_source(self._files).digest} {own}"
        return hashlib.sha256(key.encode()).hexdigest()


class _Drawn:
    """A line drawn oversampled, from its font's ascent to its descent."""

    def __init__(self, text, font):
        ascent, descent = font.getmetrics()
        mask, offset = font.getmask2(text, mode="L", anchor="ls")
        pixels = np.asarray(mask, np.uint8).reshape(mask.size[::-1])
        above, left = max(ascent, -offset[1]), max(0, -offset[0])
        top, start = above + offset[1], left + offset[0]
        shape = (max(above + descent, top + len(pixels)), start + pixels.shape[1])
        self.text, self._mask = text, np.zeros(shape, np.uint8)
        self._mask[top : top + len(pixels), start : start + pixels.shape[1]] = pixels
        self.height, self.width = (n / _OVERSAMPLE for n in shape)

    def write(self, picture, place, random):
        """Write the line into (H, W, 3) float32, in place.

        Args:
            picture: The picture.
            place: (2, 3), from px of the line, not oversampled, to px of the picture.
            random: `numpy.random.Generator`.

        Returns:
            The corners, (4, 2).
        """
        box = np.array([(0, 0), (self.width, 0), (self.width, self.height), (0, self.height)])
        corners = box @ place[:, :2].T + place[:, 2]
        cover = self._placed(self._mask, place, picture.shape)
        behind = cover > 0
        if not behind.any():
            return corners
        if random.random() < 0.35:
            plate = self._placed(np.full_like(self._mask, 255), place, picture.shape)
            picture += plate[..., None] * (random.uniform(0, 255, 3) - picture)
        colour = _colour_on(picture[behind].mean(axis=0), random)
        picture += (random.uniform(0.8, 1) * cover)[..., None] * (colour - picture)
        return corners

    def _placed(self, mask, place, shape):
        """The mask in the picture, (H, W) float32 in 0..1."""
        oversampled = np.column_stack([place[:, :2], _OVERSAMPLE * place[:, 2]])
        size = tuple(_OVERSAMPLE * n for n in shape[1::-1])
        warped = cv2.warpAffine(mask, oversampled, size, flags=cv2.INTER_LINEAR)
        return cv2.resize(warped, shape[1::-1], interpolation=cv2.INTER_AREA) / np.float32(255)


def font_families(fonts=None):
    """Fonts with Latin letters, by family: lists of paths.

    Args:
        fonts: Font files, or folders of them. None: those of the system.

    Raises:
        FileNotFoundError: There is none.
    """
    if fonts is None:
        from matplotlib.font_manager import findSystemFonts

        files = findSystemFonts()
    else:
        files = [f for place in map(Path, fonts) for f in (_below(place))]
    families = {}
    for file in sorted(str(f) for f in files if str(f).lower().endswith(_ENDINGS)):
        family = _family(file)
        if family:
            families.setdefault(family, []).append(file)
    if not families:
        raise FileNotFoundError(
            f"no font with Latin letters in {', '.join(map(str, fonts or ['the system']))}: name "
            "folders of .ttf or .otf files, or install some, `apt install fonts-dejavu` on Debian"
        )
    return list(families.values())


def _below(place):
    return place.rglob("*") if place.is_dir() else [place]


def _family(file):
    """Name of a font's family; None if it lacks Latin letters or draws pictures for them."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(file, lazy=True) as font:
            letters = font.getBestCmap() or {}
        name, style = ImageFont.truetype(file).getname()
    except (OSError, TTLibError):
        return None
    drawn = re.search("initial|symbol|dingbat|D050000L", f"{name} {style}", re.IGNORECASE)
    return None if drawn or not all(ord(c) in letters for c in LETTERS) else name


def _python_words():
    from pydoc_data.topics import topics

    return re.findall(r"\b[A-Za-z]{2,12}\b", " ".join(topics.values()))


def _any(things, random):
    return things[random.integers(len(things))]


def _written(word, random):
    """A word as it stands on signs and pages, or a number."""
    kind = random.integers(8)
    if kind == 0:
        digits = str(random.integers(10 ** random.integers(1, 6)))
        return _any([digits, f"{digits}.{random.integers(100):02}", f"{digits}%"], random)
    if kind == 1:
        return word + _any(list(".,:;!?-"), random)
    return (word.upper(), word.title(), word.lower(), word.lower())[kind % 4]


def _angle(random):
    """Direction of lines in degrees: level, nearly level, or slanted."""
    kind = random.random()
    return 0.0 if kind < 0.4 else random.uniform(-4, 4) if kind < 0.75 else random.uniform(-35, 35)


def _background(photo, side, random):
    """Part of a photograph, or paper: (side, side, 3) float32."""
    if random.random() < 0.45:
        light = random.uniform(0.85, 1, (2, 2, 1)) * random.uniform(0, 255, 3)
        return cv2.resize(light.astype(np.float32), (side, side))
    height, width = photo.shape[:2]
    length = min(height, width, round(side * random.uniform(1, 2)))
    top, left = random.integers(height - length + 1), random.integers(width - length + 1)
    part = photo[top : top + length, left : left + length]
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)


def _colour_on(behind, random):
    """A colour that can be told from another."""
    while True:
        colour = random.choice([0, 255, random.uniform(0, 255)]) * np.ones(3)
        if random.random() < 0.6:
            colour = random.uniform(0, 255, 3)
        if abs(_LUMA @ (colour - behind)) >= _LEAST_CONTRAST:
            return colour.astype(np.float32)
