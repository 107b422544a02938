"""Scores of restoration networks: damage, numbers, record, tables, mistakes."""

import json
from pathlib import Path

import numpy as np
import pytest

from data.pictures.read import load_image
from data.pictures.write import save_image
from data.restoration import RestorationData, real_pictures, validation_pictures
from infer.__main__ import main
from model.edsr import edsr
from model.metrics import psnr
from model.restoration import restore
from model.restormer import restormer
from model.weight_file import read_note
from weights import load as weights
from weights.load import load_model
from weights.tables import rebuild, record, tables

SMALLEST = {"dim": 4, "num_blocks": (1, 0, 0, 0), "num_refinement_blocks": 0, "heads": (1, 1, 1, 2)}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Weights of a small network with masks."""
    file = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    restormer(**SMALLEST, mask_aware=True).save_weights(file)
    return file


@pytest.fixture
def clean(tmp_path, monkeypatch):
    """Working folder with clean/ of two pictures, 37×43 and 41×31 px."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(3)
    Path("clean").mkdir()
    for name, (height, width) in {"one": (37, 43), "two": (41, 31)}.items():
        coarse = random.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        save_image(f"clean/{name}.png", coarse.repeat(5, 0).repeat(5, 1)[:height, :width])
    return tmp_path


@pytest.fixture
def polyu(clean):
    """Folder of one noisy picture and its mean."""
    Path("polyu").mkdir()
    picture = load_image("clean/one.png").astype(int)
    noise = np.random.default_rng(4).integers(-20, 20, picture.shape)
    save_image("polyu/a_real.png", np.clip(picture + noise, 0, 255).astype(np.uint8))
    save_image("polyu/a_mean.png", picture.astype(np.uint8))
    return "polyu=polyu"


def evaluate(network, *arguments):
    return main(["evaluate", "--model", str(network), *arguments])


def test_damage_is_that_of_validation_and_always_the_same(clean):
    data = RestorationData(["clean"], ["clean"])
    for task in ("salt-and-pepper", "inpainting"):
        _, dataset = data.few(task, 1, 2, crop_px=8)
        trained = [[part.numpy() for part in parts] for parts in dataset]
        for _ in range(2):
            scored = list(validation_pictures(task, "clean"))
            assert [name for name, *_ in scored] == ["one.png", "two.png"]
            for _, *parts in scored:
                assert any(all(map(np.array_equal, parts, other)) for other in trained)
    weak, strong = (
        next(validation_pictures("gaussian-noise", "clean", sigma))[1] for sigma in (5, 50)
    )
    truth = load_image("clean/one.png")[None]
    assert psnr(weak, truth)[0] > psnr(strong, truth)[0] + 10


@pytest.mark.parametrize("self_ensemble", [False, True])
@pytest.mark.parametrize("task", ["gaussian-noise", "inpainting"])
def test_scores_are_those_of_the_rounded_rgb_pictures(clean, network, capsys, task, self_ensemble):
    arguments = ["--task", task, "--hr", "clean", "--json", "table.json"]
    assert evaluate(network, *arguments, *["--self-ensemble"] * self_ensemble) == 0
    printed = capsys.readouterr().out
    assert f"8-bit RGB pictures, nothing cut; {task} " in printed
    assert "damaged" in printed and "mean" in printed
    scores = json.loads(Path("table.json").read_text())
    model, restored_db = load_model(network).freeze(), []
    for name, damaged, truth, valid in validation_pictures(task, "clean"):
        mask = valid if task == "inpainting" else None
        difference = np.float64(restore(model, damaged, mask, self_ensemble=self_ensemble)) - truth
        restored_db.append(10 * np.log10(255**2 / np.mean(difference**2)))
        found = scores["pictures"][name]
        assert found["network"]["psnr_rgb_db"] == pytest.approx(restored_db[-1], abs=1e-3)
        assert found["input"]["psnr_rgb_db"] == pytest.approx(
            float(psnr(damaged, truth)[0]), abs=1e-4
        )
    mean = scores["mean"]["network"]["psnr_rgb_db"]
    assert mean == pytest.approx(np.mean(restored_db), abs=1e-3)
    assert f"{mean:.2f} / " in printed.splitlines()[-1]


def test_real_pairs_are_scored_as_they_are(polyu, network):
    assert evaluate(network, "--real", polyu, "--json", "table.json") == 0
    found = json.loads(Path("table.json").read_text())["pictures"]["a_real.png"]["input"]
    noisy, truth = (load_image(f"polyu/a_{kind}.png")[None] for kind in ("real", "mean"))
    assert found["psnr_rgb_db"] == pytest.approx(float(psnr(noisy, truth)[0]), abs=1e-4)
    ((_, _, _, valid),) = real_pictures("polyu", "polyu")
    assert valid.all()


def test_records_make_two_tables(polyu, network, monkeypatch):
    Path("weights").mkdir()
    Path("weights/small.weights.h5").write_bytes(network.read_bytes())
    edsr(2, 4, 1).save_weights("weights/edsr.weights.h5")
    start = "<!-- table: python -m infer weights --rebuild -->"
    markers = f"before\n{start}\nold\n<!-- /table -->\nafter\n"
    Path("docs").mkdir()
    Path("docs/models.md").write_text(markers)
    Path("README.md").write_text("| any | `edsr` | 9.99 dB on Set5 | it has 9.99 dB |\n")
    monkeypatch.setattr(weights, "WEIGHTS_DIR", Path("weights"))
    file = "weights/small.weights.h5"
    for arguments in (
        ["--task", "gaussian-noise", "--hr", "clean", "--record", "Two"],
        ["--task", "gaussian-noise", "--strength", "7.5", "--hr", "clean", "--record", "Two"],
        ["--real", polyu, "--record", "PolyU"],
    ):
        assert evaluate(file, *arguments) == 0
    record("weights/edsr.weights.h5", "Set5", {"psnr_y_db": 1.234, "ssim_y": 0.5})
    rebuild(Path("weights"))
    facts = weights.manifest()
    assert set(facts["small"]["restoration"]["Two"]) == {"gaussian-noise 25", "gaussian-noise 7.5"}
    assert set(facts["small"]["restoration"]["PolyU"]) == {"real pairs of polyu"}
    assert Path("docs/models.md").read_text() == markers.replace("old", tables(facts))
    assert Path("README.md").read_text() == "| any | `edsr` | 1.23 dB on Set5 | it has 9.99 dB |\n"
    enlarged, restored = (text.splitlines() for text in tables(facts).split("\n\n")[1::2])
    assert enlarged[0] == "| name | network | parameters | MB | Set5 |"
    assert enlarged[2].startswith("| edsr | edsr(") and enlarged[2].endswith(" | 1.23 / 0.5000 |")
    assert restored[0].startswith("| data set | name | network | parameters | MB | gaussian-noise")
    starts = ["| PolyU | damaged input |", "| PolyU | small | restormer(dim=4, num_blocks=[1, 0,"]
    starts += ["| Two | damaged input |", "| Two | small |  |  |  |"]
    assert len(restored) == 6
    for line, start in zip(restored[2:], starts, strict=True):
        assert line.startswith(start)
    score = facts["small"]["restoration"]["Two"]["gaussian-noise 25"]["network"]
    assert f" {score['psnr_rgb_db']:.2f} / {score['ssim_rgb']:.4f} " in restored[5]


def test_keeps_what_half_precision_costs(clean, network, capsys):
    arguments = ("--task", "jpeg", "--hr", "clean", "--half", "--record", "x")
    assert evaluate(network, *arguments) == 0
    loss_db = read_note(network)["half_loss_db"]
    assert f"in bfloat16 {loss_db:.4f} dB less" in capsys.readouterr().out
    assert 0 < abs(loss_db) < 0.1


def test_a_network_without_scores_is_in_the_table_too(network):
    note = {"builder": "restormer", "arguments": {"dim": 4}, "parameters": 1234, "bytes": 10**6}
    lines = tables({"new": note}).splitlines()
    assert lines[-1] == "|  | new | restormer(dim=4) | 1,234 | 1.0 |"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "evaluate needs --hr DIR, or --real LAYOUT=DIR"),
        (["--hr", "clean", "--strength", "3"], "--strength needs --task"),
        (["--task", "sharpen", "--hr", "clean"], "no task 'sharpen'; there are gaussian-noise, "),
        (["--task", "inpainting"], "give --task TASK with --hr DIR"),
        (["--task", "inpainting", "--hr", "nowhere"], "nowhere"),
        (["--task", "inpainting", "--hr", "clean", "--real", "polyu=polyu"], "alone"),
        (["--task", "inpainting", "--hr", "clean", "--strength", "-1"], "positive, got -1"),
        (
            ["--task", "inpainting", "--hr", "clean", "--lr", "clean"],
            "whole pictures; leave --lr, ",
        ),
        (
            ["--task", "inpainting", "--hr", "clean", "--tile", "64"],
            "whole pictures; leave --lr, ",
        ),
        (["--real", "polyu"], "real pairs are LAYOUT=DIR"),
        (["--real", "polyu=clean"], "no pairs in the layout of polyu in clean"),
        (["--real", "prepared=clean"], "real pairs are of gopro, nam, polyu, reds, sidd, got"),
        (["--real", "polyu=polyu", "--strength", "3"], "real pairs have theirs"),
    ],
)
def test_mistakes(polyu, network, capsys, arguments, sentence):
    assert evaluate(network, *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.splitlines()[-1].startswith("error: ")
    assert error.count("error: ") == 1


def test_a_network_that_enlarges_is_not_scored(clean, capsys):
    edsr(2, 4, 1).save_weights("edsr.weights.h5")
    assert evaluate("edsr.weights.h5", "--task", "inpainting", "--hr", "clean") == 2
    assert "is of edsr, but restormers restore" in capsys.readouterr().err
