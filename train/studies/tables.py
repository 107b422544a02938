"""Tables and figures of the fine-tuning study."""

import csv

import numpy as np
from matplotlib.figure import Figure

from train.curves import LABELS

KINDS = ("input", "foundation", "fine-tuned")
LARGEST_ERROR = 64
"""Grey levels at which the colours of an error map end; stated beside it."""
_CROP_PX = 192  # largest side of the crops in figures, which show a pixel on 1.5 or more


def write_table(path, results, metrics):
    """Write results of cells as PATH.csv and PATH.md, a row a cell, best value of a row bold.

    Args:
        path: Without ending.
        results: Dicts ``task, train_size, valid_size, steps, scores → kind → metric``.
        metrics: Names of the metrics; all but ``lpips`` are better when higher.
    """
    columns = [(metric, kind) for metric in metrics for kind in KINDS]
    head = ["task", "train", "valid", "steps"] + [f"{metric} {kind}" for metric, kind in columns]
    rows = [
        [r["task"], r["train_size"], r["valid_size"], r["steps"]]
        + [r["scores"][kind][metric] for metric, kind in columns]
        for r in results
    ]
    with open(f"{path}.csv", "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    lines = [head, ["---"] * len(head)]
    for result, row in zip(results, rows, strict=True):
        lines.append([*map(str, row[:4]), *_cells(result["scores"], metrics)])
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    with open(f"{path}.md", "w") as file:
        file.write(text + "\n\nRGB, no border cut; real pixels of scratched pictures kept.\n")


def _cells(scores, metrics):
    for metric in metrics:
        values = [scores[kind][metric] for kind in KINDS]
        best = min(values) if metric == "lpips" else max(values)
        digits = 2 if metric.endswith("db") else 4
        for value in values:
            yield f"**{value:.{digits}f}**" if value == best else f"{value:.{digits}f}"


def middle(batch):
    """Cut the middle out of the first picture of a batch, (B, H, W, C), for a figure."""
    picture = np.asarray(batch)[0]
    height, width = (min(_CROP_PX, n) for n in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def draw_series(png, task, results, metrics):
    """Draw each metric against the steps of fine-tuning, with that of the foundation model."""
    figure = Figure(figsize=(5 * len(metrics), 4), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    steps = [result["steps"] for result in results]
    for axes, metric in zip(panels, metrics, strict=True):
        for kind, style in (("fine-tuned", "o-"), ("foundation", "--"), ("input", ":")):
            axes.plot(steps, [r["scores"][kind][metric] for r in results], style, label=kind)
        axes.set(xlabel="steps of fine-tuning", ylabel=LABELS.get(metric, metric))
        axes.grid(alpha=0.3)
    panels[-1].legend()
    figure.suptitle(task)
    figure.savefig(png, dpi=100)


def draw_comparison(png, rows):
    """Draw table 6: a row a task; input, foundation, fine-tuned and truth.

    Args:
        png: File to write.
        rows: Task → name → (H, W, 3) uint8.
    """
    figure, grid = _grid(rows, len(next(iter(rows.values()))))
    for line, (task, pictures) in zip(grid, rows.items(), strict=True):
        for axes, (name, picture) in zip(line, pictures.items(), strict=True):
            axes.imshow(picture)
            axes.set_title(f"{task}: {name}", fontsize=9)
    figure.savefig(png, dpi=120)


def draw_error_maps(png, rows):
    """Draw table 7: mean absolute difference of the channels from the truth, colour map jet."""
    figure, grid = _grid(rows, len(KINDS))
    for line, (task, pictures) in zip(grid, rows.items(), strict=True):
        for axes, kind in zip(line, KINDS, strict=True):
            difference = pictures[kind].astype(np.float32) - pictures["truth"]
            error = np.abs(difference).mean(axis=2)
            image = axes.imshow(error, cmap="jet", vmin=0, vmax=LARGEST_ERROR)
            axes.set_title(f"{task}: {kind}", fontsize=9)
    bar = figure.colorbar(image, ax=grid, shrink=0.6, extend="max")
    bar.set_label(f"mean absolute error,\n0 to {LARGEST_ERROR} of 255 grey levels", fontsize=9)
    figure.savefig(png, dpi=120)


def _grid(rows, columns):
    figure = Figure(figsize=(2.5 * columns, 2.7 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    return figure, grid
