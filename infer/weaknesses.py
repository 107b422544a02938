"""Where a network is weak: its error on classes of things, beside that on parts as rich elsewhere.

Texture and edges are drawn with a larger error than sky, whatever they belong to. Each region is
therefore compared with windows of its own shape that lie in no region and whose local contrast is
nearest to its own. Classes that are worse than these deserve a network of their own: the first step
of fusing specialists.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from infer.evaluate import LPIPS_PX
from model.metrics import finite_psnr

LEAST_PX = 12
"""Smaller regions are left out: their windows would be found by chance."""

_COMPARED = 3  # windows for each region, the nearest in contrast
_LARGEST_RATIO = 1.5  # of contrasts that count as equal
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Finding:
    """One region beside the windows that it is compared with.

    Attributes:
        label: Class of the region.
        picture: Name of its picture.
        place: (y0, y1, x0, x1) of the region.
        psnr_db: Of the region and of the windows, RGB.
        lpips: Of both; None where it was not measured, or the region has less than 64 px a side.
    """

    label: str
    picture: str
    place: tuple[int, int, int, int]
    psnr_db: tuple[float, float]
    lpips: tuple[float, float] | None


def findings(name, sr, hr, regions, lpips=None):
    """Compare each region of a picture with windows elsewhere in it.

    Args:
        name: Of the picture.
        sr: (H, W, 3) uint8, what the network made.
        hr: The same shape, the true picture.
        regions: `infer.regions.Region`s.
        lpips: Function of two float batches in 0..255 → (B,), or None.

    Returns:
        ``(findings, left out)``: a `Finding` for each region that there are windows for, and how
        many regions are too small or have no window of their contrast beside them.
    """
    luma = hr.astype(np.float32) @ _LUMA
    free = np.ones(luma.shape, bool)
    for region in regions:
        free[region.y0 : region.y1, region.x0 : region.x1][region.mask] = False
    found = []
    for region in regions:
        shape = region.mask.shape
        windows = _alike(luma, free, region) if min(shape) >= LEAST_PX else []
        if windows:
            places = [(region.y0, region.x0), *windows]
            measured = [_errors(sr, hr, y, x, region.mask, lpips) for y, x in places]
            (psnr, distance), *others = measured
            elsewhere = float(np.mean([other[0] for other in others]))
            both = None
            if distance is not None:
                both = distance, float(np.mean([other[1] for other in others]))
            place = (region.y0, region.y1, region.x0, region.x1)
            found.append(Finding(region.label, name, place, (psnr, elsewhere), both))
    return found, len(regions) - len(found)


def _alike(luma, free, region):
    """Corners of windows of a region's shape, outside of regions, whose contrast is as its own."""
    height, width = region.mask.shape
    contrast = luma[region.y0 : region.y1, region.x0 : region.x1][region.mask].std() + 1
    candidates = []
    for y in range(0, luma.shape[0] - height + 1, max(1, height // 2)):
        for x in range(0, luma.shape[1] - width + 1, max(1, width // 2)):
            there = (slice(y, y + height), slice(x, x + width))
            if free[there][region.mask].all():
                ratio = (luma[there][region.mask].std() + 1) / contrast
                candidates.append((max(ratio, 1 / ratio), y, x))
    near = [(y, x) for ratio, y, x in sorted(candidates) if ratio <= _LARGEST_RATIO]
    return near[:_COMPARED]


def _errors(sr, hr, y, x, mask, lpips):
    there = (slice(y, y + mask.shape[0]), slice(x, x + mask.shape[1]))
    psnr = float(finite_psnr(*(picture[there][mask][None, :, None] for picture in (sr, hr)))[0])
    if lpips is None or min(mask.shape) < LPIPS_PX:
        return psnr, None
    pair = (picture[there][None].astype(np.float32) for picture in (sr, hr))
    return psnr, float(np.asarray(lpips(*pair))[0])


def summary(found):
    """Return a row a class, the weakest first: what the table prints.

    Args:
        found: `Finding`s of all pictures.

    Returns:
        List of dicts: class, regions, pictures, mean PSNR and LPIPS as pairs (here, elsewhere),
        and the share of pictures in which the class has the lower PSNR.
    """
    classes = defaultdict(list)
    for one in found:
        classes[one.label].append(one)
    rows = []
    for label, own in classes.items():
        pictures = defaultdict(list)
        for one in own:
            pictures[one.picture].append(one.psnr_db[1] - one.psnr_db[0])
        worse = [np.mean(losses) > 0 for losses in pictures.values()]
        distances = [one.lpips for one in own if one.lpips]
        rows.append(
            {
                "class": label,
                "regions": len(own),
                "pictures": len(pictures),
                "psnr_db": _means([one.psnr_db for one in own]),
                "lpips": _means(distances) if distances else None,
                "worse_share": float(np.mean(worse)),
            }
        )
    return sorted(rows, key=lambda row: row["psnr_db"][0] - row["psnr_db"][1])


def _means(pairs):
    return tuple(float(n) for n in np.mean(pairs, axis=0))


def lines(rows):
    """The table for people."""
    yield f"{'':16}{'regions':>9}{'pictures':>9}{'PSNR':>9}{'elsewhere':>11}{'LPIPS':>9}" + (
        f"{'elsewhere':>11}{'worse in':>10}"
    )
    for row in rows:
        psnr, lpips = row["psnr_db"], row["lpips"]
        cells = f"{row['regions']:9}{row['pictures']:9}{psnr[0]:9.2f}{psnr[1]:11.2f}"
        cells += f"{lpips[0]:9.4f}{lpips[1]:11.4f}" if lpips else f"{'-':>9}{'-':>11}"
        yield f"{row['class'][:16]:16}{cells}{100 * row['worse_share']:8.0f} %"
