"""Figures for notebooks: pictures side by side, and where they differ."""

import io

import cv2
import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

_BOX_COLOUR, _FONT = (255, 230, 0), cv2.FONT_HERSHEY_SIMPLEX
_INK, _FAINT = "#1f2328", "#59636e"


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


def as_jpeg(path, *, quality=85):
    """Read a picture file as JPEG, which keeps notebooks small: ``Image(as_jpeg("table.png"))``.

    Args:
        path: Any file that Pillow reads.
        quality: 1 to 95.

    Returns:
        The bytes of the JPEG.
    """
    file = io.BytesIO()
    PIL.Image.open(path).convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()


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


def error_maps(pictures, truth, zoom=None, *, largest=64, inch=4.0):
    """Draw where pictures differ from another one: error maps in a row, with their scale.

    Args:
        pictures: Title → (H, W) or (H, W, C) in 0..255.
        truth: The same shape; or title → truth, where each picture has its own.
        zoom: As for `side_by_side`.
        largest: As for `error_map`.
        inch: Side of a picture.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: The shapes differ.
    """
    truths = truth if isinstance(truth, dict) else dict.fromkeys(pictures, truth)
    maps = {title: error_map(p, truths[title], largest=largest) for title, p in pictures.items()}
    figure = side_by_side(maps, zoom, inch=inch)
    colours = ScalarMappable(Normalize(0, largest), "jet")
    bar = figure.colorbar(colours, ax=figure.axes, shrink=0.8, extend="max")
    bar.set_label("difference, grey levels")
    return figure


def with_boxes(picture, boxes):
    """Draw boxes, numbered from 0, into a copy of a picture.

    Args:
        picture: (H, W, 3) uint8.
        boxes: Of `infer.detect.Detection`.

    Returns:
        (H, W, 3) uint8.
    """
    drawn = np.array(picture)
    width = max(2, round(max(drawn.shape) / 256))
    for number, box in enumerate(boxes):
        box = box.upright()
        top_left = round(box.left), round(box.top)
        corner = round(box.left + box.width) - 1, round(box.top + box.height) - 1
        cv2.rectangle(drawn, top_left, corner, _BOX_COLOUR, width)
        place = top_left[0], max(top_left[1] - 2 * width, 12 * width)
        cv2.putText(drawn, str(number), place, _FONT, width / 2.5, _BOX_COLOUR, width, cv2.LINE_AA)
    return drawn


def neighbour_steps(picture):
    """Differences of brightness between neighbouring pixels, sorted.

    Args:
        picture: (H, W) or (H, W, C) in 0..255; brightness is the mean of the channels.

    Returns:
        (N,) float32, one for each pixel and its right and lower neighbour.
    """
    grey = np.asarray(picture, np.float32)
    grey = grey.mean(axis=-1) if grey.ndim == 3 else grey
    return np.sort(np.concatenate([np.diff(grey, axis=axis).ravel() for axis in (0, 1)]))


def texture_distance(a, b):
    """How unlike the textures of two pictures of one size are, wherever in them they lie.

    The mean difference of their sorted `neighbour_steps` (the Wasserstein distance of the two
    distributions), in grey levels. It sees one trait of texture only: noise of the right strength
    has it too.
    """
    return float(np.abs(neighbour_steps(a) - neighbour_steps(b)).mean())


def texture_histogram(pictures, *, largest=40):
    """Draw how often neighbouring pixels differ by how much, a line a picture, log scale.

    Args:
        pictures: Title → picture, as `neighbour_steps` takes it.
        largest: Steps up to this many grey levels are drawn.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    edges = np.arange(-largest, largest + 2) - 0.5
    for title, picture in pictures.items():
        steps = neighbour_steps(picture)
        share = np.histogram(steps, edges)[0] / len(steps)
        axes.plot(edges[:-1] + 0.5, share, label=title)
    axes.set(
        xlabel="step to the next pixel, grey levels", ylabel="share of the pixels", yscale="log"
    )
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def comparison(rows, *, note="", width_px=432):
    """Draw parts of pictures in rows: a heading above each row, a caption below each part.

    Args:
        rows: (heading, remark) → {(caption, remark): (h, w, 3) uint8}. Parts of a row have one
            size, and are drawn `width_px` wide: a whole multiple of theirs keeps pixels square.
        note: A line below all.
        width_px: Of each part.

    Returns:
        A `matplotlib.figure.Figure`; saved with ``dpi=72`` its parts are exactly that wide.
    """
    unit = width_px / 432  # of what is written
    gap, heading, caption, footer = (round(unit * px) for px in (24, 74, 62, 50 if note else 0))
    sizes = [next(iter(parts.values())).shape for parts in rows.values()]
    heights = [round(height * width_px / width) for height, width, _ in sizes]
    columns = max(map(len, rows.values()))
    width = columns * (width_px + gap) - gap
    height = sum(heights) + len(rows) * (heading + caption) + footer
    figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="white")

    def write(text, x, y, size, **how):
        how = {"color": _FAINT, "fontsize": unit * size} | how
        figure.text(x / width, 1 - y / height, text, **how)

    top = 0
    for ((title, remark), parts), tall in zip(rows.items(), heights, strict=True):
        write(title, 0, top + 0.7 * heading, 38, color=_INK, weight="bold")
        write(remark, width, top + 0.7 * heading, 27, ha="right", family="monospace")
        top += heading
        for column, ((name, number), part) in enumerate(parts.items()):
            left = column * (width_px + gap)
            place = (left / width, 1 - (top + tall) / height, width_px / width, tall / height)
            axes = figure.add_axes(place)
            axes.imshow(part, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
            how = {"color": _INK, "weight": "bold" if name == "ours" else "normal"}
            write(name, left, top + tall + 0.6 * caption, 29, **how)
            write(number, left + width_px, top + tall + 0.6 * caption, 29, ha="right", **how)
        top += tall + caption
    write(note, 0, height - 0.36 * footer, 24)
    return figure
