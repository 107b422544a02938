"""The blog's published WDSR-B ×4 scores here what it scored there.

On Set5 it is scored in tests/infer/test_evaluate.py, through the command line.
"""

import numpy as np
import pytest
from PIL import Image

from model import resolve
from model.metrics import psnr
from model.wdsr import wdsr_b


@pytest.mark.slow
def test_published_wdsr_scores_on_set14(shared):
    """Mean PSNR on luma, 4 px border cut, on LR as distributed."""
    model = wdsr_b(4, num_res_blocks=32)
    model.load_weights(shared / "data" / "weights" / "krasserm-wdsr-b-32-x4.h5")
    folder = shared / "data" / "set14"
    lr_files = sorted((folder / "LR_bicubic" / "X4").glob("*.png"))
    hr_files = sorted((folder / "HR").glob("*.png"))
    scores = [score(model, *files) for files in zip(lr_files, hr_files, strict=True)]
    assert round(float(np.mean(scores)), 2) == 28.57


def score(model, lr_file, hr_file):
    lr, hr = (np.asarray(Image.open(file).convert("RGB"))[None] for file in (lr_file, hr_file))
    sr = resolve(model, lr).numpy()
    hr = hr[:, : sr.shape[1], : sr.shape[2]]
    return psnr(hr, sr, border_px=4, luminance=True)[0]
