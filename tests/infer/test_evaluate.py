"""``python -m infer evaluate``: its numbers, its conventions, its mistakes."""

import json
from pathlib import Path

import numpy as np
import pytest

from data.degrade import imresize
from data.pictures.read import load_image
from data.pictures.write import save_image
from infer.__main__ import main
from infer.upscaler import upscale
from model.edsr import edsr
from model.lpips import lpips
from model.wdsr import wdsr_b
from model.weight_file import read_note, write_note
from weights.load import load_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a small network ×2."""
    file = tmp_path_factory.mktemp("weights") / "a.weights.h5"
    edsr(2, 4, 1).save_weights(file)
    return file


@pytest.fixture
def hr_and_lr(tmp_path):
    """Two HR pictures, one of odd size, and their LR pictures."""
    rng = np.random.default_rng(8)
    for name, (height, width) in {"one": (26, 34), "two": (31, 41)}.items():
        (tmp_path / "hr").mkdir(exist_ok=True)
        (tmp_path / "lr").mkdir(exist_ok=True)
        hr = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        save_image(tmp_path / "hr" / f"{name}.png", hr)
        lr = rng.integers(0, 256, (height // 2, width // 2, 3)).astype(np.uint8)
        save_image(tmp_path / "lr" / f"{name}{'x2' * (name == 'one')}.png", lr)
    return tmp_path


def test_evaluate_prints_and_writes_the_conventions(hr_and_lr, weights, capsys):
    table = hr_and_lr / "table.json"
    model = weights
    arguments = ["--hr", hr_and_lr / "hr", "--model", model, "--json", table]
    assert main(["evaluate", *map(str, arguments)]) == 0
    printed = capsys.readouterr().out
    assert "Y: BT.601 luma (16..235), 2 px border cut; RGB: all channels, nothing cut" in printed
    assert "two.png *" in printed and "* HR cut to a multiple of 2 px" in printed
    made = json.loads(table.read_text())
    assert main(["evaluate", *map(str, arguments), "--lr", str(hr_and_lr / "lr")]) == 0
    given = json.loads(table.read_text())
    assert made["pictures"].keys() == given["pictures"].keys() == {"one.png", "two.png"}
    assert made["mean"]["network"]["psnr_y_db"] != given["mean"]["network"]["psnr_y_db"]
    hr, lr = (load_image(hr_and_lr / d / n) for d, n in (("hr", "one.png"), ("lr", "onex2.png")))
    sr = upscale(load_model(model).freeze(), lr).astype(float)
    expected = 10 * np.log10(255**2 / np.mean((sr - hr) ** 2))
    found = given["pictures"]["one.png"]["network"]["psnr_rgb_db"]
    assert found == pytest.approx(expected, abs=1e-3)
    two = [given["pictures"][name]["network"]["ssim_y"] for name in ("one.png", "two.png")]
    assert given["mean"]["network"]["ssim_y"] == pytest.approx(np.mean(two))


def test_evaluate_makes_jpegs(hr_and_lr, weights, capsys):
    """What it scores is what a folder of such JPEGs scores, and the gain over bicubic is named."""
    scores, shared = (
        hr_and_lr / "t.json",
        ["evaluate", "--model", weights, "--hr", hr_and_lr / "hr"],
    )
    psnr = []
    for jpeg in ([], [90], [30, 90]):
        arguments = [*shared, "--json", scores, *(["--jpeg", *jpeg] if jpeg else [])]
        assert main([str(argument) for argument in arguments]) == 0
        psnr.append(json.loads(scores.read_text())["mean"]["bicubic"]["psnr_rgb_db"])
    assert psnr[0] > psnr[1] > psnr[2]
    over = {
        name: row["network"]["psnr_rgb_db"] - row["bicubic"]["psnr_rgb_db"]
        for name, row in json.loads(scores.read_text())["pictures"].items()
    }
    least = min(over, key=over.get)
    expected = f"{np.mean(list(over.values())):+.2f} dB; least {over[least]:+.2f} dB, {least}"
    assert f"RGB over bicubic: {expected}" in capsys.readouterr().out
    for words, sentence in (
        (["101"], "quality must be a whole number from 1 to 100, got 101"),
        (["30", "40", "50"], "--jpeg takes one or two qualities, got 3"),
        (["30", "--record", "x"], "--jpeg makes LR of --hr; leave --lr, --task"),
    ):
        assert main([*map(str, shared), "--jpeg", *words]) == 2
        assert sentence in capsys.readouterr().err


def test_evaluate_scores_lpips_where_pictures_are_large_enough(hr_and_lr, weights, capsys):
    network = lpips("squeeze")
    network.save_weights(hr_and_lr / "lpips.weights.h5")
    hr = np.random.default_rng(3).integers(0, 256, (66, 70, 3)).astype(np.uint8)
    save_image(hr_and_lr / "hr" / "large.png", hr)
    arguments = ["evaluate", "--model", str(weights), "--hr", str(hr_and_lr / "hr")]
    arguments += ["--lpips", str(hr_and_lr / "lpips.weights.h5"), "--record", "set"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split()[-4:] == ["LPIPS", "network", "LPIPS", "bicubic"]
    assert {line.split()[0]: line.split()[-2:] for line in printed}["one.png"] == ["-", "-"]
    sr = upscale(load_model(weights).freeze(), imresize(hr, 0.5))
    expected = float(network([p[None].astype(np.float32) for p in (hr, sr)])[0])
    assert read_note(weights)["scores"]["set"]["lpips"] == pytest.approx(expected, rel=1e-3)


def test_evaluate_with_quality_options(hr_and_lr, weights, capsys):
    table, model = hr_and_lr / "table.json", str(weights)
    arguments = ["evaluate", "--hr", str(hr_and_lr / "hr"), "--json", str(table)]
    means = []
    for options in (["--model", model], ["--model", model, "--self-ensemble"]):
        assert main([*arguments, *options]) == 0
        means.append(json.loads(table.read_text())["mean"]["network"]["psnr_y_db"])
    assert means[0] != means[1] and json.loads(table.read_text())["self_ensemble"]
    assert main([*arguments, "--model", model, "--self-ensemble", "--record", "x"]) == 2
    assert "--record keeps the scores of the plain network" in capsys.readouterr().err


def test_keeps_the_most_that_half_precision_costs(hr_and_lr, weights):
    arguments = ["evaluate", "--hr", str(hr_and_lr / "hr"), "--model", str(weights)]
    assert main([*arguments, "--half", "--record", "x"]) == 0
    loss_db = read_note(weights)["half_loss_db"]
    assert abs(loss_db) < 0.1 and load_model(weights).half_loss_db == loss_db
    for kept, expected in ((5.0, 5.0), (-5.0, loss_db)):
        write_note(weights, {"half_loss_db": kept})
        assert main([*arguments, "--half", "--record", "y"]) == 0
        assert read_note(weights)["half_loss_db"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--hr", "nowhere"], "no folder nowhere"),
        (["--hr", "empty"], "no pictures"),
        (["--hr", "hr", "--lr", "few"], "1 HR pictures have no LR partner in few; the first: two"),
        (["--hr", "hr", "--lr", "hr"], "hr/one.png must be 13 × 17 px, 1/2 of one.png"),
    ],
)
def test_evaluate_mistakes(hr_and_lr, weights, capsys, monkeypatch, arguments, sentence):
    monkeypatch.chdir(hr_and_lr)
    Path("empty").mkdir()
    Path("few").mkdir()
    save_image("few/onex2.png", load_image("lr/onex2.png"))
    assert main(["evaluate", *arguments, "--model", str(weights)]) == 2
    assert sentence in capsys.readouterr().err


def test_small_and_grey_pictures_are_scored(tmp_path, weights, capsys):
    (tmp_path / "hr").mkdir()
    save_image(tmp_path / "hr" / "small.png", np.zeros((12, 10), np.uint8))
    model = str(weights)
    assert main(["evaluate", "--hr", str(tmp_path / "hr"), "--model", model]) == 0
    assert " / -" in capsys.readouterr().out


@pytest.mark.slow
def test_the_published_network_has_its_published_psnr(shared, tmp_path):
    file, table = shared / "data/weights/krasserm-wdsr-b-32-x4.h5", tmp_path / "table.json"
    model = wdsr_b(4, num_res_blocks=32)
    model.load_weights(file)
    model.save_weights(tmp_path / "k.weights.h5")
    data = shared / "data/set5"
    arguments = ["--model", tmp_path / "k.weights.h5", "--hr", data / "HR", "--json", table]
    assert main(["evaluate", *map(str, [*arguments, "--lr", data / "LR_bicubic/X4"])]) == 0
    mean = json.loads(table.read_text())["mean"]
    assert mean["network"]["psnr_y_db"] == pytest.approx(32.09, abs=0.005)
    assert mean["bicubic"]["psnr_y_db"] == pytest.approx(28.43, abs=0.005)
