"""The command line of training: numbers, helps, run folders, own pairs, the campaign."""

import dataclasses
import json
import shlex
import shutil
from types import SimpleNamespace

import filelock
import numpy as np
import pytest
from PIL import Image

from model.edsr import edsr
from model.restormer import restormer
from model.weight_file import read_note
from tests.conftest import start_anew
from train import TrainerOptions
from train.__main__ import _FILES, main, parser
from train.commands import bundled, campaign, stages
from train.commands.run import directory_of
from train.commands.stages import Recipe, stage, trained
from weights.load import load_model

COMMANDS = {name: about for file in _FILES for name, about in file.COMMANDS.items()}
SMALL = "--dim 8 --num-blocks 1 0 0 0 --num-refinement-blocks 0 --crop-px 16 --batch-size 1"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_ends_with_an_example_that_parses(name, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args([name, "--help"])
    text = capsys.readouterr().out
    words = shlex.split(COMMANDS[name][1])
    assert " ".join(text.split()).endswith(" ".join(words))
    assert words[:3] == ["python", "-m", "train"]
    assert parser().parse_args(words[3:]).network == name


def test_every_field_of_the_options_is_an_option_with_its_default():
    words = ["edsr", "--hr", "a", "--steps", "1", "--out", "a.weights.h5"]
    options = vars(parser().parse_args(words))
    for field in dataclasses.fields(TrainerOptions):
        assert options[field.name] == field.default


EDSR = "edsr --hr {hr} --steps 1 --out {out}/a.weights.h5"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--evaluate-every 0", "--evaluate-every: must be a whole number of at least 1, got '0'"),
        ("--evaluate-every -5", "--evaluate-every: must be a whole number of at least 1, got '-5'"),
        ("--hr-crop-px 0", "--hr-crop-px: must be a whole number of at least 1, got '0'"),
        ("--learning-rate -1", "--learning-rate: must be a number above 0, got '-1'"),
        ("--learning-rate nan", "--learning-rate: must be a number above 0, got 'nan'"),
        ("--num-filters 0", "--num-filters: must be a whole number of at least 1, got '0'"),
        ("--batch-size 1.5", "--batch-size: must be a whole number of at least 1, got '1.5'"),
        ("--steps 0", "--steps: must be a whole number of at least 1, got '0'"),
        ("--accumulate 0", "--accumulate: must be a whole number of at least 1, got '0'"),
        ("--precision half", "--precision: invalid choice: 'half'"),
        ("--hours 1", "--hours: not allowed with argument --steps"),
    ],
)
def test_numbers_are_refused_by_name_in_one_line(words, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*EDSR.format(hr="hr", out="out").split(), *words.split()])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert sentence in error and error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--learning-rate 1e-3 --fall-steps 9", "fall_steps at most the 1 steps in all, got"),
        ("--ema-decay 1.5", "ema_decay must be between 0 and 1, got 1.5"),
        ("--out a.txt", r"--out must end in .weights.h5, got a.txt"),
        ("--checkpoint-dir {out}/[a]", "none of [ ] * ? \\ in its name"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_line(
    hr_dir, tmp_path, capsys, words, sentence
):
    command = f"{EDSR} --num-filters 4 --num-res-blocks 1 {words}".format(hr=hr_dir, out=tmp_path)
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_run_folders_of_different_files_differ():
    outs = ["x.weights.h5", "a/x.weights.h5", "b/x.weights.h5", "a+x.weights.h5", "/a/x.weights.h5"]
    outs += ["x.v1.weights.h5", "x.v2.weights.h5"]
    folders = {directory_of(SimpleNamespace(checkpoint_dir=None, out=out)) for out in outs}
    assert len(folders) == len(outs) and all(len(folder.parts) == 2 for folder in folders)


def test_without_room_for_the_weights_nothing_half_is_left(hr_dir, tmp_path, capsys, monkeypatch):
    words = EDSR.format(hr=hr_dir, out=tmp_path / "full") + " --num-filters 3 --num-res-blocks 1"
    words += f" --hr-crop-px 8 --caches-dir {tmp_path}/caches --checkpoint-dir {tmp_path}/run"
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=20_000))
        assert main(words.split()) == 1
    error = capsys.readouterr().err
    assert f"error: no room for {tmp_path}/full/a.weights.h5" in error
    assert "run the same command again" in error and not list((tmp_path / "full").iterdir())
    assert main(words.split()) == 0
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["a.weights.h5"]


def put_pairs(folder, count=2):
    """Damaged pictures, clean ones and masks, 24×40 px."""
    random = np.random.default_rng(1)
    for i in range(count):
        clean = random.integers(0, 256, (24, 40, 3), dtype=np.uint8)
        pictures = {"noisy": clean // 2, "clean": clean, "masks": clean[..., 0] // 128 * 255}
        for name, pixels in pictures.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


@pytest.mark.slow
def test_restorers_are_trained_and_tuned_on_peoples_own_pairs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put_pairs(tmp_path)
    pairs = "--pairs noisy clean --masks masks --valid-pairs noisy clean --valid-masks masks"
    first = (
        f"foundation {pairs} {SMALL} --unshuffle 2 --mask-embedding --steps 2 --out f.weights.h5"
    )
    assert main(first.split()) == 0
    arguments = read_note("f.weights.h5")["arguments"]
    assert (arguments["unshuffle"], arguments["mask_embedding"]) == (2, True)
    lines = (tmp_path / ".ckpt" / "f" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["psnr_rgb_db"] > 5
    tuned = "fine-tune --model f.weights.h5 --pairs noisy clean --crop-px 16 --batch-size 1"
    assert main(f"{tuned} --steps 1 --out t.weights.h5".split()) == 0
    assert read_note("t.weights.h5")["training"]["pairs"] == ["noisy", "clean"]
    plain = f"foundation --pairs noisy clean {SMALL} --unshuffle 2 --no-masks --steps 1"
    assert main(f"{plain} --start-from f.weights.h5 --out p.weights.h5".split()) == 0
    assert "f.weights.h5: mask_embed is left out" in capsys.readouterr().out
    assert len(load_model("p.weights.h5").inputs) == 1
    back = first.replace("--steps 2 --out f", "--steps 1 --learning-rate 1e-9 --out b")
    assert main(f"{back} --start-from p.weights.h5".split()) == 0  # with masks again
    plain_weights = {v.path: v.numpy() for v in load_model("p.weights.h5").weights}
    masked = {v.path: v.numpy() for v in load_model("b.weights.h5").weights}
    np.testing.assert_allclose(masked.pop("mask_embed/vectors"), 0, atol=1e-5)
    for path, weights in masked.items():
        np.testing.assert_allclose(weights, plain_weights[path], rtol=0, atol=1e-5)
    deeper = f"{plain} --num-blocks 3 1 1 1 --num-refinement-blocks 2 --learning-rate 1e-9"
    assert main(f"{deeper} --start-from p.weights.h5 --out d.weights.h5".split()) == 0
    picture = np.random.default_rng(0).uniform(0, 255, (1, 16, 24, 3)).astype(np.float32)
    answers = [load_model(f"{name}.weights.h5")(picture).numpy() for name in "pd"]
    np.testing.assert_allclose(answers[1], answers[0], rtol=0, atol=1e-2)
    other = plain.replace("--dim 8", "--dim 16")
    assert main(f"{other} --start-from d.weights.h5 --out q.weights.h5".split()) == 2
    errors = capsys.readouterr().err
    assert "d.weights.h5 is of a network with dim 8, not 16" in errors
    assert "num_refinement_blocks 2, not 0" in errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("foundation", "foundation needs either --pairs NOISY_DIR CLEAN_DIR, or --clean, --valid"),
        ("fine-tune --model m", "--valid-clean and --task"),
        ("fine-tune --model m --clean a --valid-clean b", "and --task"),
        ("foundation --pairs a b --clean c --valid-clean d", "needs either --pairs"),
        ("foundation --clean c --valid-clean d --masks e", "--masks goes with --pairs"),
        ("foundation --pairs a b --hours 1", "--hours needs crops of one size"),
        ("foundation --pairs a b --crop-px 16", "--crop-px and --batch-size go together"),
        (
            "foundation --pairs a b --hours 1 --schedule cosine",
            "--hours chooses the end|needs crops",
        ),
    ],
)
def test_data_of_restorers_are_asked_for_in_one_line(tmp_path, capsys, words, sentence):
    assert main([*words.split(), "--out", str(tmp_path / "a.weights.h5")]) == 2
    error = capsys.readouterr().err
    assert any(part in error for part in sentence.split("|")) and error.count("\n") == 1


def test_a_network_that_enlarges_is_no_restorer(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put_pairs(tmp_path)
    edsr(2, num_filters=3, num_res_blocks=1).save_weights("sr.weights.h5")
    words = "fine-tune --model sr.weights.h5 --pairs noisy clean --crop-px 16 --steps 1"
    assert main([*words.split(), "--out", "a.weights.h5"]) == 2
    assert "edsr makes 32×32 px of 3 channels of 16×16 px" in capsys.readouterr().err


@pytest.mark.slow
def test_another_network_to_tune_in_the_same_folder_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put_pairs(tmp_path)
    small = {"dim": 8, "num_blocks": (1, 0, 0, 0), "num_refinement_blocks": 0}
    for seed, name in enumerate("ab"):
        start_anew(seed)
        restormer(**small).save_weights(f"{name}.weights.h5")
    words = "fine-tune --pairs noisy clean --crop-px 16 --batch-size 1 --steps 1 --checkpoint-dir r"
    assert main(f"{words} --model a.weights.h5 --out 1.weights.h5".split()) == 0
    assert main(f"{words} --model b.weights.h5 --out 2.weights.h5".split()) == 2
    error = capsys.readouterr().err
    assert "networks.begins_with was" in error and "--allow-changes" in error
    changed = f"{words} --model b.weights.h5 --out 2.weights.h5 --allow-changes"
    assert main(changed.split()) == 0
    assert "begins_with was" in read_note("2.weights.h5")["training"]["changes"][0]


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A queue of three, the second of which begins with the third; stages that only write."""
    one = stage("edsr", hr=["a"], steps=1)
    tuned = stage("edsr", hr=["a"], steps=1, start_from=trained("third"))
    recipes = {"first": Recipe((one, one)), "second": Recipe((tuned,)), "third": Recipe((one,))}
    monkeypatch.setattr(campaign, "RECIPES", recipes)
    monkeypatch.setattr(campaign, "QUEUE", tuple(recipes))
    done = []

    def train(words, report=print):
        done.append(words[-1])
        (tmp_path / words[-1]).write_text("")
        return 0

    monkeypatch.setattr(stages, "train", train)
    monkeypatch.chdir(tmp_path)
    return done


def test_a_campaign_trains_what_is_left_in_order_and_once(queue, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "first-stage-1.weights.h5").write_text("")
    assert main(["campaign", "--out", "out", "--list"]) == 0
    states = [line.split(";")[0] for line in capsys.readouterr().out.splitlines()]
    assert states == ["first: to do", "second: waits for third", "third: to do"]
    assert main(["campaign", "--out", "out"]) == 0
    assert queue == [f"out/{name}.weights.h5" for name in ("first", "third", "second")]
    assert main(["campaign", "--out", "out"]) == 0 and len(queue) == 3
    assert capsys.readouterr().out.splitlines()[-3:] == [
        f"{name}: finished" for name in ("first", "second", "third")
    ]


def test_a_second_campaign_takes_what_the_first_does_not_train(queue, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    with filelock.FileLock(tmp_path / "out" / "first.lock"):
        assert main(["campaign", "--out", "out"]) == 0
    assert queue == ["out/third.weights.h5", "out/second.weights.h5"]
    assert "first: being trained" in capsys.readouterr().out


def test_a_recipe_that_fails_does_not_stop_the_others(queue, capsys, monkeypatch):
    good = stages.train
    monkeypatch.setattr(
        stages, "train", lambda words, report: 1 if "first" in words[-1] else good(words)
    )
    assert main(["campaign", "--out", "out"]) == 1
    assert queue == ["out/third.weights.h5", "out/second.weights.h5"]
    assert "first failed; see above" in capsys.readouterr().out


def test_the_queue_holds_recipes():
    assert set(campaign.QUEUE) <= bundled.RECIPES.keys()
