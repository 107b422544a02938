"""PSNR and SSIM against BasicSR, scikit-image and float64."""

import json
import math

import numpy as np
import pytest

from model.metrics import psnr, ssim
from tests.conftest import GOLDEN

VALUES = json.loads((GOLDEN / "metrics" / "values.json").read_text())["pairs"]


@pytest.mark.parametrize("pair", VALUES)
@pytest.mark.parametrize("convention", ["rgb_crop0", "rgb_crop4", "y_crop0", "y_crop4"])
def test_equal_the_reference(golden, pair, convention):
    pictures = np.load(golden / "metrics" / "pairs.npz")
    expected = VALUES[pair]["values"][convention]
    options = {"luminance": convention[0] == "y", "border_px": int(convention[-1])}
    a, b = pictures[f"{pair}_a"], pictures[f"{pair}_b"]
    assert float(psnr(a, b, **options)[0]) == pytest.approx(
        _number(expected["float64_psnr"]), abs=1e-3
    )
    assert float(ssim(a, b, **options)[0]) == pytest.approx(expected["float64_ssim"], abs=1e-4)


def _number(value):
    return math.inf if value == "inf" else value


def test_one_value_a_picture():
    a = np.random.default_rng(0).integers(0, 256, (2, 13, 17, 3), dtype=np.uint8)
    b = a.copy()
    b[1] = 255 - b[1]
    values = psnr(a, b).numpy()
    assert values.shape == (2,) and values[0] == math.inf and values[1] < 20


def test_refuses_different_sizes():
    with pytest.raises(ValueError, match="same size"):
        psnr(np.zeros((1, 13, 17, 3)), np.zeros((1, 13, 19, 3)))
