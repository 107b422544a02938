"""``python -m infer demo``: what it makes of photographs, and that the pages show it."""

import re
from pathlib import Path

import pytest
from PIL import Image

from data.pictures.read import load_image
from infer.__main__ import main

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.slow
def test_the_demo_is_better_than_what_is_classical_and_is_what_the_pages_show(tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    commands = re.findall(r"^\$ python -m infer (\w+)", captured.out, re.MULTILINE)
    assert commands == ["upscale", "restore", "upscale", "faces", "upscale", "faces"]
    assert "wdsr-b-32-x4 for " in captured.err and captured.out.count("1 face found") == 2
    rows = re.findall(r"^(\w+), ([\w -]+?) +([\d.]+) dB", captured.out, re.MULTILINE)
    psnr_db = {(photograph, name): float(db) for photograph, name, db in rows}
    assert psnr_db["coffee", "upscale"] > psnr_db["coffee", "bicubic"] + 1.5
    assert psnr_db["cat", "restore"] > psnr_db["cat", "non-local means"] + 0.5
    for portrait in ("collins", "hopper"):
        assert psnr_db[portrait, "faces"] > psnr_db[portrait, "bicubic"] + 0.5
        assert load_image(tmp_path / f"{portrait}-faces.png").shape[1] == 512
    for name in ("demo.jpg", "faces.jpg"):
        with Image.open(tmp_path / name) as made, Image.open(DOCS / name) as shown:
            assert made.size == shown.size
