"""Statistics of opinion scores: against sureal, and on simulated people whose truth is known."""

import json

import numpy as np
import pytest
from scipy import stats

from infer.study import statistics
from tests.infer.simulated_people import design, simulate

DATA_SETS = [
    "NFLX_dataset_public_raw",
    "NFLX_dataset_public_raw_last4outliers",
    "VQEGHD3_dataset_raw",
    "VQEGHD3_dataset_raw_partial",
]


@pytest.fixture(params=DATA_SETS)
def published(request, golden):
    """Person, item and score of sureal's example data, and its results."""
    found = json.loads((golden / "sureal" / f"{request.param}.json").read_text())
    cells = [
        (person, item, int(score))
        for item, row in enumerate(found["ratings"])
        for person, score in enumerate(row)
        if score != " "
    ]
    return request.param, np.array(cells).T, found


def test_the_model_of_p910_equals_sureals(published):
    _, (person, item, score), found = published
    model = statistics.maximum_likelihood(person, item, score.astype(float))
    for ours, key in (
        (model.quality, "quality_scores"),
        (model.quality_error, "quality_scores_std"),
        (model.bias, "observer_bias"),
        (model.inconsistency, "observer_inconsistency"),
    ):
        np.testing.assert_allclose(ours, found["P910"][key], rtol=0, atol=1e-6)


def test_screening_by_bt500_equals_sureals(published):
    name, (person, item, score), found = published
    screening = statistics.screen(person, item, score.astype(float))
    theirs = found["BT500"]
    np.testing.assert_array_equal(screening.rejected, theirs["observer_rejected"])
    if name == "NFLX_dataset_public_raw":
        # It has an item that all rate alike: for sureal each rating of it is too high and too low.
        expected = np.array(theirs["observer_rejected_1st_stats"]) - 2 / 79
    elif name.endswith("partial"):
        # sureal divides by the number of all items, of which a person rated two thirds.
        items = len(found["ratings"])
        expected = np.array(theirs["observer_rejected_1st_stats"]) * items / np.bincount(person)
    else:
        expected = theirs["observer_rejected_1st_stats"]
    np.testing.assert_allclose(screening.outlying, expected, rtol=0, atol=1e-6)
    if name != "NFLX_dataset_public_raw":
        np.testing.assert_allclose(
            screening.one_sided, theirs["observer_rejected_2nd_stats"], rtol=0, atol=1e-6
        )


def test_means_of_items_equal_sureals(published):
    """An item is a variant here, and each person one cluster of a single rating."""
    _, (person, item, score), found = published
    for number in (0, 41, 71):
        own = item == number
        mean, half = statistics.mean_of_people(person[own], score[own, None].astype(float))
        error = half / stats.t.ppf(0.975, own.sum() - 1)
        assert mean[0] == pytest.approx(found["MOS"]["quality_scores"][number], abs=1e-6)
        assert error[0] == pytest.approx(found["MOS"]["quality_scores_std"][number], abs=1e-6)


QUALITY = [2.1, 2.6, 3.0, 3.4, 3.9]


@pytest.mark.slow
def test_intervals_hold_the_truth_in_95_percent_of_500_studies():
    """Of the paper's size: 50 people, 15 of 30 scenes each."""
    where = design(50, 30)
    people, pictures = np.zeros((2, 500))
    for seed in range(500):
        study = simulate(seed, where, QUALITY)
        mean, half = statistics.mean_of_people(study.person, study.scores)
        people[seed] = (abs(mean - study.here) <= half).mean()
        low, high = statistics.bootstrap_interval(
            study.person, study.scene, study.scores, resamples=200
        )
        pictures[seed] = ((low <= study.at_large) & (study.at_large <= high)).mean()
    assert people.mean() == pytest.approx(0.95, abs=0.02)
    assert pictures.mean() == pytest.approx(0.95, abs=0.02)


def test_random_clickers_are_found_and_others_are_not():
    where, found, wronged = design(20, 24), [], []
    for seed in range(20):
        study = simulate(seed, where, QUALITY, clickers=2)
        _, random = statistics.random_clickers(*study.single())
        found += list(random[study.random])
        wronged += list(random[~study.random])
    assert np.mean(found) >= 0.95 and np.mean(wronged) <= 0.01


def test_the_model_finds_bias_and_inconsistency_that_were_put_in():
    random = np.random.default_rng(3)
    person, item = np.divmod(np.arange(31 * 97), 97)
    quality, bias = random.uniform(1, 5, 97), random.normal(0, 0.5, 31)
    noise = np.linspace(0.2, 1.4, 31)
    score = quality[item] + bias[person] + noise[person] * random.standard_normal(len(person))
    model = statistics.maximum_likelihood(person, item, score)
    assert np.abs(model.bias - (bias - bias.mean())).max() < 0.4
    np.testing.assert_allclose(model.inconsistency, noise, rtol=0.25)
    plain = np.bincount(item, score) / 31
    truth = quality + bias.mean()
    assert np.std(model.quality - truth) < 0.6 * np.std(plain - truth)


def test_variants_that_differ_are_told_apart_and_equal_ones_are_not():
    random = np.random.default_rng(5)
    means = 3 + 0.2 * random.standard_normal((17, 3)) + [0, 0, 0.8]
    overall, pairs = statistics.compare_variants(means)
    assert overall == pytest.approx(stats.friedmanchisquare(*means.T).pvalue) and overall < 0.001
    assert pairs[0, 1] > 0.1 and pairs[0, 2] < 0.01 and pairs[1, 2] < 0.01
    assert statistics.compare_variants(np.ones((5, 3))) == (None, dict.fromkeys(pairs, 1.0))
    assert statistics.compare_variants(np.ones((1, 3))) == (None, {})
    overall, pairs = statistics.compare_variants(means[:, [0, 2]])
    assert overall is None and pairs[0, 1] < 0.001, "Friedman's test needs three"


def test_holms_correction_by_hand():
    corrected = statistics.holm([0.01, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(corrected, [0.04, 0.09, 0.09, 0.5])


def test_one_person_or_one_scene_has_no_interval():
    scores = np.array([[1.0, 5], [2, 4]])
    zeros, two = np.zeros(2, int), np.arange(2)
    assert np.isnan(statistics.mean_of_people(zeros, scores)[1]).all()
    assert np.isnan(statistics.bootstrap_interval(zeros, two, scores)).all()
    assert np.isnan(statistics.bootstrap_interval(two, zeros, scores)).all()
