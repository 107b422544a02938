"""Plots of a study: scores, people, times."""

import io

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infer.study import statistics


def draw(ratings, observers):
    """``{file name: PNG}`` of the three plots.

    Args:
        ratings: `infer.study.ratings.Ratings`.
        observers: `infer.study.ratings.Observers`.
    """
    figures = {
        "mos.png": _scores(ratings.first()),
        "people.png": _people(observers),
        "times.png": _times(ratings),
    }
    return {name: _png(figure) for name, figure in figures.items()}


def _png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _plain(name):
    """A name that matplotlib does not take for a formula."""
    return name.replace("$", r"\$")


def _scores(ratings):
    """Above, means with both intervals; below, how often each score was given."""
    groups = {name: ratings.of(which) for name, which in ratings.groups().items() if which.any()}
    names = [_plain(name) for name in ratings.results]
    figure = Figure(figsize=(max(5, 1.5 + 1.1 * len(names)) * len(groups), 7), layout="constrained")
    axes = figure.subplots(2, len(groups), squeeze=False, sharey="row")
    for (above, below), (group, here) in zip(axes.T, groups.items(), strict=True):
        mean, half = statistics.mean_of_people(here.person, here.scores)
        low, high = statistics.bootstrap_interval(here.person, here.scene, here.scores)
        x = np.arange(len(names))
        above.errorbar(x - 0.1, mean, half, fmt="o", capsize=4, label="over people (t)")
        sides = np.maximum([mean - low, high - mean], 0)
        label = "over people and pictures (bootstrap)"
        above.errorbar(x + 0.1, mean, sides, fmt="s", capsize=4, label=label)
        above.set(title=_plain(group), ylim=(0.9, 5.1), yticks=range(1, 6))
        above.grid(axis="y", alpha=0.3)
        bottom = np.zeros(len(names))
        for score in range(1, 6):
            share = (here.scores == score).mean(axis=0)
            colour = colormaps["RdYlBu"]((score - 1) / 4)
            below.bar(x, share, bottom=bottom, color=colour, label=str(score))
            bottom += share
        for ax in (above, below):
            ax.set_xticks(x, names, rotation=20, ha="right", rotation_mode="anchor")
    axes[0, 0].set_ylabel("mean opinion score, 95 % intervals")
    axes[1, 0].set_ylabel("share of the scores")
    axes[0, -1].legend(fontsize=8)
    axes[1, -1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), title="score")
    return figure


def _people(observers):
    """Bias against inconsistency, a point a person."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    ax = figure.subplots()
    flagged = np.isin(observers.people, observers.flagged)
    bias, inconsistency = observers.model.bias, observers.model.inconsistency
    for which, label, marker in ((~flagged, "kept", "o"), (flagged, "screened out", "X")):
        if which.any():
            ax.scatter(inconsistency[which], bias[which], marker=marker, label=label)
    for x, y, person in zip(inconsistency, bias, observers.people, strict=True):
        ax.annotate(str(person + 1), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
    ax.axhline(0, color="grey", linewidth=0.8)
    ax.set(xlabel="inconsistency (standard deviation, P.910)", ylabel="bias (P.910)")
    ax.grid(alpha=0.3)
    ax.legend()
    return figure


def _times(ratings):
    """How long screens took, from the first to the last."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    ax = figure.subplots()
    ax.plot(ratings.position + 1, ratings.seconds, ".", alpha=0.4)
    places = np.unique(ratings.position)
    medians = [np.median(ratings.seconds[ratings.position == place]) for place in places]
    ax.plot(places + 1, medians, label="median")
    ax.axhline(30, color="grey", linestyle="--", linewidth=0.8, label="30 s")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="screen, training included", ylabel="seconds", ylim=(0, None))
    ax.grid(alpha=0.3)
    ax.legend()
    return figure
