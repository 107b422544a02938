"""Curves of validation scores against steps, one line a task."""

from matplotlib.figure import Figure

LABELS = {"psnr_rgb_db": "PSNR, RGB, dB", "ssim_rgb": "SSIM, RGB", "lpips": "LPIPS (lower: better)"}


def draw_curves(lines, png):
    """Draw the per-task scores of a run.

    Args:
        lines: Dicts of metrics.jsonl: ``step``, and ``task/metric`` numbers.
        png: File to write. Nothing is written while there are no such numbers.
    """
    names = dict.fromkeys(name for line in lines for name in line if "/" in name)
    metrics = list(dict.fromkeys(name.split("/")[1] for name in names))
    if not metrics:
        return
    figure = Figure(figsize=(6 * len(metrics), 4), layout="constrained")
    for axes, metric in zip(
        figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True
    ):
        for name in (name for name in names if name.endswith(f"/{metric}")):
            points = [(line["step"], line[name]) for line in lines if name in line]
            axes.plot(*zip(*points, strict=True), marker=".", label=name.split("/")[0])
        axes.set(xlabel="step", ylabel=LABELS.get(metric, metric))
        axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(png, dpi=100)
