"""The command ``train text``: from fonts and photographs to a network for text."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest

from data.pictures.write import save_image
from train.__main__ import main
from weights.load import load_model

FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


def test_text_is_drawn_and_trained_on(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    save_image(tmp_path / "photos" / "a.png", np.full((60, 70, 3), 180, np.uint8))
    out = tmp_path / "text.weights.h5"
    words = ["text", "--hr", tmp_path / "photos", "--valid-hr", tmp_path / "photos"]
    words += ["--fonts", FONT, "--texts", 2, "--num-res-blocks", 1, "--num-filters", 4]
    words += ["--hr-crop-px", 32, "--batch-size", 2, "--steps", 2, "--damage", "mild"]
    words += ["--checkpoint-dir", tmp_path / "run", "--caches-dir", tmp_path / "c", "--out", out]
    assert main([str(word) for word in words]) == 0
    assert "psnr_rgb_db" in capsys.readouterr().out
    network = load_model(out)
    assert network.name.startswith("wdsr") and network.built_by.arguments["scale"] == 4


def test_refuses_fonts_that_are_none(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    save_image(tmp_path / "photos" / "a.png", np.full((60, 70, 3), 180, np.uint8))
    words = ["text", "--hr", tmp_path / "photos", "--fonts", tmp_path / "photos", "--steps", 1]
    words += ["--checkpoint-dir", tmp_path / "run", "--out", tmp_path / "a.weights.h5"]
    assert main([str(word) for word in words]) == 2
    assert "no font with Latin letters in" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(word) for word in [*words, "--lr", tmp_path / "photos"]])
