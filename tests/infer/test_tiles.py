"""Tiles give what one run gives; the receptive field is what a perturbed pixel shows."""

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from infer import tiles
from infer.reach import Reach, reach
from infer.upscaler import Upscaler, upscale
from model.common import resolve_single
from model.edsr import edsr
from model.esrgan import rrdb_net
from model.precision import in_half
from model.preupsample import srcnn, vdsr
from model.restormer import restormer
from model.srgan import discriminator, sr_resnet
from model.wdsr import wdsr_a, wdsr_b

NETWORKS = {
    "edsr x2": (lambda: edsr(2, 4, 1), 6),
    "edsr x3": (lambda: edsr(3, 4, 2), 8),
    "edsr x4": (lambda: edsr(4, 4, 1), 6),
    "wdsr-a x3": (lambda: wdsr_a(3, 4, 2), 6),
    "wdsr-b x4": (lambda: wdsr_b(4, 4, 2), 4),
    "sr-resnet": (lambda: sr_resnet(4, 1), 10),
    "srcnn x2": (lambda: srcnn(2, (4, 4)), 6),
    "vdsr x3": (lambda: vdsr(3, 4, 3), 3),
    "rrdb x4": (lambda: rrdb_net(4, 4, 1, 2), 19),
    "rrdb x2": (lambda: rrdb_net(2, 4, 1, 2), 38),
}


def picture(height, width, channels=3, dtype=np.uint8):
    top = 65535 if dtype == np.uint16 else 255
    values = np.random.default_rng(5).integers(0, top + 1, (height, width, channels))
    return values.astype(dtype).squeeze()


def make_positive(model):
    """Set weights with which no change cancels, dies in a ReLU or fades below float32."""
    rng = np.random.default_rng(3)
    for weight in model.weights:
        if len(weight.shape) > 1:
            inputs = np.prod(weight.shape[:-1])
            weight.assign(rng.uniform(0.5, 1.5, weight.shape) * 3 / inputs)
        elif weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(np.zeros(weight.shape))


def changed_distance(model):
    """How far from one changed pixel the answer changes, in picture pixels."""
    make_positive(model)
    size, middle, scale = 84, 41, reach(model).scale
    pictures = np.zeros((3, size, size, 3), np.float32)
    pictures[1:, middle, middle] = [[1e8], [-1e8]]  # both signs: bicubic has negative taps
    before, *after = model(pictures).numpy()
    _, rows, columns = np.nonzero(np.any(np.stack(after) != before, axis=-1))
    return max(np.abs(np.stack([rows, columns]) // scale - middle).max(axis=1))


@pytest.mark.parametrize("name", NETWORKS)
def test_radius_is_what_a_perturbed_pixel_shows(name):
    build, radius = NETWORKS[name]
    model = build()
    assert reach(model).radius_px == radius
    slack = 1 if "srcnn" in name or "vdsr" in name else 0  # half-pixel phases of bicubic
    assert radius - slack <= changed_distance(model) <= radius


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_equal_one_run(name):
    model = NETWORKS[name][0]()
    lr = picture(61, 83)
    whole = upscale(model, lr).astype(int)
    assert np.ptp(whole) > 20
    for tile in (16, 37):
        assert np.abs(upscale(model, lr, tile=tile) - whole).max() <= 1


def test_a_margin_below_the_radius_differs_and_above_it_does_not():
    model, lr = edsr(2, 4, 2), picture(47, 53)
    whole = upscale(model, lr).astype(int)
    assert np.abs(upscale(model, lr, tile=16, overlap_px=1) - whole).max() > 1
    assert np.abs(upscale(model, lr, tile=16, overlap_px=29) - whole).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 61)])
def test_small_pictures_are_padded_to_the_multiple(size):
    model, lr = rrdb_net(1, 4, 1, 2), picture(*size).reshape(*size, 3)
    padded = lr
    for axis, n in enumerate(size):
        widths = [(0, -n % 4 if a == axis else 0) for a in range(3)]
        padded = np.pad(padded, widths, "reflect" if -n % 4 < n else "edge")
    expected = np.clip(np.rint(model(padded[None].astype(np.float32))[0]), 0, 255)
    found = upscale(model, lr)
    assert found.shape == lr.shape
    assert np.abs(found - expected[: size[0], : size[1]]).max() <= 1


def test_reflection_does_not_repeat_the_edge():
    lr = np.arange(7 * 5).reshape(7, 5)
    np.testing.assert_array_equal(
        tiles.padded(lr, tiles.Window(0, 8, 0, 8)), np.pad(lr, [(0, 1), (0, 3)], "reflect")
    )


def global_network():
    """A blur whose brightness follows the mean of the whole picture."""
    pictures = keras.Input((None, None, 3))
    blur = keras.layers.DepthwiseConv2D(
        9, padding="same", depthwise_initializer=keras.initializers.Constant(1 / 81)
    )
    gain = keras.layers.GlobalAveragePooling2D(keepdims=True)(pictures)
    gain = keras.layers.Rescaling(1 / 127)(gain)
    return keras.Model(pictures, keras.layers.Multiply()([blur(pictures), gain]))


def step_ratio(sr, tile):
    """Mean step across tile borders over that inside tiles, along columns."""
    steps = np.abs(np.diff(sr.astype(float).mean(axis=2), axis=1)).mean(axis=0)
    at_border = np.arange(1, len(steps) + 1) % tile == 0
    return steps[at_border].mean() / steps[~at_border].mean()


def test_tile_borders_of_a_global_network_are_invisible():
    model = global_network()
    assert reach(model).radius_px is None
    noise = np.random.default_rng(2).uniform(0, 255, (97, 480, 3)).astype(np.float32)
    lr = np.clip((cv2.GaussianBlur(noise, (0, 0), 2) - 127) * 4 + 127, 0, 255)
    assert step_ratio(upscale(model, lr, tile=48, overlap_px=0), 48) > 1.5
    assert step_ratio(upscale(model, lr, tile=48), 48) <= 1.0


def test_the_tile_grid_keeps_the_grid_inside_a_restormer():
    model = restormer(dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1)
    network = Upscaler(model)
    assert (network.reach.radius_px, network.reach.multiple) == (None, 1)
    lr = picture(43, 59)
    np.testing.assert_array_equal(network(lr), resolve_single(model, lr))
    grid = tiles.make_grid((43, 59), network.reach, 21, 11)
    edges = tiles._edges(59, grid)
    assert [start % 8 for start, _ in edges] == [0] * len(edges) and len(edges) > 1


def test_blend_weights_of_neighbours_sum_to_one():
    grid = tiles.Grid(height=8, width=100, tile=40, margin=9, blend=7, step=1, scale=3)
    total = np.zeros(300)
    for start, end in tiles._edges(100, grid):
        first = max(0, start - 7) * 3
        weights = tiles._weights(start, end, 100, grid)
        total[first : first + len(weights)] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


class TooSmall:
    """A network ×2 that runs out of memory above so many pixels."""

    def __init__(self, limit):
        self.limit, self.sizes = limit, []

    def __call__(self, window):
        self.sizes.append(window.shape[0] * window.shape[1])
        if self.sizes[-1] > self.limit:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return window.astype(np.float32).repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("blend", [0, 3])
def test_a_tile_that_does_not_fit_is_halved(blend):
    lr, network = picture(53, 61), TooSmall(700)
    grid = tiles.Grid(53, 61, tile=40, margin=blend, blend=blend, step=1, scale=2)
    out = np.full((106, 122, 3), -1.0)

    def write(y, x, block):
        out[y : y + block.shape[0], x : x + block.shape[1]] = block

    tiles.run(grid, lambda box: tiles.padded(lr, box), network, write)
    np.testing.assert_allclose(out, lr.repeat(2, axis=0).repeat(2, axis=1), atol=1e-3)
    failures = [size for size in network.sizes if size > 700]
    assert failures == sorted(set(failures), reverse=True), "a size that failed was tried again"


def test_no_memory_at_all_is_said():
    lr = picture(31, 37)
    grid = tiles.Grid(31, 37, tile=40, margin=0, blend=0, step=1, scale=2)
    with pytest.raises(MemoryError, match="not enough memory even for a tile"):
        tiles.run(grid, lambda box: tiles.padded(lr, box), TooSmall(10), lambda *_: None)


def test_auto_takes_small_tiles_where_memory_is_short(monkeypatch):
    model, lr = edsr(2, 4, 1), picture(61, 83)
    monkeypatch.setattr("infer.upscaler.free_bytes", lambda: 1 << 16)
    network = Upscaler(model)
    assert network.fitting_tile() == 32
    assert np.abs(network(lr, tile="auto").astype(int) - upscale(model, lr)).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"tile": 7}, "tile must be at least 8 px, got 7"),
        ({"tile": "big"}, "tile must be a number of px, 'auto' or None, got 'big'"),
        ({"overlap_px": -1}, "overlap_px must not be negative, got -1"),
    ],
)
def test_bad_tiles(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        upscale(edsr(2, 4, 1), picture(11, 13), **arguments)


def test_networks_that_are_not_from_rgb_to_rgb():
    with pytest.raises(ValueError, match=r"from RGB to RGB pictures, got channels \(3, 1\)"):
        reach(discriminator(2))
    fixed = keras.Input((16, 16, 3))
    with pytest.raises(ValueError, match=r"for any size, got \(16, 16\)"):
        reach(keras.Model(fixed, keras.layers.Conv2D(3, 1)(fixed)))
    two = [keras.Input((None, None, 3)), keras.Input((None, None, 3))]
    with pytest.raises(ValueError, match="one input and one output"):
        reach(keras.Model(two, keras.layers.Add()(two)))
    halving = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="enlarge by a whole number, got 1/2"):
        reach(keras.Model(halving, keras.layers.Conv2D(3, 3, 2, "same")(halving)))


def deep_network(blocks=4):
    """An RRDBNet whose blocks change their input as much as those of trained ones do."""
    keras.utils.set_random_seed(5)
    model = rrdb_net(2, 8, blocks, 4)
    for weight in model.trainable_variables:
        if "body_" in weight.path and weight.name == "kernel":
            weight.assign(weight * 8)
    return model


def test_tiles_of_a_deep_network_differ_by_at_most_one_grey_level():
    model, lr = deep_network(), picture(60, 150)
    whole = upscale(model, lr).astype(int)
    assert np.ptp(whole) > 20
    tiled = upscale(model, lr, tile=48)
    assert np.abs(tiled - whole).max() <= 1
    margin = Upscaler(model)._margin_px()
    assert 4 <= margin <= reach(model).radius_px / 3
    rough = upscale(model, lr, tile=48, overlap_px=2)
    assert np.abs(rough.astype(int) - whole).max() > 1, "a network that needs no margin"


RRDB = Reach(scale=4, radius_px=349, multiple=1, bytes_per_px=8192)  # of the paper's network
AT_MOST = [  # size, free GB, margin in px, work of one run
    ((768, 1024), 16, 32, 1.3),
    ((768, 1024), 16, 64, 1.3),
    ((768, 1024), 16, 128, 1.3),
    ((768, 1024), 24, 200, 1.0),  # as a whole
    ((768, 1024), 24, 349, 1.0),
    ((1080, 1920), 16, 64, 1.3),
    ((3000, 4000), 64, 96, 1.3),
    ((768, 1024), 4, 32, 1.32),
    ((768, 1024), 8, 64, 1.32),
    ((768, 1024), 2, 96, 4.3),
    ((72, 72), 4, 349, 1.0),
]


@pytest.mark.parametrize(("size", "free_gb", "margin", "most"), AT_MOST)
def test_a_deep_network_computes_little_more_than_one_run(monkeypatch, size, free_gb, margin, most):
    network = Upscaler(deep_network(1))
    network.reach = RRDB
    monkeypatch.setattr("infer.upscaler.margin_px", lambda *_: margin)
    monkeypatch.setattr("infer.upscaler.free_bytes", lambda: free_gb << 30)
    grid = network.plan(size)
    assert tiles.work(grid) <= most
    assert grid.tile >= min(margin, *size), "tiles smaller than their margin"
    largest_bytes = tiles.largest_run_px(grid) * RRDB.bytes_per_px
    assert largest_bytes < (free_gb << 30) / 2, "more than the features alive leave room for"


def test_half_precision_takes_half_the_memory_but_for_the_ends_of_a_network():
    model = wdsr_b(4, num_res_blocks=2)
    full, half = (reach(m).bytes_per_px for m in (model, in_half(model, "bfloat16")))
    assert full / 2 <= half <= 0.6 * full
