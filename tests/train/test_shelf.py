"""Recipes of the bundled weights: each is a command that parses, and stages follow each other."""

import pytest

from model import weight_file
from train.__main__ import main, parser
from train.commands import shelf
from weights.load import manifest


def test_every_bundled_network_has_a_recipe():
    assert manifest().keys() == shelf.RECIPES.keys()


@pytest.mark.parametrize("name", shelf.RECIPES)
def test_stages_parse_and_follow_each_other(name):
    stages = [parser().parse_args(words) for words in shelf.commands(name, "pictures", "out")]
    assert stages[-1].out == f"out/{name}.weights.h5" and stages[-1].half
    for before, stage in zip(stages, stages[1:], strict=False):
        assert before.out in vars(stage).values() and not before.half


def test_listing_and_showing_train_nothing(capsys):
    assert main(["shelf"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name}: " in listed for name in shelf.RECIPES)
    assert main(["shelf", "wdsr-b-32-x4", "--show", "--pictures", "here"]) == 0
    assert "--hr here/photos here/bsds300" in capsys.readouterr().out
    assert main(["shelf", "none"]) == 2
    assert "wdsr-b-32-x4" in capsys.readouterr().err


@pytest.mark.slow
def test_two_stages_run(hr_dir, tmp_path, monkeypatch, capfd):
    stage = (
        "wdsr-b --num-filters 3 --num-res-blocks 1 --hr {pictures} --hr-crop-px 8 --batch-size 1"
    )
    stage = f"{stage} --scale 2 --caches-dir {tmp_path}/caches --checkpoint-dir {tmp_path}/"
    stages = (f"{stage}1 --steps 2", f"{stage}2 --steps 1 --start-from {{before}}")
    monkeypatch.setattr(shelf, "RECIPES", {"tiny": shelf.Recipe(stages)})
    monkeypatch.setattr(shelf, "_train", main)  # faster than a process each
    assert main(["shelf", "tiny", "--pictures", str(hr_dir), "--out", str(tmp_path)]) == 0
    assert capfd.readouterr().out.count("wrote ") == 2
    note = weight_file.read_note(tmp_path / "tiny.weights.h5")
    assert note["training"]["start_from"].endswith("tiny-stage-1.weights.h5")
    tensors = weight_file.read(tmp_path / "tiny.weights.h5").tensors
    assert {str(tensor.dtype) for tensor in tensors.values()} == {"float16"}


@pytest.mark.slow
def test_a_stage_that_fails_in_its_process_ends_the_recipe(tmp_path, monkeypatch):
    stage = "edsr --hr {pictures} --steps 1"
    monkeypatch.setattr(shelf, "RECIPES", {"tiny": shelf.Recipe((stage, stage))})
    monkeypatch.setenv("PYTHONPATH", str(shelf.Path(shelf.__file__).parents[1]))
    nowhere = ["--pictures", str(tmp_path / "none"), "--out", str(tmp_path)]
    assert main(["shelf", "tiny", *nowhere]) == 2
