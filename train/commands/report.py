"""Runs side by side: a table and a figure, from what each run left in its folder."""

import json
from pathlib import Path

COLUMNS = (
    "run",
    "steps",
    "best PSNR, dB",
    "at step",
    "last loss",
    "learning rate",
    "hours",
    "pictures",
    "commit",
)

_MISSING = "–"


def add_options(command):
    """Add the options of ``python -m train report`` to its parser."""
    command.add_argument("runs", nargs="+", metavar="DIR", help="folders of runs")
    command.add_argument(
        "-o", "--out", default="report.png", metavar="FILE", help="figure (default report.png)"
    )


def run(options, report=print):
    """Tabulate and draw the runs the options name.

    Args:
        options: As `add_options` gives them: ``runs`` and ``out``.
        report: Called with the table, and with a sentence on the figure.

    Returns:
        Exit status 0.

    Raises:
        FileNotFoundError: A folder holds no run.
        ValueError: A file of a run is damaged.
    """
    from train.curves import draw_curves, read_metrics  # late: matplotlib takes a while

    runs = {directory: read_metrics(directory) for directory in options.runs}
    report(table([summary(directory, lines) for directory, lines in runs.items()]))
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    drawn = draw_curves(runs, options.out)
    report(f"wrote {options.out}" if drawn else "no run has numbers to draw yet")
    return 0


def summary(directory, lines):
    """Return what a run came to: column → value, None where it is not known.

    Args:
        directory: Folder of the run.
        lines: Dicts of its metrics.jsonl.

    Raises:
        FileNotFoundError: The folder holds no run.
        ValueError: run.json is no JSON.
    """
    facts = _facts(directory, lines)
    scored = [line for line in lines if "psnr_rgb_db" in line]
    best = max(scored, key=lambda line: line["psnr_rgb_db"], default={})
    last = lines[-1] if lines else {}
    losses = [value for name, value in last.items() if name.endswith("loss")]
    commits = [session.get("commit") for session in facts.get("sessions", [])]
    values = (
        directory,
        last.get("step"),
        best.get("psnr_rgb_db"),
        best.get("step"),
        losses[0] if losses else None,
        last.get("learning_rate"),
        _hours(lines),
        _pictures(facts.get("data", {})),
        commits[-1][:7] if commits and commits[-1] else None,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _facts(directory, lines):
    file = Path(directory, "run.json")
    if not file.exists():
        if not lines:
            raise FileNotFoundError(f"no run in {directory}: neither run.json nor metrics.jsonl")
        return {}
    try:
        return json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is no JSON: {error}") from error


def _hours(lines):
    """Time of all sessions up to their last lines; in a new session the clock begins anew."""
    seconds = [line.get("session_s", 0) for line in lines]
    ends = [now for now, then in zip(seconds, [*seconds, 0][1:], strict=True) if then <= now]
    return sum(ends) / 3600 if any(ends) else None


def _pictures(data):
    """Pictures of a data set's facts: of all its parts, where it is made of several."""
    parts = data.get("sources") or data.get("mixed")
    if parts:
        return sum(_pictures(part) or 0 for part in parts)
    return data.get("pictures")


def table(rows):
    """Return rows of `summary` as lines of text in columns."""
    cells = [list(COLUMNS), *(_texts(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def _texts(row):
    formats = {
        "best PSNR, dB": "{:.2f}",
        "last loss": "{:.4g}",
        "learning rate": "{:.2e}",
        "hours": "{:.2f}",
    }
    return [
        _MISSING if value is None else formats.get(column, "{}").format(value)
        for column, value in row.items()
    ]
