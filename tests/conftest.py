"""Shared places and fixtures."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from weights import builders

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared"
RRDB = "rrdbnet-x4-nf16-nb2-gc8"
"""A stored PyTorch file and answer, without its ending."""


# Needed for results equal bit for bit; says why in train/__main__.py.
tf.config.threading.set_inter_op_parallelism_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    start_anew(7)


@pytest.fixture(autouse=True)
def _registered_for_one_test(monkeypatch):
    monkeypatch.setattr(builders, "BUILDERS", dict(builders.BUILDERS))


def start_anew(seed):
    """Seed everything and forget layer names, as a new process does."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)


@pytest.fixture
def shared():
    """The folder of pictures and reference answers beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED}, which is not part of the project")
    return SHARED


@pytest.fixture
def golden():
    """The folder of reference answers that come with the project."""
    return GOLDEN


@pytest.fixture
def hr_dir(tmp_path):
    """A folder of three noise pictures, 61×53, 47×67 and 59×71 px (height × width)."""
    folder = tmp_path / "hr"
    folder.mkdir()
    random = np.random.default_rng(5)
    for i, (height, width) in enumerate([(61, 53), (47, 67), (59, 71)]):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"picture{i}.png")
    return folder


def torch_error(model, answer):
    """Largest difference from a stored answer on 0..1, over its standard deviation."""
    expected = np.load(answer)
    output = model(255 * expected["input"], training=False).numpy() / 255
    return np.abs(output - expected["output"]).max() / expected["output"].std()
