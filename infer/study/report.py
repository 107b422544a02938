"""Tables and plots of a study, as Markdown, PNG and CSV."""

import html
import json
from pathlib import Path

import numpy as np

from data.pictures.whole_file import whole_file
from infer.study import export, plots, statistics
from infer.study.ratings import Observers, read

_SECONDS = 30


def report(study, out):
    """Write ``report.md``, three plots, two CSV files and a data set for sureal.

    Args:
        study: Folder of the study.
        out: Folder to write to; made if missing.

    Returns:
        The main tables, Markdown.

    Raises:
        ValueError: It is no study, or has no ratings yet.
        OSError: A file cannot be written.
    """
    ratings, out = read(study), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    observers = Observers(ratings)
    main = _scores(ratings, observers)
    parts = [
        f"# Study with people: {_text(Path(study).resolve().name)}",
        _who(ratings),
        main,
        _without(ratings, observers.flagged),
        "![Mean opinion scores](mos.png)",
        _differences(ratings),
        _people(observers),
        "![People](people.png)",
        _agreement(ratings),
        _times(ratings),
        "![Seconds a screen](times.png)",
    ]
    files = plots.draw(ratings, observers) | export.files(ratings)
    files["report.md"] = ("\n\n".join(part for part in parts if part) + "\n").encode()
    for name, content in files.items():
        with whole_file(out / name) as file:
            file.write(content)
    return main


def _people(observers):
    """The people, Markdown."""
    rows, s, m = [], observers.screening, observers.model
    screens = {row[0]: row[3] for row in observers.ratings.people}
    for n, person in enumerate(observers.people):
        own = observers.ratings.person == person
        rows.append(
            f"| {person + 1} | {own.sum()} | {100 * s.outlying[n]:.1f} % | "
            f"{_number(s.one_sided[n])} | {'yes' if s.rejected[n] else ''} | "
            f"{_number(observers.correlation[n])} | {'yes' if observers.random[n] else ''} | "
            f"{m.bias[n]:+.2f} | {m.inconsistency[n]:.2f} | "
            f"{np.median(observers.ratings.seconds[own]):.0f} s | {_screen(screens[person])} |"
        )
    return "\n".join(
        [
            "## People",
            "",
            "Outlying ratings, how one-sided they are, and who is left out by ITU-R BT.500-14 "
            "(more than 5 % outlying, one-sidedness below 0.3); correlation with the mean of "
            "the others, and who cannot be told from somebody who clicks at random (not above "
            "0 with p < 0.01); bias and inconsistency by ITU-T P.910.",
            "",
            "| person | screens | outlying | one-sided | BT.500 | correlation | random? | bias "
            "| inconsistency | a screen | window, zoom |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _screen(text):
    screen = json.loads(text or "{}")
    if not screen:
        return "–"
    return f"{screen['width']:.0f} × {screen['height']:.0f}, {screen['zoom']:.0f} %"


def _who(ratings):
    done = sum(row[4] == row[5] for row in ratings.people)
    return (
        f"{len(ratings.people)} links; {len(np.unique(ratings.person))} people rated, {done} of "
        f"them to the end: {len(ratings.person)} screens, {ratings.scores.size} scores from 1 (as "
        "the blurred picture) to 5 (as the original)."
    )


def _scores(ratings, observers):
    first = ratings.first()
    lines = ["## Mean opinion scores", ""]
    for group, which in first.groups().items():
        here = first.of(which)
        if not len(here.person):
            continue
        mean, half = statistics.mean_of_people(here.person, here.scores)
        low, high = statistics.bootstrap_interval(here.person, here.scene, here.scores)
        quality, error = observers.of_results(np.unique(here.scene))
        lines += [
            f"### {_text(group)}: {len(np.unique(here.person))} people, "
            f"{len(np.unique(here.scene))} scenes",
            "",
            "| | n | mean ± sd | 95 % over people (t) | 95 % over people and pictures (bootstrap) "
            "| P.910 ± 95 % |",
            "|---|---|---|---|---|---|",
        ]
        deviation = _deviation(here.scores)
        for n, name in enumerate(here.results):
            lines.append(
                f"| {_text(name)} | {len(here.scores)} | {mean[n]:.3f} ± {_number(deviation[n], 3)}"
                f" | {_interval(mean[n] - half[n], mean[n] + half[n])} | "
                f"{_interval(low[n], high[n])} | {quality[n]:.3f} ± {_number(error[n], 3)} |"
            )
        lines.append("")
    lines.append(
        "Repeated screens count only for P.910, which takes the biases of people out. The first "
        "interval is for these pictures and other people, the second for other pictures too."
    )
    return "\n".join(lines)


def _without(ratings, flagged):
    """The means again without the people whom a test would leave out."""
    first = ratings.first()
    kept = ~np.isin(first.person, flagged)
    if kept.all() or not kept.any():
        return "" if kept.any() else "All people would be screened out."
    who = ", ".join(str(person + 1) for person in flagged)
    lines = [
        f"### Without {'person' if len(flagged) == 1 else 'people'} {who}, screened out",
        "",
        "| | " + " | ".join(_text(name) for name in ratings.results) + " |",
        "|---|" + "---|" * len(ratings.results),
    ]
    here = first.of(kept)
    for group, which in here.groups().items():
        scores = here.scores[which]
        if len(scores):
            pairs = zip(scores.mean(axis=0), _deviation(scores), strict=True)
            cells = " | ".join(f"{mean:.3f} ± {_number(sd, 3)}" for mean, sd in pairs)
            lines.append(f"| {_text(group)} | {cells} |")
    return "\n".join(lines)


def _differences(ratings):
    first, variants = ratings.first(), ratings.results[:-1]
    lines = ["## Differences between variants", ""]
    for group, which in first.groups().items():
        here = first.of(which)
        people, person = np.unique(here.person, return_inverse=True)
        sums = np.zeros((len(people), len(variants)))
        np.add.at(sums, person, here.scores[:, :-1])
        means = sums / np.bincount(person, minlength=len(people))[:, None]
        overall, pairs = statistics.compare_variants(means)
        if not pairs:
            continue
        said = "" if overall is None else f": p of Friedman's test {_p(overall)}"
        lines += [f"### {_text(group)}{said}", "", "| | difference | p (Wilcoxon, Holm) |"]
        lines.append("|---|---|---|")
        for (a, b), p in pairs.items():
            difference = (means[:, a] - means[:, b]).mean()
            names = f"{_text(variants[a])} − {_text(variants[b])}"
            lines.append(f"| {names} | {difference:+.3f} | {_p(p)} |")
        lines.append("")
    if len(lines) == 2:
        return ""
    lines.append("Of the means of people; each person is compared with themselves only.")
    return "\n".join(lines)


def _agreement(ratings):
    """How people rate the same screen a second time."""
    differences = []
    for n in np.flatnonzero(ratings.repeat):
        before = (ratings.person == ratings.person[n]) & (ratings.scene == ratings.scene[n])
        before = np.flatnonzero(before & ~ratings.repeat)
        differences += list(ratings.scores[n] - ratings.scores[before[0]]) if len(before) else []
    if not differences:
        return ""
    size = np.abs(differences)
    return (
        f"## Repeated screens\n\nOf {len(size)} pictures that were rated twice by one person, "
        f"{100 * (size == 0).mean():.0f} % got the same score again and "
        f"{100 * (size <= 1).mean():.0f} % one at most a step away; the mean difference is "
        f"{np.mean(differences):+.2f}, its standard deviation {np.std(differences):.2f}."
    )


def _times(ratings):
    quarter, median, three = np.percentile(ratings.seconds, [25, 50, 75])
    return (
        f"## Time\n\nHalf of the screens took {quarter:.0f} to {three:.0f} s, the median is "
        f"{median:.0f} s; {100 * (ratings.seconds > _SECONDS).mean():.0f} % took more than "
        f"{_SECONDS} s."
    )


def _deviation(scores):
    if len(scores) < 2:
        return np.full(scores.shape[1], np.nan)
    return scores.std(axis=0, ddof=1)


def _number(value, digits=2):
    return "–" if np.isnan(value) else f"{value:.{digits}f}"


def _interval(low, high):
    return "–" if np.isnan(low) else f"{low:.3f} … {high:.3f}"


def _p(value):
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _text(name):
    """A name as Markdown that does nothing."""
    return html.escape(" ".join(name.split())).replace("|", "&#124;")
