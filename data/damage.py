"""Damaged LR for super-resolution: reductions, blurs, noise and compression as they happen.

The two-round chain of Real-ESRGAN (arXiv:2107.10833, section 3), with every strength drawn for
each picture. Deliberately different: a share of LR stays MATLAB's bicubic and nothing else; a
first round at a size between LR and HR is drawn for a share only; and blur acts after a reduction,
in pixels of the smaller picture, which costs a sixteenth and only differs where a reduction
aliases.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data import degrade
from data.resize import KERNELS, resize

MARGIN_PX = 16
"""LR pixels around a window that its damage depends on: a block of JPEG, and all filters."""


@dataclass(frozen=True)
class Damage:
    """Makes damaged LR; a share (0..1) says how often, a pair between what strengths are drawn.

    Attributes:
        clean: Share of LR that stays as it is.
        first_round: Share of the rest that is damaged at a size before LR as well.
        first_size: That size, in sizes of LR; at most HR's.
        kernels: Names in `data.resize.KERNELS` that reduce, equally likely where named equally
            often.
        no_antialias: Share of reductions without antialiasing.
        blur: Share of rounds that blur.
        blur_px: Standard deviations, of both axes of the blur.
        motion: Share of rounds with a slight motion.
        motion_px: Its length.
        sharpen: Share of rounds that sharpen, by unsharp masking.
        sharpen_amount: What is added, in parts of the difference from the blurred picture.
        ringing: Share of rounds that cut high frequencies off, which rings.
        ringing_cutoff: Where, in parts of the highest frequency.
        noise: Share of rounds with camera noise.
        noise_read: Its standard deviation in black, in grey levels.
        noise_shot: What its variance grows by with each grey level.
        noise_grey: Share of noise that is the same in all channels.
        noise_smooth: Share of noise that is correlated between neighbours, as by demosaicing.
        compress: Share of rounds that end in a file of JPEG or WebP.
        quality: Of the file.
        chroma_420: Share of JPEGs that halve the colours' size.
        webp: Share of files that are WebP.

    Raises:
        ValueError: A share or a strength is out of range.
    """

    clean: float = 0.2
    first_round: float = 0.15
    first_size: tuple[float, float] = (1.0, 4.0)
    kernels: tuple[str, ...] = ("bicubic",) * 4 + ("area",) * 2 + ("lanczos",)
    no_antialias: float = 0.0
    blur: float = 0.0
    blur_px: tuple[float, float] = (0.2, 0.8)
    motion: float = 0.0
    motion_px: tuple[float, float] = (1.5, 4.0)
    sharpen: float = 0.0
    sharpen_amount: tuple[float, float] = (0.2, 1.0)
    ringing: float = 0.0
    ringing_cutoff: tuple[float, float] = (0.5, 0.95)
    noise: float = 0.0
    noise_read: tuple[float, float] = (0.0, 3.0)
    noise_shot: tuple[float, float] = (0.0, 0.1)
    noise_grey: float = 0.3
    noise_smooth: float = 0.3
    compress: float = 0.9
    quality: tuple[float, float] = (40, 95)
    chroma_420: float = 0.85
    webp: float = 0.03

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check(field.name, getattr(self, field.name))

    @property
    def facts(self):
        """All attributes, as JSON can hold them."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def __call__(self, lr, hr, random):
        """Return a damaged LR picture.

        Args:
            lr: (h, w, 3) uint8, the picture's bicubic reduction.
            hr: (s·h, s·w, 3) uint8, the picture.
            random: `numpy.random.Generator`.

        Returns:
            (h, w, 3) uint8. Its pixels lie where those of `lr` lie.
        """
        if random.random() < self.clean:
            return lr
        kernel = self.kernels[random.integers(len(self.kernels))]
        antialias = random.random() >= self.no_antialias
        if random.random() < self.first_round:
            first = self._round(resize(hr, self._first_size(lr, hr, random)), random)
            reduced = resize(first, lr.shape[:2], kernel, antialias=antialias)
        elif kernel == "bicubic" and antialias:
            reduced = lr
        else:
            reduced = resize(hr, lr.shape[:2], kernel, antialias=antialias)
        return self._round(reduced, random)

    def _first_size(self, lr, hr, random):
        """Size of the first round, (height, width): every factor is equally likely."""
        low, high = (min(factor, hr.shape[0] / lr.shape[0]) for factor in self.first_size)
        factor = low * (high / low) ** random.random()
        return tuple(max(1, round(factor * n)) for n in lr.shape[:2])

    def _round(self, picture, random):
        """Blur, sharpen, add noise and compress, each or not."""
        if random.random() < self.blur:
            picture = degrade.blur(picture, _blur_kernel(self.blur_px, random))
        if random.random() < self.motion:
            length_px, angle_deg = random.uniform(*self.motion_px), random.uniform(0, 180)
            picture = degrade.blur(picture, degrade.motion_kernel(length_px, angle_deg))
        if random.random() < self.sharpen:
            amount, sigma_px = random.uniform(*self.sharpen_amount), random.uniform(0.5, 1.5)
            picture = degrade.sharpen(picture, amount, sigma_px)
        if random.random() < self.ringing:
            cutoff = random.uniform(*self.ringing_cutoff)
            picture = degrade.blur(picture, degrade.sinc_kernel(9, cutoff))
        if random.random() < self.noise:
            picture = self._noisy(picture, random)
        picture = degrade.to_uint8(picture)
        return self._compressed(picture, random) if random.random() < self.compress else picture

    def _noisy(self, picture, random):
        return degrade.camera_noise(
            picture,
            random.uniform(*self.noise_read),
            random.uniform(*self.noise_shot),
            random,
            grey=random.random() < self.noise_grey,
            smooth=random.random() < self.noise_smooth,
        )

    def _compressed(self, picture, random):
        return degrade.compress(
            picture,
            round(random.uniform(*self.quality)),
            chroma="4:2:0" if random.random() < self.chroma_420 else "4:4:4",
            offset=random.integers(degrade.JPEG_GRID_PX, size=2).tolist(),
            webp=random.random() < self.webp,
        )


def _blur_kernel(sigma_px, random):
    """A blur of any direction: half of them Gaussian, others with longer or shorter tails."""
    along, across = random.uniform(*sigma_px, size=2)
    if random.random() < 0.5:
        across = along
    beta = 1.0 if random.random() < 0.5 else random.uniform(0.5, 4.0)
    size = 2 * int(np.ceil(3 * max(along, across))) + 1
    return degrade.generalised_kernel(size, along, across, random.uniform(0, 180), beta)


_RANGES = {
    "first_size": (0.25, 16),
    "blur_px": (0.05, 4),
    "motion_px": (1, 15),
    "sharpen_amount": (0, 5),
    "ringing_cutoff": (0.2, 1),
    "noise_read": (0, 50),
    "noise_shot": (0, 5),
    "quality": (1, 100),
}
"""What a strength may be; filters stay within `MARGIN_PX`."""


def _check(name, value):
    if name == "kernels":
        allowed = f"a list of {', '.join(KERNELS)}"
        if isinstance(value, tuple) and value and set(value) <= KERNELS.keys():
            return
    elif name in _RANGES:
        low, high = _RANGES[name]
        allowed = f"[least, greatest] within {low:g} to {high:g}"
        if _is_pair(value) and low <= value[0] <= value[1] <= high:
            return
    else:
        allowed = "a share from 0 to 1"
        if _is_number(value) and 0 <= value <= 1:
            return
    raise ValueError(f"{name} of damage must be {allowed}, got {value}")


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_pair(value):
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))


PRESETS = {
    "mild": Damage(sharpen=0.1, blur=0.1, noise=0.1),
    "strong": Damage(
        clean=0.1,
        first_round=0.6,
        first_size=(0.7, 4.0),
        kernels=("bicubic", "bicubic", "area", "area", "bilinear", "lanczos", "nearest"),
        no_antialias=0.15,
        blur=0.4,
        blur_px=(0.2, 1.2),
        motion=0.05,
        sharpen=0.15,
        ringing=0.15,
        noise=0.5,
        noise_read=(0.0, 10.0),
        noise_shot=(0.0, 0.6),
        compress=0.9,
        quality=(30, 95),
        chroma_420=0.75,
    ),
}
"""Damage by name. Mild: small files of the web. Strong: blurred, noisy and saved twice."""


def load_damage(name_or_file):
    """Return the `Damage` of a preset's name, or of a JSON file that holds its attributes.

    Args:
        name_or_file: Name in `PRESETS` or path; None gives None, a `Damage` itself.

    Raises:
        ValueError: There is no such preset or file, or the file has a name or a range that
            `Damage` has not.
    """
    if name_or_file is None or isinstance(name_or_file, Damage):
        return name_or_file
    if name_or_file in PRESETS:
        return PRESETS[name_or_file]
    if not Path(name_or_file).is_file():
        raise ValueError(
            f"damage must be {', '.join(PRESETS)} or a JSON file, got {str(name_or_file)!r}"
        )
    try:
        content = json.loads(Path(name_or_file).read_text())
    except ValueError as error:
        raise ValueError(f"{name_or_file} is no JSON file: {error}") from error
    known = [field.name for field in dataclasses.fields(Damage)]
    if not isinstance(content, dict) or content.keys() - set(known):
        unknown = ", ".join(content.keys() - set(known)) if isinstance(content, dict) else content
        raise ValueError(f"{name_or_file} may hold {', '.join(known)}; got {unknown}")
    lists = {name: tuple(v) if isinstance(v, list) else v for name, v in content.items()}
    return Damage(**lists)
