"""Figures for notebooks: pictures side by side, and where they differ."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps


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
