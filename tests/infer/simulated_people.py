"""People who rate as `infer.study.statistics` believes they do: known quality, bias, noise."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from infer.study.plan import RATING, plan


def design(people, scenes, results=5):
    """(N,) person and (N,) scene of every screen, half of the scenes for each person."""
    items = plan(["set"] * scenes, results, people, repeats=0, training=0)
    screens = [(n, i.scene) for n, own in enumerate(items) for i in own if i.kind == RATING]
    return np.array(screens).T


@dataclass(frozen=True)
class Study:
    """Ratings, and what is true of them."""

    person: np.ndarray
    scene: np.ndarray
    scores: np.ndarray
    here: np.ndarray
    """(variants,) expected score over people at large, for the scenes of this study."""
    at_large: np.ndarray
    """(variants,) the same over all scenes that there could be."""
    random: np.ndarray
    """(people,) whether they click at random."""

    def single(self):
        """Person, item and score of single ratings."""
        variants = self.scores.shape[1]
        item = self.scene[:, None] * variants + np.arange(variants)
        return np.repeat(self.person, variants), item.ravel(), self.scores.ravel()


def simulate(seed, where, quality, *, scene_sd=0.3, bias_sd=0.3, noise_sd=0.7, clickers=0):
    """Let people rate variants whose mean quality is known.

    Args:
        seed: Of all that is drawn.
        where: What `design` returns.
        quality: Of each variant, in 1..5.
        scene_sd: How the quality of a variant differs between scenes.
        bias_sd: How people differ on the whole.
        noise_sd: How a person differs from rating to rating.
        clickers: The last so many people click at random.
    """
    random, (person, scene) = np.random.default_rng(seed), where
    people, scenes, quality = person.max() + 1, scene.max() + 1, np.asarray(quality, float)
    of_scene = quality + scene_sd * random.standard_normal((scenes, len(quality)))
    felt = of_scene[scene] + bias_sd * random.standard_normal(people)[person, None]
    felt += noise_sd * random.standard_normal(felt.shape)
    scores = np.clip(np.rint(felt), 1, 5)
    chance = np.arange(people) >= people - clickers
    clicks = random.integers(1, 6, scores.shape)
    scores = np.where(chance[person, None], clicks, scores)
    spread = np.hypot(bias_sd, noise_sd)
    here = _expected(of_scene, spread).mean(axis=0)
    return Study(
        person, scene, scores, here, _expected(quality, np.hypot(spread, scene_sd)), chance
    )


def _expected(quality, spread):
    """Mean of what is rounded to 1..5."""
    return 1 + sum(norm.sf((limit - quality) / spread) for limit in (1.5, 2.5, 3.5, 4.5))
