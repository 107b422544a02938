"""How far away a pixel still changes what a deep network makes of another: measured, not derived.

The receptive field of a network of hundreds of convolutions is hundreds of pixels wide, but what
lies far away changes nothing that could be seen (arXiv:1701.04128). Tiles with a margin of all of
it would compute the picture many times over.
"""

import weakref

import cv2
import numpy as np

EXACT_UP_TO_PX = 48
"""Networks that see no further get their receptive field as margin: tiles then equal one run."""

VISIBLE = 0.25
"""Grey levels of 255. Two cuts that meet at a corner may add up, and rounding adds the rest."""

_HEIGHT_PX = 48
_CUTS_PX = (64, 128, 256)
_SAFETY = 1.5  # on the distance found: other pictures have other contrasts
_measured = weakref.WeakKeyDictionary()


def margin_px(model, run, reach):
    """Return the px that a tile must read on each side so that no cut can be seen.

    Measured once for each network object: a picture is run whole and cut in two; beyond the margin
    both runs give the same to a quarter of a grey level.

    Args:
        model: The network.
        run: Function of (h, w, 3) float32 in 0..255 to (s·h, s·w, 3).
        reach: Its `infer.reach.Reach`.

    Returns:
        The margin, at most the receptive field's radius; None if that is not bounded.
    """
    if reach.radius_px is None or reach.radius_px <= EXACT_UP_TO_PX:
        return reach.radius_px
    if model not in _measured:
        _measured[model] = _measure(run, reach)
    return _measured[model]


def _measure(run, reach):
    for cut in _CUTS_PX:
        if cut >= reach.radius_px:
            break
        distance = _visible_px(run, _probe(_HEIGHT_PX, 2 * cut), cut, reach.scale)
        margin = int(_SAFETY * distance) + 1
        if margin < cut:  # else there may be more beyond the picture's end
            return min(margin, reach.radius_px)
    return reach.radius_px


def _visible_px(run, picture, cut, scale):
    """Distance in px from a cut at column `cut` up to which it changes the output visibly."""
    whole = run(picture)[:, cut * scale :]
    part = run(picture[:, cut:])
    columns = np.nonzero(np.abs(whole - part).max(axis=(0, 2)) > VISIBLE)[0]
    return 0 if not columns.size else columns[-1] // scale + 1


def _probe(height, width):
    """A picture with what networks react to: flat parts, soft and hard edges, and fine grain."""
    rng = np.random.default_rng(0)
    picture = np.zeros((height, width, 3))
    for cell_px, contrast in ((32, 1.0), (8, 0.6), (2, 0.3)):
        coarse = rng.normal(0, contrast, (height // cell_px + 1, width // cell_px + 1, 3))
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = 127 + 90 * picture
    rows, columns = np.indices((height, width)) // 12
    hard = (rows + columns) % 3 == 0
    picture[hard] = np.where(picture[hard] > 127, 235, 20)
    return np.clip(picture, 0, 255).astype(np.float32)
