"""Recipes of the bundled weights: each is a command that parses, and stages follow each other."""

import pytest

from model import weight_file
from train.__main__ import main, parser
from train.commands import bundled, shelf, stages
from train.commands.stages import BEFORE, Recipe, stage
from weights.load import manifest


def test_every_bundled_network_has_a_recipe():
    assert manifest().keys() == bundled.RECIPES.keys()


@pytest.mark.parametrize("name", bundled.RECIPES)
def test_stages_parse_and_follow_each_other(name):
    commands = bundled.RECIPES[name].commands(name, "pictures", "out")
    parsed = [parser().parse_args(words) for words in commands]
    assert parsed[-1].out == f"out/{name}.weights.h5" and parsed[-1].half
    for before, after in zip(parsed, parsed[1:], strict=False):
        assert before.out in vars(after).values() and not before.half


def test_a_folder_with_a_blank_stays_one_word():
    recipe = Recipe((stage("edsr", hr=stages.pictures("my photos"), steps=1),))
    assert "/data sets/my photos" in recipe.commands("a", "/data sets", "out")[0]


def test_listing_and_showing_train_nothing(capsys):
    assert main(["shelf"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name}: " in listed for name in bundled.RECIPES)
    assert main(["shelf", "wdsr-b-32-x4", "--show", "--pictures", "here"]) == 0
    assert "--hr here/photos here/bsds300" in capsys.readouterr().out
    assert main(["shelf", "none"]) == 2
    assert "wdsr-b-32-x4" in capsys.readouterr().err


@pytest.fixture
def in_process(monkeypatch):
    """Run stages in this process, which is faster than one each."""
    trained = []

    def train(words, report=print):
        trained.append(words)
        return main(words)

    monkeypatch.setattr(stages, "train", train)
    return trained


def tiny(tmp_path, **options):
    """A stage of the smallest network."""
    network = {"num_filters": 3, "num_res_blocks": 1, "scale": 2}
    data = {"hr": ["{pictures}"], "hr_crop_px": 8, "batch_size": 1}
    places = {"caches_dir": f"{tmp_path}/caches"}
    return stage("wdsr-b", **network, **data, **places, **options)


@pytest.mark.slow
def test_two_stages_run(hr_dir, tmp_path, monkeypatch, capfd, in_process):
    recipe = Recipe(
        (
            tiny(tmp_path, steps=2, checkpoint_dir=f"{tmp_path}/1"),
            tiny(tmp_path, steps=1, checkpoint_dir=f"{tmp_path}/2", start_from=BEFORE),
        )
    )
    monkeypatch.setitem(shelf.RECIPES, "tiny", recipe)
    assert main(["shelf", "tiny", "--pictures", str(hr_dir), "--out", str(tmp_path)]) == 0
    assert capfd.readouterr().out.count("wrote ") == 2
    note = weight_file.read_note(tmp_path / "tiny.weights.h5")
    assert note["training"]["start_from"].endswith("tiny-stage-1.weights.h5")
    tensors = weight_file.read(tmp_path / "tiny.weights.h5").tensors
    assert {str(tensor.dtype) for tensor in tensors.values()} == {"float16"}


@pytest.mark.slow
def test_a_stage_that_fails_in_its_process_ends_the_recipe(tmp_path, monkeypatch):
    one = stage("edsr", hr=["{pictures}"], steps=1)
    monkeypatch.setitem(shelf.RECIPES, "tiny", Recipe((one, one)))
    monkeypatch.setenv("PYTHONPATH", str(bundled.__file__).rsplit("/", 3)[0])
    nowhere = ["--pictures", str(tmp_path / "none"), "--out", str(tmp_path)]
    assert main(["shelf", "tiny", *nowhere]) == 2
