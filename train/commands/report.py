"""Runs side by side: a table and a figure, from what each run left in its folder."""

from pathlib import Path

COLUMNS = (
    "run",
    "steps",
    "best PSNR, dB",
    "at step",
    "last loss",
    "learning rate",
    "hours",
    "cool-down from",
    "pictures",
    "commit",
)
"""Of the table. A run can be prolonged (--extend) from the step in "cool-down from"."""

_MISSING = "–"


COMMANDS = {
    "report": (
        "Tabulate and draw runs side by side.",
        "python -m train report .ckpt/edsr .ckpt/wdsr -o runs.png",
    ),
}


def add_options(command, name="report"):
    """Add the options of ``python -m train report`` to its parser."""
    command.add_argument("runs", nargs="+", metavar="DIR", help="folders of runs")
    command.add_argument(
        "-o",
        "--out",
        default="report.png",
        metavar="FILE",
        help="figure to write (default report.png)",
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
    from data.quiet_start import load_tensorflow

    load_tensorflow()
    from train.curves import draw_curves, read_metrics

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
        ValueError: run.json is damaged.
    """
    facts = _facts(directory, lines)
    scored = [line for line in lines if line.get("psnr_rgb_db") is not None]
    best = max(scored, key=lambda line: line["psnr_rgb_db"], default={})
    last = lines[-1] if lines else {}
    losses = [v for name, v in last.items() if name.endswith("loss") and v is not None]
    commits = [session.get("commit") for session in facts.get("sessions", [])]
    values = (
        directory,
        last.get("step"),
        best.get("psnr_rgb_db"),
        best.get("step"),
        losses[0] if losses else None,
        last.get("learning_rate"),
        _hours(lines),
        _cool_down_from(facts),
        _pictures(facts.get("data", {})),
        commits[-1][:7] if commits and commits[-1] else None,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _facts(directory, lines):
    from train.run_facts import RunFacts

    facts = RunFacts(directory).read()
    if not facts and not lines:
        raise FileNotFoundError(f"no run in {directory}: neither run.json nor metrics.jsonl")
    return facts


def _cool_down_from(facts):
    """Step at which the learning rate begins to fall to zero, where a run has such a step."""
    from train.plan import constant_until

    return constant_until(facts.get("plan") or facts.get("recipe", {}).get("learning_rate"))


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
