"""Masks of damaged pixels from a picture file, a colour, or transparency.

Everywhere a mask says which pixels are real: white (1, opaque) = a real pixel, black (0) = damaged,
as ``python -m data degrade`` writes them. Many painting programs do it the other way round; a mask
that calls nearly everything damaged is therefore questioned instead of used.
"""

import re
from pathlib import Path

import cv2
import numpy as np

from data.pictures.read import load_image

THRESHOLD = 128
"""In a mask with grey values, this and above is real; of alpha likewise."""

DEEPEST_PX = 8
"""Deeper holes than the scratches of training come out as a smooth surface, without texture."""

MOST_DAMAGED = 0.9
"""Share of damaged pixels from which on a mask is questioned."""


def file_mask(path, *, invert=False, grow_px=None, report=print):
    """Read a mask picture.

    Args:
        path: The file; colours are averaged, alpha is ignored.
        invert: White means damaged.
        grow_px: See `grown`; None: 1 where there are grey values, whose damaged pixels have
            half-damaged neighbours, else 0.
        report: Called with a sentence if there are grey values.

    Returns:
        (H, W) bool, True = a real pixel.
    """
    pixels = load_image(path)
    pixels = pixels / np.float32(257) if pixels.dtype == np.uint16 else pixels.astype(np.float32)
    if pixels.ndim == 3:
        colours = pixels.shape[2] - (pixels.shape[2] in (2, 4))
        pixels = pixels[..., :colours].mean(axis=2)
    grey = np.count_nonzero((pixels > 0) & (pixels < 255))
    if grow_px is None:
        grow_px = 1 if grey else 0
    if grey:
        report(
            f"{path} has {grey} grey pixels; {THRESHOLD} and above count as "
            f"{'damaged' if invert else 'real'}"
            + (f", and damage reaches {grow_px} px further (--grow-mask)" if grow_px else "")
        )
    return grown((pixels >= THRESHOLD) != invert, grow_px)


def grown(valid, px):
    """Let damage reach further, against traces of it beside it.

    Args:
        valid: (H, W) bool, True = a real pixel.
        px: By how many pixels in each direction, diagonals included; 0 changes nothing.

    Returns:
        (H, W) bool.

    Raises:
        ValueError: `px` is negative.
    """
    if px < 0:
        raise ValueError(f"a mask grows by 0 px or more, got {px}")
    square = np.ones((2 * px + 1, 2 * px + 1), np.uint8)
    return cv2.erode(valid.astype(np.uint8), square, borderValue=1).astype(bool)


def depth_px(valid):
    """How far the deepest damaged pixel lies from a real one, in px; 0 without damage."""
    distances = cv2.distanceTransform((~valid).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(distances.max())


def colour_mask(image, colour, tolerance=0):
    """Mark the pixels of one colour as damaged.

    Args:
        image: (H, W), or (H, W, 2 | 3 | 4), uint8, uint16, or floats in 0..255.
        colour: ``#rrggbb``.
        tolerance: Most grey levels by which each channel may differ, for pictures that were JPEG.

    Returns:
        (H, W) bool, True = a real pixel.
    """
    wanted = np.array(colour_levels(colour), np.float32)
    planes = image[..., None] if image.ndim == 2 else image
    planes = planes[..., : 1 if planes.shape[2] < 3 else 3].astype(np.float32)
    levels = planes / 257 if image.dtype == np.uint16 else planes
    return (np.abs(levels - wanted) > tolerance).any(axis=2)


def colour_levels(colour):
    """Return red, green and blue of ``#rrggbb``; `ValueError` if it is written otherwise."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise ValueError(f"a mask colour must be written #rrggbb, got {colour!r}")
    return tuple(bytes.fromhex(colour[1:]))


def alpha_mask(image):
    """Mark transparent pixels (alpha below half) as damaged: (H, W) bool, True = real."""
    if image.ndim == 2 or image.shape[2] not in (2, 4):
        raise ValueError("the picture has no alpha channel to take the mask from")
    full = 257 if image.dtype == np.uint16 else 1
    return image[..., -1] >= THRESHOLD * full


def check(valid, size, name, *, allow_large=False):
    """Raise `ValueError` for a mask that cannot be meant.

    Args:
        valid: (H, W) bool, True = a real pixel.
        size: (height, width) of the picture.
        name: What to call the mask in the sentence.
        allow_large: Do not question a mask of mostly damaged pixels.
    """
    if valid.shape != tuple(size):
        raise ValueError(
            f"{name} is {valid.shape[1]}×{valid.shape[0]} px, the picture {size[1]}×{size[0]} px"
        )
    damaged = 1 - valid.mean()
    if damaged == 0:
        raise ValueError(f"{name} marks no pixel as damaged: there is nothing to restore")
    if damaged == 1:
        raise ValueError(f"{name} marks every pixel as damaged: nothing is left to restore from")
    if damaged > MOST_DAMAGED and not allow_large:
        raise ValueError(
            f"{name} marks {damaged:.0%} of the picture as damaged: is it inverted? White must be "
            "real, black damaged; give --invert-mask to swap them, or --large-mask if it is meant"
        )


def find_mask_files(mask, jobs, folder=None):
    """Find the mask file of each picture.

    Args:
        mask: A file, for all of them; or a folder of masks, named as the pictures.
        jobs: `infer.jobs.Job`s.
        folder: Where results go: if they keep a tree, masks may lie in the same one.

    Returns:
        Job → file.

    Raises:
        FileNotFoundError: There is no such file, or a picture has no mask of its name.
    """
    mask = Path(mask)
    if not mask.is_dir():
        if not mask.exists():
            raise FileNotFoundError(f"no mask {mask}")
        return dict.fromkeys(jobs, mask)
    by_name, found = {}, {}
    for job in jobs:
        inside = mask / job.target.parent.relative_to(folder) if folder else mask
        place = inside if inside.is_dir() else mask
        if place not in by_name:
            by_name[place] = {f.stem: f for f in sorted(place.iterdir(), reverse=True)}
        if job.source.stem not in by_name[place]:
            raise FileNotFoundError(f"{place} has no mask named as {job.source.name}")
        found[job] = by_name[place][job.source.stem]
    return found
