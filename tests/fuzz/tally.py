"""The loop of a run: damage files, try each, count what became of it, and go on another day."""

import collections
import importlib
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from tests.fuzz import limited


class Tally:
    """Outcomes of a run by format, kept in a file after every batch.

    Args:
        path: JSON file; if it is there, the run that wrote it is continued.
    """

    def __init__(self, path):
        self.path, self.done = path, 0
        self.counts = collections.defaultdict(collections.Counter)
        if path.exists():
            kept = json.loads(path.read_text())
            self.done = kept["done"]
            self.counts.update({k: collections.Counter(v) for k, v in kept["counts"].items()})

    def add(self, outcomes):
        """Count a batch of pairs of format and outcome."""
        for kind, outcome in outcomes:
            self.counts[kind][outcome] += 1
        self.done += len(outcomes)
        self.path.write_text(json.dumps({"done": self.done, "counts": self.counts}, indent=1))

    def total(self):
        """Counter of outcomes of all formats."""
        return sum(self.counts.values(), collections.Counter())


def run(files, seconds, inputs, seed, keep):
    """Try damaged files, each in a limited child, until the time is over or all are tried.

    A file is made from the seed and its number, so that a run that was stopped continues as if it
    had not been.

    Args:
        files: Module with `corpus`, `chosen`, `damaged`, `attempt`, and constants.
        seconds: How long.
        inputs: How many in all, those of earlier runs in `keep` with the same seed included.
        seed: Of the damage.
        keep: Folder for those that fail, and for the counts.

    Returns:
        The `Tally`.
    """
    keep.mkdir(parents=True, exist_ok=True)
    for name, data in files.BESIDE.items():
        (keep / name).write_bytes(data)
    tally, ends = Tally(keep / f"{files.NAME}-{seed}.json"), time.monotonic() + seconds
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # threads end at a fork
        corpus = pool.submit(_listed, files.__name__).result()
    while tally.done < inputs and time.monotonic() < ends:
        numbers = range(tally.done, min(tally.done + files.BATCH, inputs))
        made = [_written(files, corpus, seed, number, keep) for number in numbers]
        paths = [path for _, path in made]
        outcomes = list(limited.outcomes(files.attempt, paths, files.SECONDS))
        for path, outcome in zip(paths, outcomes, strict=True):
            if outcome in files.EXPECTED:
                path.unlink()
        tally.add([(kind, outcome) for (kind, _), outcome in zip(made, outcomes, strict=True)])
    return tally


def _listed(module):
    return list(importlib.import_module(module).corpus())


def _written(files, corpus, seed, number, folder):
    """Make a damaged file; returns its format and path."""
    kind, ending, data = files.chosen(corpus, number)
    path = folder / f"{files.NAME}-{seed}-{number}{ending}"
    path.write_bytes(files.damaged(kind, data, np.random.default_rng([seed, number])))
    return kind, path
