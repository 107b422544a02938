"""Random scratches, straight, bent and branched, as masks: what inpainting is trained on.

A scratch is a chain of short segments; a pixel is damaged where its centre is nearer to the chain
than half the width, so a scratch is as wide as it says whatever its direction.
"""

import numpy as np

WIDTH_PX = (2, 6)
_KINDS = ("straight", "bent", "branched")
_SEGMENTS = 12  # of a bent scratch: smooth up to a few hundred px


def scratches(height, width, random, *, count=None):
    """Draw scratches.

    Args:
        height: Of the picture, px.
        width: Of the picture, px.
        random: `numpy.random.Generator`.
        count: Number of scratches; by default 2 to 5 for each 128×128 px, at least 1.

    Returns:
        valid_mask, (height, width, 1) uint8: 1 = a real pixel, 0 = scratched.
    """
    damaged = np.zeros((height, width), bool)
    if count is None:
        count = max(1, round(random.uniform(2, 5) * height * width / 128**2))
    for _ in range(count):
        scratch_px = random.integers(WIDTH_PX[0], WIDTH_PX[1], endpoint=True)
        for chain in _chains(height, width, random):
            _draw(damaged, chain, scratch_px / 2)
    return (~damaged[..., None]).astype(np.uint8)


def paint(picture, valid_mask, colour=255):
    """Return a picture with `colour` where `valid_mask` (H, W, 1) is 0."""
    return np.where(valid_mask, picture, np.uint8(colour))


def _chains(height, width, random):
    """Chains of points (N, 2), row and column, of one scratch."""
    kind = random.choice(_KINDS)
    start = random.uniform(0, (height, width))
    angle = random.uniform(0, 2 * np.pi)
    length = random.uniform(24, 128)
    main = _chain(start, angle, length, 0 if kind == "straight" else _bend(random))
    if kind != "branched":
        return [main]
    branches = random.integers(1, 3, endpoint=True)
    return [main] + [
        _chain(
            random.choice(main),
            angle + random.choice((-1, 1)) * random.uniform(0.4, 1.2),
            length * random.uniform(0.2, 0.6),
            _bend(random),
        )
        for _ in range(branches)
    ]


def _bend(random):
    """By how much a scratch turns from end to end, in radians."""
    return random.uniform(-2.5, 2.5)


def _chain(start, angle, length, bend):
    steps = length / _SEGMENTS
    angles = angle + bend * (np.arange(_SEGMENTS) / _SEGMENTS - 0.5)
    moves = steps * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return np.concatenate([[start], start + np.cumsum(moves, axis=0)])


def _draw(damaged, chain, radius_px):
    for start, end in zip(chain[:-1], chain[1:], strict=True):
        low = np.floor(np.minimum(start, end) - radius_px).astype(int).clip(0)
        high = np.ceil(np.maximum(start, end) + radius_px).astype(int) + 1
        window = damaged[low[0] : max(high[0], 0), low[1] : max(high[1], 0)]
        points = np.moveaxis(np.indices(window.shape), 0, -1) + low - start
        line = end - start
        share = np.clip(points @ line / (line @ line), 0, 1)
        window |= np.linalg.norm(points - share[..., None] * line, axis=-1) < radius_px
