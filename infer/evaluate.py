"""Score a network on a folder of pictures, by the conventions papers use, which are printed.

PSNR and SSIM on luma with a border of `scale` px cut, and on RGB with nothing cut, both on rounded
8-bit pictures. A picture with 16 bits is rounded to 8, alpha is ignored, grey is taken as RGB.
"""

from dataclasses import dataclass

import numpy as np

from data.folder import matching_files
from data.pictures.folder import picture_files
from data.pictures.read import load_image, rgb8
from model.metrics import EXACT_DB, finite_psnr, ssim

ENLARGED = [(who, key) for key in ("y", "rgb") for who in ("network", "bicubic")]
RESTORED = [("input", "rgb"), ("network", "rgb")]
"""Columns of the printed tables, see `row`."""
PERCEPTUAL = [("network", "lpips"), ("bicubic", "lpips")]
"""More of them, where LPIPS is measured."""

EXACT = f"An exact picture counts as {EXACT_DB:.0f} dB."
"""The PSNR of an exact picture is infinite, and so would every mean be that it is part of."""

LPIPS_PX = 64  # smaller pictures have no LPIPS
_SSIM_PX = 11  # side of its window: smaller pictures have no SSIM


@dataclass(frozen=True)
class Pair:
    """One picture to score on.

    Attributes:
        name: File name of the HR picture.
        lr: (h, w, 3) uint8.
        hr: (s·h, s·w, 3) uint8.
        cropped: Whether the file's HR was larger than that.
    """

    name: str
    lr: np.ndarray
    hr: np.ndarray
    cropped: bool


def pairs(hr_dir, lr_dir, scale, shrink, unreadable=None):
    """Yield a `Pair` for each HR picture.

    Args:
        hr_dir: Folder of HR pictures, cut to a multiple of `scale` at the bottom and right.
        lr_dir: Folder of LR pictures, named as the HR pictures, with or without ``x4`` at the end;
            None: LR is made by `shrink`.
        scale: HR size over LR size.
        shrink: Function of (H, W, 3) uint8 that gives (H/s, W/s, 3) uint8.
        unreadable: Called with a sentence on each pair that cannot be read, which is left out.
            None: the first one stops.

    Raises:
        FileNotFoundError: A folder or a partner is missing.
        ValueError: An LR picture does not have its HR picture's size over `scale`, or no pair can
            be read.
    """
    hr_files = picture_files(hr_dir)
    lr_files = {}
    if lr_dir:
        lr_files = dict(
            zip(hr_files, matching_files(hr_files, picture_files(lr_dir), scale), strict=True)
        )
    count = 0
    for file in hr_files:
        try:
            whole, given = (f and rgb8(load_image(f)) for f in (file, lr_files.get(file)))
        except (ValueError, OSError) as error:
            if unreadable is None:
                raise
            unreadable(str(error))
            continue
        count += 1
        height, width = (n // scale for n in whole.shape[:2])
        if not height * width:
            raise ValueError(f"{file} is smaller than {scale} × {scale} px")
        hr = whole[: height * scale, : width * scale]
        lr = shrink(hr) if given is None else given
        if lr.shape[:2] != (height, width):
            raise ValueError(
                f"{lr_files[file]} must be {height} × {width} px, 1/{scale} of {file.name}, got "
                f"{lr.shape[0]} × {lr.shape[1]}"
            )
        yield Pair(file.name, lr, hr, whole.shape != hr.shape)
    if not count:
        raise ValueError(f"nothing to score: no picture of {hr_dir} can be read")


def score(picture, hr, scale, lpips=None):
    """Compare two pictures.

    Args:
        picture: (H, W, 3) uint8.
        hr: The same shape.
        scale: Border in px that is cut for the luma values.
        lpips: Function of two float batches in 0..255 → (B,), such as `model.lpips.lpips`'s.

    Returns:
        Dict of ``psnr_y_db``, ``ssim_y``, ``psnr_rgb_db``, ``ssim_rgb`` and, if `lpips` is given,
        ``lpips``. What a picture is too small for is None. PSNR is at most `EXACT_DB`.
    """
    a, b = picture[None], hr[None]
    values = {}
    for key, options in _conventions(scale).items():
        shorter = min(hr.shape[:2]) - 2 * options["border_px"]
        values[f"psnr_{key}_db"] = float(finite_psnr(a, b, **options)[0]) if shorter > 0 else None
        values[f"ssim_{key}"] = float(ssim(a, b, **options)[0]) if shorter >= _SSIM_PX else None
    if lpips:
        pair = b.astype(np.float32), a.astype(np.float32)
        values["lpips"] = float(lpips(*pair)[0]) if min(hr.shape[:2]) >= LPIPS_PX else None
    return values


def _conventions(scale):
    return {"y": {"border_px": scale, "luminance": True}, "rgb": {"border_px": 0}}


def mean(scores):
    """Mean of each key over a list of dicts; values that are None are left out."""
    known = {key: [s[key] for s in scores if s[key] is not None] for key in scores[0]}
    return {key: float(np.mean(values)) if values else None for key, values in known.items()}


def restoration_scores(restore, pictures, report=print):
    """Score the damaged input and what becomes of it, on RGB, nothing cut; one line a picture.

    Args:
        restore: Function (damaged, valid_mask) → restored, uint8 batches of one.
        pictures: ``(name, damaged, clean, valid_mask)``, as `data.restoration` yields them.
        report: Called with each line of the table.

    Returns:
        Name → who → scores; who is ``"input"`` or ``"network"``, scores are ``psnr_rgb_db`` and
        ``ssim_rgb``.

    Raises:
        ValueError: There are no pictures.
    """
    table = {}
    for name, damaged, clean, valid_mask in pictures:
        result = np.asarray(restore(damaged, valid_mask))
        table[name] = {
            who: {key: value for key, value in score(p[0], clean[0], 0).items() if "_rgb" in key}
            for who, p in (("input", damaged), ("network", result))
        }
        report(row(name, table[name], RESTORED))
    if not table:
        raise ValueError("nothing to score: there are no pictures")
    return table


def means(table, who):
    """Mean scores over the pictures of a table: ``who`` → scores."""
    return {name: mean([scores[name] for scores in table.values()]) for name in who}


def gains(table):
    """Sentence: PSNR (RGB) of the network over bicubic, the mean and the picture with the least."""
    over = {
        name: scores["network"]["psnr_rgb_db"] - scores["bicubic"]["psnr_rgb_db"]
        for name, scores in table.items()
    }
    least = min(over, key=over.get)
    mean_db = float(np.mean(list(over.values())))
    return f"RGB over bicubic: {mean_db:+.2f} dB; least {over[least]:+.2f} dB, {least}"


def row(name, scores, columns):
    """Line of a printed table: a name, and what each ``(who, "y", "rgb" or "lpips")`` has."""
    cells = (_cell(scores[who], key) for who, key in columns)
    return f"{name[:23]:24}" + "".join(f"{cell:>16}" for cell in cells)


def _cell(scores, key):
    """PSNR / SSIM, or LPIPS."""
    shown = {"lpips": 4} if key == "lpips" else {f"psnr_{key}_db": 2, f"ssim_{key}": 4}
    return " / ".join(
        "-" if scores[name] is None else f"{scores[name]:.{digits}f}"
        for name, digits in shown.items()
    )


def heading(columns):
    """Line above `row`s: ``Y network``, ``LPIPS bicubic`` …."""
    words = {"y": "Y", "rgb": "RGB", "lpips": "LPIPS"}
    return " " * 24 + "".join(f"{f'{words[key]} {who}':>16}" for who, key in columns)
