"""Who sees which scenes in which order: equally often, at random, none twice in a row."""

from dataclasses import dataclass

import numpy as np

TRAINING, RATING, REPEAT = "training", "rating", "repeat"


@dataclass(frozen=True)
class Item:
    """One screen: a scene whose results a person rates.

    Attributes:
        kind: `TRAINING` (does not count), `RATING` or `REPEAT` (rated before by the same person).
        scene: Number of the scene.
        order: Numbers of the results, in the order in which they are shown.
    """

    kind: str
    scene: int
    order: tuple[int, ...]


def plan(sets, results, people, *, share=0.5, repeats=2, training=5, seed=0):
    """Plan a study.

    Args:
        sets: Set of test pictures, one entry a scene, such as ``["general", "faces", …]``.
        results: Number of results that a scene has.
        people: Number of people.
        share: Of each set, which a person rates; at least one scene.
        repeats: Scenes that each person rates a second time.
        training: Scenes that each person rates first, for training; from those that they will not
            rate, as far as there are any.
        seed: Of all that is drawn.

    Returns:
        For each person their `Item`s.

    Raises:
        ValueError: A number is out of its range, or no scene twice in a row cannot be had.
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share of scenes that a person rates must be in 0..1, got {share}")
    for name, number, least in (
        ("people", people, 1),
        ("repeated scenes", repeats, 0),
        ("training scenes", training, 0),
    ):
        if number < least:
            raise ValueError(f"the number of {name} must be {least} or more, got {number}")
    random = np.random.default_rng(seed)
    used = np.zeros(len(sets), int)
    return [
        _of_person(sets, results, used, share, repeats, training, random) for _ in range(people)
    ]


def _of_person(sets, results, used, share, repeats, training, random):
    own = _least_used(sets, used, share, random)
    used[own] += 1
    if len(sets) < 2 or not repeats < len(own):
        raise ValueError(
            f"no scene may come twice in a row: with {repeats} repeated scenes a person needs at "
            f"least {max(2, repeats + 1)}, got {len(own)} of {len(sets)}"
        )
    others = random.permutation(np.setdiff1d(np.arange(len(sets)), own))
    first = np.resize(np.concatenate([others, random.permutation(own)]), training)
    rated = _in_order(own, random.permutation(own)[:repeats], first[-1:], random)
    scenes = [(TRAINING, scene) for scene in first] + rated
    return [Item(k, int(s), tuple(random.permutation(results).tolist())) for k, s in scenes]


def _least_used(sets, used, share, random):
    """The scenes of each set that fewest people rate so far; which of equal ones, by chance."""
    chosen = []
    for name in sorted(set(sets)):
        scenes = np.array([number for number, each in enumerate(sets) if each == name])
        scenes = random.permutation(scenes)
        scenes = scenes[np.argsort(used[scenes], kind="stable")]
        chosen.append(scenes[: max(1, round(share * len(scenes)))])
    return np.concatenate(chosen)


def _in_order(own, again, before, random):
    """All scenes and the repeated ones, in random order, drawn until no neighbours are alike."""
    while True:
        order = random.permutation(np.concatenate([own, again]))
        if (np.diff(np.concatenate([before, order])) != 0).all():
            break
    seen, rated = set(), []
    for scene in order:
        rated.append((REPEAT if scene in seen else RATING, scene))
        seen.add(scene)
    return rated
