"""The benchmark of filters without learning: what its table says."""

import re

import numpy as np
import pytest
import skimage.data
from PIL import Image

from benchmarks.classical import FILTERS, KINDS, main
from data.tasks import TASKS


@pytest.fixture
def photos(tmp_path):
    Image.fromarray(skimage.data.astronaut()[:96, 180:276]).save(tmp_path / "face.png")
    return tmp_path


def test_each_task_has_a_row_and_methods():
    assert {task for task, _ in KINDS.values()} == set(TASKS) == set(FILTERS)


def test_filters_gain_on_the_damage_they_are_for(photos, capsys):
    kinds = ["salt and pepper 5 %", "jagged edges 0.3", "Gaussian blur 2 px", "JPEG quality 40"]
    small = ["--count", "1", "--crop-px", "64", "--networks"]
    main(["--clean", str(photos), "--kinds", *kinds, *small])
    out = capsys.readouterr().out
    table = {c[0]: c[1:] for c in (re.findall(r"[^|]+(?= \|)", r) for r in out.split("\n")) if c}
    scores = {name.strip(): cells for name, cells in table.items()}
    for kind in kinds:
        before, best, after = scores[kind]
        assert float(after) > float(before) + 0.1, (kind, best)
    assert scores["salt and pepper 5 %"][1].strip() == "switching median"
    assert np.isfinite([float(scores[kind][2]) for kind in kinds]).all()
