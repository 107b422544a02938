"""`imresize` against MATLAB's own answers."""

import numpy as np
import pytest
from PIL import Image

from data.degrade import imresize

MATLAB = {
    "down_down_aa": ("in_square8", True),
    "down_down_x2_aa": ("in_square8", True),
    "down_down_irregular_noaa": ("in_square8", False),
    "up_up_irregular_aa": ("in_square8", True),
    "down_down_small_aa": ("in_small4", True),
    "up_up_topleft_noaa": ("in_topleft4", False),
    "down_down_x3_aa": ("in_ramp15", True),
    "down_down_butterfly_irregular_aa": ("in_butterfly_u8", True),
}


@pytest.mark.parametrize("case", MATLAB)
def test_equals_matlab_in_float(golden, case):
    answers = np.load(golden / "imresize" / "matlab.npz")
    key, antialias = MATLAB[case]
    picture = answers[key][0].astype(np.float64)
    if key.endswith("u8"):
        picture = picture / 255
    expected = answers[f"matlab_{case}"][0]
    result = imresize(picture, size=expected.shape[:2], antialias=antialias)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12 * expected.max())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_matlab_in_uint8(golden, scale):
    answers = np.load(golden / "imresize" / "matlab_uint8.npz")
    hr = answers["hr_woman"][0]
    height, width = (n // scale * scale for n in hr.shape[:2])
    result = imresize(hr[:height, :width], 1 / scale)
    np.testing.assert_array_equal(result, answers[f"lr_woman_x{scale}"][0])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_every_picture_of_set5(shared, scale):
    folder = shared / "data" / "set5"
    lr_files = sorted((folder / "LR_bicubic" / f"X{scale}").glob("*.png"))
    hr_files = sorted((folder / "HR").glob("*.png"))
    assert len(hr_files) == 5
    for lr_file, hr_file in zip(lr_files, hr_files, strict=True):
        hr = np.asarray(Image.open(hr_file))
        height, width = (n // scale * scale for n in hr.shape[:2])
        result = imresize(hr[:height, :width], 1 / scale)
        np.testing.assert_array_equal(result, np.asarray(Image.open(lr_file)))


@pytest.mark.parametrize("name", ["even", "odd", "prime", "tiny"])
@pytest.mark.parametrize("change", ["d2", "d3", "d4", "d2_noaa", "d3_noaa", "u2", "u3", "u4"])
def test_equals_basicsr_at_scalar_scales(golden, name, change):
    answers = np.load(golden / "imresize" / "basicsr.npz")
    picture = answers[f"in_{name}"][0] / 255
    if name == "even" and change[0] == "u":
        picture = picture[8:28, 10:34]
    factor = int(change[1])
    scale = factor if change[0] == "u" else 1 / factor
    result = imresize(picture, scale, antialias="noaa" not in change)
    np.testing.assert_allclose(result, answers[f"basicsr_{name}_{change}"][0], rtol=0, atol=5e-6)


def test_grey_picture_without_channel_axis():
    grey = np.random.default_rng(3).integers(0, 256, (29, 31), dtype=np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(imresize(grey, 1 / 2), imresize(colour, 1 / 2)[..., 1])


@pytest.mark.parametrize("arguments", [{}, {"scale": 2, "size": (3, 5)}, {"scale": 0}])
def test_refuses_unclear_sizes(arguments):
    with pytest.raises(ValueError, match="scale and size"):
        imresize(np.zeros((7, 5, 3)), **arguments)
