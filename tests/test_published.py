"""The blog's published WDSR-B ×4 scores here what it scored there."""

import numpy as np
import pytest
from PIL import Image

from model import resolve
from model.metrics import psnr
from model.wdsr import wdsr_b


@pytest.mark.parametrize(("data_set", "expected_db"), [("set5", 32.09), ("set14", 28.57)])
def test_published_wdsr_scores(shared, data_set, expected_db):
    """Mean PSNR on luma, 4 px border cut, on LR as distributed."""
    model = wdsr_b(4, num_res_blocks=32)
    model.load_weights(shared / "data" / "weights" / "krasserm-wdsr-b-32-x4.h5")
    folder = shared / "data" / data_set
    lr_files = sorted((folder / "LR_bicubic" / "X4").glob("*.png"))
    hr_files = sorted((folder / "HR").glob("*.png"))
    scores = [score(model, *files) for files in zip(lr_files, hr_files, strict=True)]
    assert round(float(np.mean(scores)), 2) == expected_db


def score(model, lr_file, hr_file):
    lr, hr = (np.asarray(Image.open(file).convert("RGB"))[None] for file in (lr_file, hr_file))
    sr = resolve(model, lr).numpy()
    hr = hr[:, : sr.shape[1], : sr.shape[2]]
    return psnr(hr, sr, border_px=4, luminance=True)[0]
