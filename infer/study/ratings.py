"""What people gave, as arrays, and what their ratings tell of them."""

from dataclasses import dataclass

import numpy as np

from infer.study import statistics
from infer.study.database import Database
from infer.study.plan import REPEAT

ALL = "all scenes"


@dataclass(frozen=True)
class Ratings:
    """Finished screens that count, one entry each in all arrays.

    Attributes:
        results: Names of the variants, the hidden reference last.
        sets: Name of the set of each scene.
        scenes: Name of each scene.
        people: Rows of `infer.study.database.Database.people`.
        person: (N,) number of the person.
        scene: (N,) number of the scene.
        repeat: (N,) whether the person had rated the scene before.
        scores: (N, results) 1..5.
        seconds: (N,) for how long the screen was looked at.
        position: (N,) of the screen among the person's.
    """

    results: list
    sets: np.ndarray
    scenes: list
    people: list
    person: np.ndarray
    scene: np.ndarray
    repeat: np.ndarray
    scores: np.ndarray
    seconds: np.ndarray
    position: np.ndarray

    def of(self, which):
        """Only the screens where `which`, (N,) bool, is true."""
        names = ("person", "scene", "repeat", "scores", "seconds", "position")
        return Ratings(
            *(self.results, self.sets, self.scenes, self.people),
            *(getattr(self, name)[which] for name in names),
        )

    def first(self):
        """Without the repeated screens."""
        return self.of(~self.repeat)

    def single(self):
        """Person, item (scene × result) and score of each single rating."""
        results = len(self.results)
        item = self.scene[:, None] * results + np.arange(results)
        return np.repeat(self.person, results), item.ravel(), self.scores.ravel()

    def groups(self):
        """Name of a set → which screens are of it; all of them last, where there are several."""
        sets = self.sets[self.scene]
        groups = {name or ALL: sets == name for name in sorted(set(self.sets))}
        return groups if len(groups) == 1 else groups | {ALL: np.ones(len(sets), bool)}


def read(study):
    """The `Ratings` in the folder of a study.

    Raises:
        ValueError: Nobody has finished a screen yet.
    """
    database = Database(study)
    try:
        scenes, people = database.scenes(), database.people()
        rows, results = list(database.screens()), database.results
    finally:
        database.close()
    if not rows:
        raise ValueError(f"{study} has no ratings yet: nobody has finished a screen that counts")
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Ratings(
        results,
        np.array([name for _, name, _ in scenes]),
        [name for _, _, name in scenes],
        people,
        column["person"],
        column["scene"],
        column["kind"] == REPEAT,
        column["scores"].astype(float),
        column["elapsed_ms"] / 1000,
        column["position"],
    )


class Observers:
    """What is known of each person who rated.

    Attributes:
        people: Their numbers, 0 the first.
        screening: `infer.study.statistics.Screening` by BT.500.
        correlation: Of their ratings with the means of the others.
        random: Whether they cannot be told from somebody who clicks at random.
        model: `infer.study.statistics.Model` by P.910, items numbered as in `items`.
        items: Items of the model: scene × results + result.
    """

    def __init__(self, ratings):
        person, item, score = ratings.single()
        self.ratings = ratings
        self.people, person = np.unique(person, return_inverse=True)
        self.items, item = np.unique(item, return_inverse=True)
        self.screening = statistics.screen(person, item, score)
        self.correlation, self.random = statistics.random_clickers(person, item, score)
        self.model = statistics.maximum_likelihood(person, item, score)

    @property
    def flagged(self):
        """Numbers of the people whom either test would leave out."""
        return self.people[self.screening.rejected | self.random]

    def of_results(self, scenes):
        """(results,) mean quality by the model over some scenes, and half its 95 % interval."""
        count = len(self.ratings.results)
        here = np.isin(self.items // count, scenes)
        result, n = self.items[here] % count, len(np.unique(self.items[here] // count))
        quality = np.bincount(result, self.model.quality[here]) / n
        error = np.sqrt(np.bincount(result, self.model.quality_error[here] ** 2)) / n
        return quality, 1.959964 * error if len(self.people) > 1 else np.full(count, np.nan)
