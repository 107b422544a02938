"""Every mode and depth through a network: alpha without rims, grey grey, white white."""

import keras
import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.upscaler import Upscaler, upscale
from infer.variants import blend, half_if_faster
from model.common import resolve_single
from model.edsr import edsr
from model.layers import fold_weight_norm
from model.precision import in_half
from model.wdsr import wdsr_b
from weights.load import load_model

SIZES = ((5, 7), (11, 13))
TOPS = {"uint8": 255, "uint16": 65535, "float32": 255.0, "float64": 255.0}


def picture(shape, dtype="uint8", seed=6):
    return (np.random.default_rng(seed).random(shape) * TOPS[dtype]).astype(dtype)


def repeating(scale=2):
    """A network that repeats each pixel."""
    pictures = keras.Input((None, None, 3))
    return keras.Model(pictures, keras.layers.UpSampling2D(scale)(pictures))


def blurring():
    """A network ×2 that mixes each pixel with its neighbours, as trained ones do."""
    pictures = keras.Input((None, None, 3))
    blur = keras.layers.DepthwiseConv2D(
        3, padding="same", depthwise_initializer=keras.initializers.Constant(1 / 9)
    )
    return keras.Model(pictures, keras.layers.UpSampling2D(2)(blur(pictures)))


def test_rgb_equals_resolve_single():
    model, lr = edsr(3, 4, 1), picture((31, 47, 3))
    np.testing.assert_array_equal(upscale(model, lr), resolve_single(model, lr))


@pytest.mark.parametrize("dtype", TOPS)
@pytest.mark.parametrize("channels", [(), (1,), (2,), (3,), (4,)])
def test_modes_and_depths_come_back(channels, dtype):
    lr = np.maximum(picture((19, 23, *channels), dtype), 1)  # alpha 0 would hide colours
    sr = upscale(repeating(), lr)
    assert sr.dtype == ("float32" if dtype.startswith("float") else dtype)
    expected = lr.repeat(2, axis=0).repeat(2, axis=1)
    if channels in ((2,), (4,)):  # alpha is interpolated, not run through the network
        sr, expected = sr[..., :-1], expected[..., :-1]
    np.testing.assert_allclose(sr, expected, atol=1e-3 if sr.dtype == np.float32 else 0)


def test_alpha_is_interpolated_between_its_neighbours():
    ramp = np.repeat(np.arange(0, 250, 10, dtype=np.uint8)[None], 9, axis=0)
    grey = np.dstack([np.full_like(ramp, 77), ramp])
    for tile in (None, 8):
        sr = upscale(repeating(4), grey, tile=tile)[..., 1].astype(int)
        assert np.abs(np.diff(sr[:, 8:-8], axis=1) - 2.5).max() <= 1.5
        assert np.all(np.diff(sr, axis=1) >= 0) and np.all(sr == sr[:1])


def test_sixteen_bits_keep_more_than_256_levels():
    ramp = np.linspace(0, 65535, 53 * 41).astype(np.uint16).reshape(41, 53)
    assert len(np.unique(upscale(blurring(), ramp))) > 1000


def test_grey_stays_grey_and_equals_rgb_of_equal_channels():
    grey = picture((29, 31))
    sr = upscale(repeating(), grey)
    rgb = upscale(repeating(), np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(sr, rgb[..., 1])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_white_stays_white_and_black_black(channels, dtype):
    model = edsr(2, 4, 1)
    for value in (0, TOPS[dtype]):
        lr = np.full((17, 19, *channels), value, dtype)
        if channels in ((2,), (4,)):
            lr[..., -1] = TOPS[dtype]
        assert set(upscale(model, lr).ravel()) <= {value, TOPS[dtype]}
        assert set(upscale(model, lr)[..., :1].ravel()) == {value}
        tiles = upscale(model, lr, tile=8)
        np.testing.assert_array_equal(tiles, upscale(model, lr))


def test_no_dark_rim_around_a_cut_out():
    lr = np.zeros((32, 40, 4), np.uint8)  # transparent black
    lr[8:24, 10:30] = (250, 240, 20, 255)
    sr = upscale(blurring(), lr)
    seen = sr[sr[..., 3] > 0]
    assert np.abs(seen[:, :3].astype(int) - (250, 240, 20)).max() <= 1
    alpha = sr[..., 3]
    assert set(alpha[18:46, 22:58].ravel()) == {255}, "opaque parts stay opaque"
    assert set(alpha[:14].ravel()) == {0}, "clear parts stay clear"
    assert 0 < alpha[16, 30] < 255, "the edge is smooth"


def test_self_ensemble_is_the_mean_of_eight():
    model, lr = edsr(2, 4, 1), picture((13, 17, 3), "float32")
    answers = []
    for turns in range(4):
        for flip in (False, True):
            turned = np.rot90(lr, turns)
            turned = np.flipud(turned) if flip else turned
            answer = model(turned[None].copy())[0].numpy()
            answer = np.flipud(answer) if flip else answer
            answers.append(np.rot90(answer, -turns))
    expected = np.clip(np.mean(answers, axis=0), 0, 255)
    found = Upscaler(model, self_ensemble=True)(lr)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(found - upscale(model, lr)).max() > 0.1


def test_the_answer_goes_to_a_given_array(tmp_path):
    model, lr = edsr(2, 4, 1), picture((29, 37, 3))
    file = np.memmap(tmp_path / "out", np.uint8, "w+", shape=(58, 74, 3))
    done = []
    network = Upscaler(model)
    assert network(lr, tile=16, out=file, report=done.append) is file
    np.testing.assert_array_equal(np.fromfile(tmp_path / "out", np.uint8), network(lr).ravel())
    assert len(done) == 6 and sum(done) == pytest.approx(29 * 37)
    with pytest.raises(ValueError, match=r"out must be \(58, 74, 3\) uint8"):
        network(lr, out=np.empty((58, 74), np.uint8))


@pytest.mark.parametrize(("dtype", "tolerance"), [(None, 0.01), ("bfloat16", 1.0)])
def test_frozen_networks_give_the_same(dtype, tolerance):
    for model in (wdsr_b(2, 4, num_res_blocks=2), edsr(2, 4, 1, res_block_scaling=0.1)):
        model = in_half(model, dtype) if dtype else model
        expected = [model.traced(picture((1, *size, 3), "float32")) for size in SIZES]
        model.freeze()
        for size, output in zip(SIZES, expected, strict=True):
            frozen = model.traced(picture((1, *size, 3), "float32"))
            np.testing.assert_allclose(frozen, output, atol=tolerance)
        model.set_weights([0 * weight for weight in model.get_weights()])
        np.testing.assert_array_equal(model.traced(picture((1, *size, 3), "float32")), frozen)
        model.freeze()
        assert np.ptp(model.traced(picture((1, *size, 3), "float32"))) < 12  # the mean colour


def test_one_trace_serves_all_sizes():
    model = edsr(2, 4, 1)
    network = Upscaler(model)
    for size in ((5, 7, 3), (11, 13, 3), (17, 19)):
        network(picture(size))
    assert model.traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((5, 7, 5), np.uint8), r"must be \(H, W\) or \(H, W, 1 to 4\), got \(5, 7, 5\)"),
        (np.zeros((2, 5, 7, 3), np.uint8), r"got \(2, 5, 7, 3\)"),
        (np.zeros((0, 7, 3), np.uint8), r"must have pixels, got \(0, 7, 3\)"),
        (np.zeros((5, 7, 3), np.int32), "must be uint8, uint16 or floats, got int32"),
        (np.full((5, 7), np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_bad_pictures(image, sentence):
    with pytest.raises(ValueError, match=sentence):
        upscale(repeating(), image)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([(), (2,), (3,), (4,)]),
    dtype=st.sampled_from(list(TOPS)),
    tile=st.sampled_from([None, 8, 13, "auto"]),
)
def test_any_picture_goes_through(height, width, channels, dtype, tile):
    lr = picture((height, width, *channels), dtype, seed=height * 41 + width)
    whole = Upscaler(NETWORK)(lr)
    sr = Upscaler(NETWORK)(lr, tile=tile)
    assert sr.shape == (height * 2, width * 2, *channels)
    grey_level = 257 if dtype == "uint16" else 1
    assert np.abs(sr.astype(float) - whole).max() <= grey_level


NETWORK = edsr(2, 4, 1)


def test_blend_goes_from_one_network_to_the_other():
    a, b = (fold_weight_norm(wdsr_b(2, 4, num_res_blocks=1)) for _ in range(2))
    lr = picture((1, 11, 13, 3), "float32")
    np.testing.assert_allclose(blend(a, b, 0)(lr), a(lr), atol=1e-3)
    np.testing.assert_allclose(blend(a, b, 1)(lr), b(lr), atol=1e-3)
    middle = blend(a, b, 0.3).get_weights()
    for x, y, z in zip(a.get_weights(), b.get_weights(), middle, strict=True):
        np.testing.assert_allclose(z, 0.7 * x + 0.3 * y, atol=1e-6)
    with pytest.raises(ValueError, match="share of a blend must be in 0..1, got 1.5"):
        blend(a, b, 1.5)
    with pytest.raises(ValueError, match="only networks of the same layers"):
        blend(a, edsr(2, 4, 1), 0.5)


@pytest.mark.parametrize(("dtype", "largest"), [("bfloat16", 6.0), ("float16", 1.0)])
def test_half_precision_is_near(dtype, largest):
    model = fold_weight_norm(wdsr_b(2, 8, num_res_blocks=2))
    half = in_half(model, dtype)
    kinds = {layer.compute_dtype for layer in half.layers}
    assert kinds == {dtype, "float32"}
    lr = picture((1, 19, 23, 3), "float32")
    answer, expected = half(lr), model(lr)
    assert answer.dtype == tf.float32
    difference = np.abs(answer - expected).max()
    assert 0 < difference < largest


def test_half_precision_costs_what_no_one_sees():
    lr = skimage.data.astronaut()[:64, 150:214]
    network = load_model("wdsr-b-32-x4")
    expected = upscale(network, lr).astype(int)
    difference = upscale(in_half(network, "bfloat16", in_place=True), lr) - expected
    assert np.abs(difference).max() <= 6 and 0 < np.mean(difference**2) < 0.25  # 54 dB


@pytest.mark.slow
def test_small_residuals_are_not_lost_in_half_precision():
    """As many of them as in ESRGAN, each too small to change a sum of 8 binary digits."""
    keras.utils.set_random_seed(0)
    model = edsr(2, 8, num_res_blocks=64, res_block_scaling=0.01)
    lr = picture((1, 19, 23, 3), "float32")
    without = edsr(2, 8, num_res_blocks=64, res_block_scaling=1e-9)
    without.set_weights(model.get_weights())
    moved = np.abs(model(lr) - without(lr)).mean()
    assert np.abs(in_half(model, "bfloat16")(lr) - model(lr)).mean() < 0.2 * moved


def test_half_is_used_only_where_it_is_faster(monkeypatch):
    model = edsr(2, 4, 1)
    seconds = iter([1.0, 0.95, 1.0, 0.5])
    monkeypatch.setattr("infer.variants._seconds", lambda network: next(seconds))
    network, sentence = half_if_faster(model)
    assert network is model and "not faster on this device" in sentence
    network, sentence = half_if_faster(model)
    assert network is not model and sentence.startswith("half precision: 0.500 s in bfloat16")
