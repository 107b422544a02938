"""Results of any size: what is reached, how, and that nothing of the picture's kind is lost."""

import numpy as np
import pytest

import infer
from data.pictures.read import load_image
from data.pictures.write import save_image
from data.resize import imresize, imresize_to
from infer.__main__ import main
from infer.chain import Chain
from infer.detect import Detection
from infer.fusion import Fusion, Specialist
from infer.fusion_masks import MaskOptions
from infer.sizes import OutputSize, Sized
from infer.upscaler import Upscaler, upscale
from model.edsr import edsr

NETWORK = edsr(2, 4, 1)


def picture(*shape, dtype=np.uint8, seed=3):
    top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 255
    return np.random.default_rng(seed).uniform(0, top, shape).astype(dtype)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"scale": 2.5}, (43, 58)),
        ({"scale": 1.5}, (26, 35)),
        ({"width": 31}, (23, 31)),
        ({"height": 31}, (31, 42)),
        ({"longest": 46}, (34, 46)),
        ({"megapixels": 0.001}, (27, 37)),
        ({"scale": 0.01}, (1, 1)),
    ],
)
def test_the_size_is_exact(size, expected):
    assert OutputSize(**size).of(17, 23) == expected
    assert OutputSize(**size).of(23, 17) != expected or expected == (1, 1)


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        ({}, "exactly one of scale, width, height, longest, megapixels, got none"),
        ({"scale": 2, "width": 5}, "got scale and width"),
        ({"scale": 0}, "scale must be above 0, got 0"),
        ({"megapixels": float("nan")}, "megapixels must be above 0, got nan"),
    ],
)
def test_sizes_that_are_none(size, sentence):
    with pytest.raises(ValueError, match=sentence):
        OutputSize(**size)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_bands_are_one_reduction(monkeypatch, dtype, channels):
    monkeypatch.setattr("data.resize._BAND_NUMBERS", 200)
    large = picture(61, 83, *channels, dtype=dtype)
    for size in ((43, 58), (40, 59), (7, 11), (61, 83), (89, 101)):
        out = np.empty((*size, *channels), dtype)
        imresize_to(out, large)
        top = np.iinfo(dtype).max if out.dtype.kind == "u" else 255
        whole = np.clip(imresize(large, size=size), 0, top)
        expected = np.rint(whole) if out.dtype.kind == "u" else whole
        np.testing.assert_array_equal(out, expected.astype(dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_one_run_and_an_exact_reduction(dtype, channels):
    lr = picture(17, 23, *channels, dtype=dtype)
    out = upscale(NETWORK, lr, size=OutputSize(scale=1.6))
    assert out.shape == (27, 37, *channels) and out.dtype == dtype
    expected = np.empty_like(out)
    imresize_to(expected, upscale(NETWORK, lr))
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(
        upscale(NETWORK, lr, size=OutputSize(scale=2)), upscale(NETWORK, lr)
    )


def test_more_runs_and_none_are_told():
    lr = picture(17, 23, 3)
    with pytest.warns(UserWarning, match="92 × 68 px takes 2 runs of a network ×2"):
        twice = upscale(NETWORK, lr, size=OutputSize(scale=4))
    np.testing.assert_array_equal(twice, upscale(NETWORK, upscale(NETWORK, lr)))
    with pytest.warns(UserWarning, match="12 × 9 px is not larger: reduced, without the network"):
        small = upscale(NETWORK, lr, size=OutputSize(longest=12))
    np.testing.assert_array_equal(small, imresize(lr, size=(9, 12)))
    with pytest.raises(ValueError, match="256 times as large as its picture at most, got 300"):
        upscale(NETWORK, lr, size=OutputSize(scale=300))


def test_clear_pixels_lend_no_colour_to_a_reduced_cut_out():
    image = np.zeros((16, 16, 4), np.uint8)
    image[4:12, 4:12] = (250, 10, 20, 255)
    with pytest.warns(UserWarning, match="reduced"):
        small = upscale(NETWORK, image, size=OutputSize(width=7))
    seen = small[small[..., 3] > 0]
    assert np.abs(seen[:, :3].astype(int) - (250, 10, 20)).max() <= 1


def test_progress_counts_the_pictures_pixels_once():
    for size in ({"scale": 1.5}, {"scale": 3.7}, {"scale": 0.5}):
        done = []
        Sized(Upscaler(NETWORK), OutputSize(**size))(picture(17, 23, 3), report=done.append)
        assert sum(done) == pytest.approx(17 * 23)


def test_a_network_that_does_not_enlarge_is_refused():
    with pytest.raises(ValueError, match="does not enlarge"):
        Sized(type("Network", (), {"reach": type("Reach", (), {"scale": 1})}), OutputSize(scale=2))


def test_faces_and_masks_are_those_of_the_result():
    box = Detection(10, 20, 30, 40, 0.9)
    fusion = Fusion(
        Upscaler(NETWORK),
        [Specialist(Upscaler(edsr(2, 4, 2)), lambda _: [box])],
        MaskOptions(least_px=5),
    )
    lr = picture(61, 83, 3)
    whole = fusion(lr)
    made = Sized(fusion, OutputSize(scale=1), again=Upscaler(NETWORK))(lr)
    np.testing.assert_array_equal(made, lr)  # nothing to enlarge
    made = Sized(fusion, OutputSize(scale=1.5))(lr)
    np.testing.assert_array_equal(made.pixels, imresize(whole.pixels, size=(92, 125)))
    (found,) = made.found
    assert found.left == pytest.approx(10 * 125 / 166) and found.height == pytest.approx(
        30.16, 1e-3
    )
    assert made.mask.shape == (92, 125) and made.mask.max() <= 1
    assert made.mask.mean() == pytest.approx(whole.mask.mean(), rel=0.01)
    made = Sized(fusion, OutputSize(scale=4), again=Upscaler(NETWORK))(lr)
    np.testing.assert_array_equal(made.pixels, upscale(NETWORK, whole.pixels))
    assert made.mask.shape == (244, 332)


def test_what_restores_first_does_so_also_where_no_network_enlarges():
    class Restorer:
        reach = type("Reach", (), {"scale": 1})

        def __call__(self, image, **_):
            return 255 - image

    lr = picture(17, 23, 3)
    chain = Chain(Restorer(), Sized(Upscaler(NETWORK), OutputSize(width=11)))
    assert "without the network" in chain.remark(lr.shape)
    np.testing.assert_array_equal(chain(lr), imresize(255 - lr, size=(8, 11)))


@pytest.fixture
def folder(tmp_path):
    """A network, and in/ with an RGB, a deep and a cut-out picture."""
    NETWORK.save_weights(tmp_path / "x2.weights.h5")
    (tmp_path / "in").mkdir()
    save_image(tmp_path / "in" / "a.png", picture(17, 23, 3))
    save_image(tmp_path / "in" / "deep.png", picture(19, 29, 3, dtype=np.uint16))
    save_image(tmp_path / "in" / "cut.png", picture(13, 11, 4))
    return tmp_path


def run(folder, *options):
    words = [folder / "in", "-o", folder / "out", "--model", folder / "x2.weights.h5", *options]
    return main(["upscale", *map(str, words)])


def test_the_command_gives_each_picture_the_size(folder, capsys):
    assert run(folder, "--longest", 34) == 0
    found = {file.name: load_image(file) for file in (folder / "out").glob("*.png")}
    shapes = {name: pixels.shape for name, pixels in found.items()}
    assert shapes == {"a.png": (25, 34, 3), "deep.png": (22, 34, 3), "cut.png": (34, 29, 4)}
    assert found["deep.png"].dtype == np.uint16
    expected = upscale(NETWORK, picture(17, 23, 3), size=OutputSize(longest=34))
    assert np.abs(found["a.png"].astype(int) - expected).max() <= 1
    captured = capsys.readouterr()
    assert "cut.png: a result of 29 × 34 px takes 2 runs" in captured.err
    assert captured.err.count("runs of a network") == 1
    assert run(folder, "--longest", 34) == 0
    assert "0 done, 3 skipped" in capsys.readouterr().out
    assert run(folder, "--scale", "1.2") == 0
    assert "3 done, 0 skipped" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["upscale", "faces"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--scale", "2", "--width", "9"], "argument --width: not allowed with argument --scale"),
        (["--scale", "0"], "argument --scale: must be a number above 0, got '0'"),
        (["--longest", "2.5"], "must be a whole number of 1 or more, got '2.5'"),
        (["--megapixels", "inf"], "must be a number above 0, got 'inf'"),
    ],
)
def test_wrong_sizes_get_one_line(folder, capsys, command, options, sentence):
    with pytest.raises(SystemExit) as stop:
        main([command, str(folder / "in"), "-o", str(folder / "out"), *options])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_sizes_are_public():
    assert infer.OutputSize is OutputSize and infer.Sized is Sized
