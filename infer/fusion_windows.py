"""What a specialist must read of a picture, so that its result is exact where it is mixed in."""

import math

from infer import tiles


def windows(masks, size, reach):
    """Pairs (window, its masks): what a network must read to give the masks' supports exactly.

    Windows are joined where one run on both is no more work than two.

    Args:
        masks: `Mask`s.
        size: Height and width of the picture.
        reach: Of the network.
    """
    radius = tiles.GLOBAL_OVERLAP_PX if reach.radius_px is None else reach.radius_px
    margin, step = max(radius, tiles.LEAST_RADIUS_PX), reach.multiple
    if reach.radius_px is None:
        step = math.lcm(step, tiles.GLOBAL_OVERLAP_PX)
    joined = []
    for mask in masks:
        window, inside = _read_for(mask.support, size, reach.scale, margin, step), [mask]
        for other in [j for j in joined if _area(_around(window, j[0])) <= _area(window, j[0])]:
            joined.remove(other)
            window, inside = _around(window, other[0]), other[1] + inside
        joined.append((window, inside))
    return joined


def _read_for(support, size, scale, margin, step):
    """Pixels of the picture within `margin` of what a support comes from, out to the next step."""
    ends = []
    for start, end, length in (
        (support.y0, support.y1, size[0]),
        (support.x0, support.x1, size[1]),
    ):
        first, last = start // scale - margin, -(-end // scale) + margin
        ends += [max(0, first // step * step), min(length, -(-last // step) * step)]
    return tiles.Window(*ends)


def _around(a, b):
    return tiles.Window(min(a.y0, b.y0), max(a.y1, b.y1), min(a.x0, b.x0), max(a.x1, b.x1))


def _area(*boxes):
    return sum((box.y1 - box.y0) * (box.x1 - box.x0) for box in boxes)
