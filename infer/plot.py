"""Figures for notebooks: pictures side by side, and where they differ."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def plot_sample(lr, sr):
    """Show a low-resolution picture and what a network made of it, side by side.

    Args:
        lr: (H, W, 3) RGB in 0..255.
        sr: (s·H, s·W, 3), as `resolve_single` or `upscale` give it.
    """
    _, axes = plt.subplots(1, 2, figsize=(20, 10))
    for ax, picture, title in zip(axes, (lr, sr), ("LR", _sr_title(lr, sr)), strict=True):
        ax.imshow(_drawable(picture), cmap="gray", vmin=0, vmax=255)
        ax.set(title=title, xticks=[], yticks=[])


def _sr_title(lr, sr):
    return f"SR (x{sr.shape[0] // lr.shape[0]})"


def _drawable(picture):
    """Any picture of this library as what matplotlib draws: uint8 grey, RGB or RGBA."""
    picture = np.asarray(picture)
    if picture.dtype == np.uint16:
        picture = picture / 257
    picture = np.rint(np.clip(picture, 0, 255)).astype(np.uint8)
    return picture[..., [0, 0, 0, 1]] if picture.ndim == 3 and picture.shape[2] == 2 else picture


def side_by_side(pictures, zoom=None, *, inch=4.0):
    """Draw pictures of one size in a row, and a part of each below it.

    Args:
        pictures: Title → (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), in 0..255.
        zoom: (top, left, side) in px of the part, which is framed above; None: no second row.
        inch: Side of a picture.

    Returns:
        A `matplotlib.figure.Figure`, which a notebook shows as it is.

    Raises:
        ValueError: The sizes differ.
    """
    sizes = {np.shape(picture)[:2] for picture in pictures.values()}
    if len(sizes) != 1:
        raise ValueError(f"pictures must have one size, got {sorted(sizes)}")
    rows = 1 if zoom is None else 2
    figure = Figure(figsize=(inch * len(pictures), 1.05 * inch * rows), layout="constrained")
    axes = figure.subplots(rows, len(pictures), squeeze=False)
    for column, (title, picture) in zip(axes.T, pictures.items(), strict=True):
        column[0].imshow(_drawable(picture), cmap="gray", vmin=0, vmax=255)
        column[0].set_title(title, fontsize=16)
        if zoom:
            _draw_part(*column, _drawable(picture), zoom)
        for ax in column:
            ax.set(xticks=[], yticks=[])
    return figure


def _draw_part(whole, part, picture, zoom):
    top, left, side = zoom
    frame = Rectangle((left, top), side, side, fill=False, color="white", linewidth=2)
    whole.add_patch(frame)
    window = picture[top : top + side, left : left + side]
    part.imshow(window, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def error_map(a, b, *, largest=64):
    """Draw where two pictures differ, in the jet colours: blue is equal, red is `largest` or more.

    Args:
        a: (H, W) or (H, W, C) in 0..255.
        b: The same shape.
        largest: Difference in grey levels that is drawn in full red.

    Returns:
        (H, W, 3) uint8 RGB; of several channels the mean absolute difference is drawn.

    Raises:
        ValueError: The shapes differ.
    """
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    if a.shape != b.shape:
        raise ValueError(f"pictures must have the same shape, got {a.shape} and {b.shape}")
    difference = np.abs(a - b)
    if difference.ndim == 3:
        difference = difference.mean(axis=-1)
    return colormaps["jet"](np.clip(difference / largest, 0, 1), bytes=True)[..., :3]
