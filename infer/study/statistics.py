"""Statistics of opinion scores: intervals, screening of people, and models of how people rate.

Screens are arrays of one length: whole numbers from 0 that name person and scene, and the scores of
all variants, which one person gives a scene at once. Single ratings are three arrays: person, item
(one variant of one scene) and score. Not every person need rate everything, and a person may rate
an item twice.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import stats

_LARGEST_CHANGE, _MOST_ROUNDS, _LEAST_VARIANCE = 1e-8, 1000, 1e-8


def mean_of_people(person, scores):
    """Mean scores with 95 % intervals over people, the pictures held fixed.

    The ratings of one person are not independent, so that what counts is how the people differ:
    the variance is that of sums of people (cluster-robust), with Student's t of n - 1 degrees of
    freedom. Where all rate equally many, this is the t interval of the means of people.

    Args:
        person: (N,) whole numbers.
        scores: (N, variants).

    Returns:
        ``(mean, half)``, each (variants,): the interval is mean ± half; NaN with fewer than two
        people.
    """
    mean = scores.mean(axis=0)
    people, person = np.unique(person, return_inverse=True)
    n = len(people)
    if n < 2:
        return mean, np.full_like(mean, np.nan)
    sums = np.zeros((n, scores.shape[1]))
    np.add.at(sums, person, scores - mean)
    error = np.sqrt(n / (n - 1) * (sums**2).sum(axis=0)) / len(scores)
    return mean, stats.t.ppf(0.975, n - 1) * error


def bootstrap_interval(person, scene, scores, *, resamples=1000, seed=0):
    """95 % intervals of mean scores over other people and other pictures.

    People and scenes are drawn anew, with replacement and independently of each other; a screen
    counts as often as its person and its scene were drawn. That is a little wide where noise
    dominates, never too narrow.

    Args:
        person: (N,) whole numbers.
        scene: (N,) whole numbers.
        scores: (N, variants).
        resamples: Number of draws.
        seed: Of the draws.

    Returns:
        (2, variants): lower and upper ends, the 2.5 and 97.5 percentiles; NaN with fewer than two
        people or scenes.

    Reference: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007.
    """
    random, weight = np.random.default_rng(seed), np.ones((resamples, 1))
    for group in (person, scene):
        names, number = np.unique(group, return_inverse=True)
        if len(names) < 2:
            return np.full((2, scores.shape[1]), np.nan)
        drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
        weight = weight * drawn[:, number]
    total = weight.sum(axis=1, keepdims=True)
    means = (weight @ scores)[total[:, 0] > 0] / total[total[:, 0] > 0]
    return np.percentile(means, [2.5, 97.5], axis=0)


@dataclass(frozen=True)
class Screening:
    """What `screen` found, an entry a person.

    Attributes:
        outlying: Share of the person's ratings that lie far from the others'.
        one_sided: 0: as many of these above as below; 1: all on one side; NaN: none.
        rejected: True where the recommendation leaves the person out.
    """

    outlying: np.ndarray
    one_sided: np.ndarray
    rejected: np.ndarray


def screen(person, item, score):
    """Find people whose ratings are erratic.

    A rating is outlying where it is at least 2 standard deviations from the item's mean, or √20
    of them where the item's kurtosis is not in 2..4. A person is left out who has more than 5 %
    outlying ratings, about as many too high as too low. Where all would be, nobody is.

    Items that all rate alike have no outlying rating. The share is of the ratings that a person
    gave, where not all rate everything.

    Args:
        person: (N,) whole numbers.
        item: (N,) whole numbers.
        score: (N,).

    Returns:
        `Screening`.

    Reference: ITU-R BT.500-14 (2019), annex 1, 2.3.1.
    """
    count = np.maximum(np.bincount(item), 1)
    deviation = score - (np.bincount(item, score) / count)[item]
    second, fourth = (np.bincount(item, deviation**power) / count for power in (2, 4))
    kurtosis = np.divide(fourth, second**2, out=np.zeros_like(second), where=second > 0)
    limit = np.where((kurtosis >= 2) & (kurtosis <= 4), 2, np.sqrt(20)) * np.sqrt(second)
    limit = np.where(second > 0, limit, np.inf)[item]
    rounding = 1e-9  # a score exactly at the limit is outlying, whatever the last bit
    above, below = (np.bincount(person, side * deviation >= limit - rounding) for side in (1, -1))
    outlying = (above + below) / np.maximum(np.bincount(person), 1)
    one_sided = np.divide(
        abs(above - below), above + below, out=np.full(len(above), np.nan), where=outlying > 0
    )
    rejected = (outlying > 0.05) & (np.nan_to_num(one_sided, nan=1.0) < 0.3)
    return Screening(outlying, one_sided, rejected & ~rejected.all())


@dataclass(frozen=True)
class Model:
    """What `maximum_likelihood` found.

    Attributes:
        quality: An entry an item: its score, without the biases of who rated it.
        quality_error: Its standard error.
        bias: An entry a person: how much higher than others they rate; 0 on average.
        inconsistency: An entry a person: standard deviation of what is left.
    """

    quality: np.ndarray
    quality_error: np.ndarray
    bias: np.ndarray
    inconsistency: np.ndarray


def maximum_likelihood(person, item, score):
    """Fit "score = quality of the item + bias of the person + noise of the person".

    Careful people count more than erratic ones, and nobody has to be left out.

    Args:
        person: (N,) whole numbers, all of 0..max.
        item: (N,) whole numbers, all of 0..max.
        score: (N,).

    Returns:
        `Model`.

    Reference: ITU-T P.910 (2021), annex E; Li et al., arXiv:2004.02067, by alternating projection.
    """
    ratings, raters = np.bincount(person), np.bincount(item)
    quality = np.bincount(item, score) / raters
    bias = np.bincount(person, score - quality[item]) / ratings
    for _ in range(_MOST_ROUNDS):
        before = quality
        rest = score - quality[item] - bias[person]
        centred = rest - (np.bincount(person, rest) / ratings)[person]
        variance = np.bincount(person, centred**2) / ratings
        weight = (1 / (variance + _LEAST_VARIANCE))[person]
        quality = np.bincount(item, weight * (score - bias[person])) / np.bincount(item, weight)
        bias = np.bincount(person, score - quality[item]) / ratings
        if np.linalg.norm(quality - before) < _LARGEST_CHANGE:
            break
    centred = rest - (np.bincount(item, rest) / raters)[item]
    error = np.sqrt(np.bincount(item, centred**2)) / raters
    shift = bias.mean()
    return Model(quality + shift, error, bias - shift, np.sqrt(variance))


def random_clickers(person, item, score):
    """Find people whose ratings have nothing to do with those of the others.

    Args:
        person: (N,) whole numbers, all of 0..max.
        item: (N,) whole numbers.
        score: (N,).

    Returns:
        ``(correlation, random)``, an entry a person: Pearson's correlation with the mean of the
        others (NaN where there is none), and True unless it is above 0 with p < 0.01.
    """
    people = person.max() + 1
    total, count = np.bincount(item, score), np.bincount(item)
    correlation, random = np.full(people, np.nan), np.zeros(people, bool)
    for one in range(people):
        own = person == one
        own_total = np.bincount(item[own], score[own], len(total))
        others = count - np.bincount(item[own], minlength=len(total))
        shared = own & (others[item] > 0)
        if shared.sum() < 3:
            continue
        mean = ((total - own_total) / np.maximum(others, 1))[item[shared]]
        if np.ptp(mean) == 0:
            continue
        if np.ptp(score[shared]) == 0:
            correlation[one], random[one] = 0, True
            continue
        test = stats.pearsonr(score[shared], mean, alternative="greater")
        correlation[one], random[one] = test.statistic, test.pvalue >= 0.01
    return correlation, random


def holm(p_values):
    """Correct p-values for their number (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1)
    return corrected


def compare_variants(means):
    """Test whether variants differ, each person being their own control.

    Args:
        means: (people, variants): the mean score that a person gave a variant, all of them over
            the same pictures.

    Returns:
        ``(p, pairs)``: the p-value of Friedman's test (None with fewer than three variants or two
        people, or where nobody sees a difference), and ``{(a, b): p}`` of Wilcoxon's signed-rank
        tests with Holm's correction (empty with fewer than two people).
    """
    people, variants = means.shape
    if people < 2 or variants < 2:
        return None, {}
    differs = (np.ptp(means, axis=1) > 0).any()
    overall = stats.friedmanchisquare(*means.T).pvalue if variants > 2 and differs else None
    pairs = list(itertools.combinations(range(variants), 2))
    p_values = [_wilcoxon(means[:, a] - means[:, b]) for a, b in pairs]
    return overall, dict(zip(pairs, holm(p_values), strict=True))


def _wilcoxon(differences):
    differences = np.round(differences, 9)  # what differs by rounding only is a tie
    return stats.wilcoxon(differences).pvalue if differences.any() else 1.0
