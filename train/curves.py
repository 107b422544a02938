"""Curves of runs against the step: losses, PSNR, learning rate, and the scores of each task."""

import json
from pathlib import Path

from matplotlib.figure import Figure

LABELS = {
    "loss": "loss",
    "psnr_rgb_db": "PSNR, RGB, dB",
    "learning_rate": "learning rate",
    "ssim_rgb": "SSIM, RGB",
    "lpips": "LPIPS (lower: better)",
}
"""What is drawn, in this order, before anything else."""

_NOT_DRAWN = {"step", "session_s", "skipped_steps"}
_COLUMNS = 2  # more would be shrunk by a page, and their text with them
_STYLES = ("-", "--", ":", "-.")
_MOST_INSIDE = 4  # entries of a legend; longer ones stand beside their panel
_MOST_MARKED = 50  # points of a line; more are a line without marks


def read_metrics(directory):
    """Return the lines of ``metrics.jsonl`` as dicts; [] if there is no such file.

    A last line that is not finished is left out: it is being written, or its writer was killed.

    Raises:
        ValueError: Another line is damaged: names file and line, and says what to do.
    """
    file = Path(directory, "metrics.jsonl")
    if not file.exists():
        return []
    finished = file.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    return [_parsed(file, number, line) for number, line in enumerate(finished, 1)]


def _parsed(file, number, text):
    try:
        line = json.loads(text)
        int(line["step"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{file} is damaged in line {number} ({error}): remove that line; checkpoints and "
            "weights do not depend on it"
        ) from error
    return line


def draw_run(directory):
    """Draw ``curves.png`` of a run, if its ``metrics.jsonl`` has numbers to draw."""
    draw_curves({"": read_metrics(directory)}, Path(directory, "curves.png"))


def draw_curves(runs, png):
    """Draw the numbers of one or more runs against the step, a panel a quantity.

    The scores of each task are drawn of a single run only; of several they are too many lines.

    Args:
        runs: Name → dicts of metrics.jsonl: ``step``, and numbers.
        png: File to write.

    Returns:
        Whether there was anything to draw; if not, nothing is written.
    """
    panels = _panels(runs)
    if not panels:
        return False
    rows, columns = -(-len(panels) // _COLUMNS), min(len(panels), _COLUMNS)
    figure = Figure(figsize=(5 * columns, 3.5 * rows), layout="constrained")
    grid = iter(figure.subplots(rows, columns, squeeze=False).flat)
    for quantity, curves in panels.items():
        _draw_panel(next(grid), quantity, curves, several=len(runs) > 1)
    for left_over in grid:
        left_over.set_axis_off()
    figure.savefig(png, dpi=100)
    return True


def _panels(runs):
    """Quantity → (run, name of the line) → [(step, value)]."""
    panels = {}
    for run, lines in runs.items():
        for line in lines:
            for key in line:
                task, _, metric = key.rpartition("/")
                if key in _NOT_DRAWN or line[key] is None or (task and len(runs) > 1):
                    continue
                quantity = "loss" if key.endswith("loss") else metric
                name = task or (key if quantity == "loss" else "")
                curves = panels.setdefault(quantity, {})
                curves.setdefault((run, name), []).append((line["step"], line[key]))
    rates = panels.get("learning_rate", {}).values()
    if len({value for points in rates for _, value in points}) == 1:
        del panels["learning_rate"]  # says nothing that a number would not
    order = [*LABELS, *sorted(panels)]
    return {quantity: panels[quantity] for quantity in sorted(panels, key=order.index)}


def _draw_panel(axes, quantity, curves, *, several):
    runs, names = (list(dict.fromkeys(part)) for part in zip(*curves, strict=True))
    for (run, name), points in curves.items():
        style = {"marker": "." if len(points) <= _MOST_MARKED else None}
        if several:
            style["color"] = f"C{runs.index(run)}"
            style["linestyle"] = _STYLES[names.index(name) % len(_STYLES)]
        elif len(names) > 1 and not name:
            style["color"] = "black"
        axes.plot(
            *zip(*points, strict=True), label=_label(run if several else "", name, names), **style
        )
    axes.set(xlabel="step", ylabel=LABELS.get(quantity, quantity))
    axes.grid(alpha=0.3)
    if quantity == "loss" and _far_apart(curves.values()):
        axes.set_yscale("log")
    if len(curves) > _MOST_INSIDE:
        axes.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    elif several or len(curves) > 1:
        axes.legend(fontsize=9)


def _far_apart(curves):
    """Whether values, all positive, are spread over more than a factor of ten: two losses, say."""
    values = [value for points in curves for _, value in points]
    return 0 < min(values) < max(values) / 10


def _label(run, name, names):
    if len(names) == 1:
        return run
    return ": ".join(part for part in (run, name or "mean of the tasks") if part)
