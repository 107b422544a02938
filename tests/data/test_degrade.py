"""Noises, blurs, aliasing and scratches against the reference."""

import json

import numpy as np
import pytest

from data.degrade import (
    alias,
    blur,
    gaussian_kernel,
    gaussian_noise,
    motion_kernel,
    poisson_noise,
    salt_and_pepper,
    to_uint8,
)
from data.scratches import _chain, _draw, paint, scratches
from tests.conftest import GOLDEN

META = json.loads((GOLDEN / "degrade" / "meta.json").read_text())
NOISE = META["noise"]
SHAPE = (211, 199, 3)
SAMPLES = np.prod(SHAPE)


@pytest.fixture(scope="module")
def arrays():
    with np.load(GOLDEN / "degrade" / "arrays.npz") as file:
        return dict(file)


def noisy(damage, case, **options):
    grey = np.full(SHAPE, case["x"], np.uint8)
    return damage(grey, random=np.random.default_rng(17), **options)


def assert_moments(samples, mean, variance, slack):
    assert abs(samples.mean() - mean) <= 5 * np.sqrt(variance / SAMPLES)
    if variance:
        assert abs(samples.var() / variance - 1) <= slack * 5 * np.sqrt(2 / SAMPLES)


@pytest.mark.parametrize("case", NOISE["gaussian"]["cases"])
def test_gaussian_noise(case):
    samples = noisy(gaussian_noise, case, sigma=case["sigma"])
    assert_moments(samples, case["mean"], case["var"], 1)
    clipped = np.clip(samples, 0, 255)
    assert abs(clipped.mean() - case["mean_clipped_0_255"]) <= 5 * np.sqrt(case["var"] / SAMPLES)


@pytest.mark.parametrize("case", NOISE["poisson"]["cases"])
def test_poisson_noise(case):
    samples = noisy(poisson_noise, case, peak=case["peak"])
    assert_moments(samples, case["mean"], case["var"], 3)


@pytest.mark.parametrize("case", NOISE["salt_and_pepper"]["cases"])
def test_salt_and_pepper(case):
    options = {"amount": case["amount"], "salt_vs_pepper": case["salt_vs_pepper"]}
    samples = noisy(salt_and_pepper, case, **options)
    for value, rate in ((255, case["rate_salt_255"]), (0, case["rate_pepper_0"])):
        allowed = 5 * np.sqrt(rate * (1 - rate) / SAMPLES)
        assert abs((samples == value).mean() - rate) <= allowed
    assert_moments(samples, case["mean"], case["var"], 3)


def test_noise_is_a_function_of_the_seed_and_differs_between_channels():
    grey = np.full((13, 17, 3), 99, np.uint8)
    first, again, other = (gaussian_noise(grey, 5, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[..., 0], first[..., 1])


@pytest.mark.parametrize("name", META["gaussian"])
def test_gaussian_kernels(arrays, name):
    facts = META["gaussian"][name]
    kernel = gaussian_kernel(facts["size"], facts["sigma"])
    np.testing.assert_allclose(kernel, arrays[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", META["motion"])
def test_motion_kernels(arrays, name):
    facts = META["motion"][name]
    kernel = motion_kernel(facts["length"], facts["angle_deg"])
    np.testing.assert_allclose(kernel, arrays[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", META["blur_outputs"])
def test_blur(arrays, name):
    if name.startswith("asymmetric"):
        kernel = arrays["asymmetric_kernel"]
        expected = arrays["asymmetric_correlate"]
    else:
        kernel, expected = arrays[name.removeprefix("blurred_")], arrays[name]
    result = blur(arrays["blur_input"][0], kernel)
    np.testing.assert_allclose(result, expected[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("method", "reference"),
    [
        ("nearest", "matlab_nearest"),
        ("bicubic", "cv2_bicubic"),
        ("opencv-nearest", "cv2_nearest"),
    ],
)
@pytest.mark.parametrize("size", ["even", "odd"])
def test_aliasing(arrays, size, method, reference):
    result = alias(arrays[f"alias_{size}_input"][0], 0.3, method)
    expected = arrays[f"alias_{size}_{reference}"][0]
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-9)


def test_aliasing_refuses_an_unknown_method():
    with pytest.raises(ValueError, match="nearest, bicubic, opencv-nearest, got 'lanczos'"):
        alias(np.zeros((7, 5, 3)), 0.3, "lanczos")


def test_rounds_and_clips():
    assert to_uint8(np.array([-3.0, 1.4, 1.6, 300.0])).tolist() == [0, 1, 2, 255]


def test_scratches_are_marked_by_zero_and_seeded():
    first, again, other = (scratches(127, 131, np.random.default_rng(s)) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (127, 131, 1) and set(np.unique(first)) == {0, 1}
    assert not np.array_equal(first, other)
    assert 0.005 < (first == 0).mean() < 0.4
    picture = np.full((127, 131, 3), 7, np.uint8)
    painted = paint(picture, first)
    assert (painted[first[..., 0] == 0] == 255).all() and (painted[first[..., 0] == 1] == 7).all()


@pytest.mark.parametrize("width_px", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("angle", [0.0, 0.7, 2.1])
def test_a_scratch_is_as_wide_as_it_says(width_px, angle):
    damaged = np.zeros((151, 157), bool)
    _draw(damaged, _chain(np.array([70.3, 70.8]), angle, 60.0, 0.0), width_px / 2)
    round_ends = np.pi * width_px**2 / 4
    assert damaged.sum() == pytest.approx(60 * width_px + round_ends, rel=0.04)


def test_widths_span_two_to_six_px(monkeypatch):
    radii = []
    monkeypatch.setattr("data.scratches._draw", lambda damaged, chain, radius: radii.append(radius))
    for seed in range(60):
        scratches(31, 37, np.random.default_rng(seed), count=1)
    assert set(radii) == {1, 1.5, 2, 2.5, 3}
