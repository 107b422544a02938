"""The command line: one file, folders, what is skipped, what is spared, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from data.pictures.read import Picture, load_image, read_picture
from data.pictures.write import save_image, write_picture
from infer.__main__ import main
from infer.upscaler import upscale
from model.edsr import edsr
from model.wdsr import wdsr_b
from model.weight_file import write_note
from weights.load import load_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Three small networks ×2: two of the same shape, and another."""
    folder = tmp_path_factory.mktemp("weights")
    for name, build in {"a": edsr, "b": edsr}.items():
        build(2, 4, 1).save_weights(folder / f"{name}.weights.h5")
    wdsr_b(2, 4, num_res_blocks=1).save_weights(folder / "wdsr.weights.h5")
    return folder


@pytest.fixture
def folder(tmp_path):
    """Three pictures, two of one size."""
    pictures = tmp_path / "in"
    pictures.mkdir()
    for seed, (name, size) in enumerate({"a": (11, 13), "b": (17, 19), "c": (11, 13)}.items()):
        values = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
        save_image(pictures / f"{name}.png", values)
    return pictures


def run(*arguments, model):
    return main(["upscale", *map(str, arguments), "--model", str(model)])


def test_one_file(folder, weights, tmp_path):
    model = weights / "wdsr.weights.h5"
    assert run(folder / "a.png", "-o", tmp_path / "big.png", model=model) == 0
    found = load_image(tmp_path / "big.png").astype(int)
    expected = upscale(load_model(model).freeze(), load_image(folder / "a.png"))
    assert np.abs(found - expected).max() <= 1  # its weight normalisation is folded
    assert sorted(f.name for f in tmp_path.iterdir()) == ["big.png", "in"]


def test_a_folder_and_again(folder, weights, tmp_path, capsys):
    out, model = tmp_path / "out", weights / "a.weights.h5"
    assert run(folder, "-o", out, model=model) == 0
    assert "3 done, 0 skipped" in capsys.readouterr().out
    names = sorted(f.name for f in out.iterdir())
    assert names == [".infer.jsonl", "a.png", "b.png", "c.png"]
    assert load_image(out / "b.png").shape == (34, 38, 3)
    assert run(folder, "-o", out, model=model) == 0
    assert "0 done, 3 skipped" in capsys.readouterr().out
    os.utime(folder / "a.png", ns=(1, 1))  # changed
    (out / "b.png").unlink()
    assert run(folder, "-o", out, model=model) == 0
    assert "2 done, 1 skipped" in capsys.readouterr().out
    assert run(folder, "-o", out, model=weights / "b.weights.h5") == 0
    assert "3 done, 0 skipped" in capsys.readouterr().out


def test_a_record_cut_short_costs_one_picture(folder, weights, tmp_path, capsys):
    out, model = tmp_path / "out", weights / "a.weights.h5"
    run(folder, "-o", out, model=model)
    record = out / ".infer.jsonl"
    lines = record.read_text().splitlines()
    record.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:20])
    last = out / json.loads(lines[-1])["target"]
    last.unlink()
    assert run(folder, "-o", out, model=model) == 0
    assert "1 done, 2 skipped" in capsys.readouterr().out


def test_a_line_whose_file_never_appeared_is_not_believed(folder, weights, tmp_path, capsys):
    """Killed after the line of a newer result, before it took the place of the older one."""
    out = tmp_path / "out"
    run(folder, "-o", out, model=weights / "a.weights.h5")
    record = out / ".infer.jsonl"
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    newer = lines[0] | {"key": "of another network", "result": [1, 1]}
    record.write_text("\n".join(json.dumps(line) for line in [*lines, newer]) + "\n")
    capsys.readouterr()
    assert run(folder, "-o", out, model=weights / "a.weights.h5") == 0
    assert "0 done, 3 skipped" in capsys.readouterr().out


def test_what_others_made_is_spared(folder, weights, tmp_path, capsys):
    out, model = tmp_path / "out", weights / "a.weights.h5"
    out.mkdir()
    (out / "b.png").write_bytes(b"mine")
    assert run(folder, "-o", out, model=model) == 1
    captured = capsys.readouterr()
    assert "2 done, 0 skipped (done before), 1 failed" in captured.out
    assert "b.png is there and was not made by this command" in captured.err
    assert (out / "b.png").read_bytes() == b"mine"
    assert run(folder, "-o", out, "--overwrite", model=model) == 0
    assert load_image(out / "b.png").shape == (34, 38, 3)


def test_originals_are_spared(folder, weights, tmp_path, capsys):
    model = weights / "a.weights.h5"
    before = (folder / "a.png").read_bytes()
    assert run(folder, "-o", folder, model=model) == 2
    assert run(folder / "a.png", "-o", folder / "a.png", model=model) == 2
    assert "is an original" in capsys.readouterr().err
    assert (folder / "a.png").read_bytes() == before
    assert run(folder, "-o", folder, "--suffix=-x2", model=model) == 0
    assert sorted(f.name for f in folder.glob("*.png"))[:2] == ["a-x2.png", "a.png"]
    assert run(folder, "-o", folder, "--suffix=-x2", model=model) == 0
    assert "0 done, 3 skipped" in capsys.readouterr().out, "results became sources"
    assert run(folder / "a.png", "-o", folder / "a.png", "--overwrite", model=model) == 0
    assert load_image(folder / "a.png").shape == (22, 26, 3)


def test_patterns_formats_and_suffixes(folder, weights, tmp_path):
    model, out = weights / "a.weights.h5", tmp_path / "out"
    options = ("--suffix=-big", "--format", "jpg", "--quality", "50", "--workers", "1")
    assert run(folder / "[ab].png", "-o", out, *options, model=model) == 0
    assert sorted(f.name for f in out.glob("*.jpg")) == ["a-big.jpg", "b-big.jpg"]
    with Image.open(out / "a-big.jpg") as picture:
        assert picture.format == "JPEG" and picture.size == (26, 22)
    assert run(folder / "a.png", folder / "c.png", "-o", out, model=model) == 0
    assert (out / "c.png").exists()


def test_failures_are_listed_and_do_not_stop_the_others(folder, weights, tmp_path, capsys):
    (folder / "cut.png").write_bytes((folder / "b.png").read_bytes()[:300])
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.tif").write_bytes(b"")
    out = tmp_path / "out"
    assert run(folder, "-o", out, model=weights / "a.weights.h5") == 1
    captured = capsys.readouterr()
    assert "3 done, 0 skipped (done before), 3 failed" in captured.out
    for name in ("cut.png", "text.jpg", "empty.tif"):
        assert name in captured.err
    assert sorted(f.name for f in out.glob("*")) == [".infer.jsonl", "a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["in/nothing.png", "-o", "x.png"], "no picture in/nothing.png"),
        (["in/*.bmp", "-o", "out"], "no picture in/*.bmp"),
        (["in/a.png", "-o", "folder.png"], "folder.png is a folder; name a file in it"),
        (["in/a.png", "-o", "x"], "cannot write x: its name must end in"),
        (["in/a.png", "-o", "x.gif"], "cannot write x.gif: its name must end in"),
        (["in", "-o", "in/a.png"], "several pictures need a folder to go to, got in/a.png"),
        (["in/a.png", "-o", "x.png", "--suffix=-y"], "x.png has its own name"),
        (["in/a.png", "-o", "x.jpg", "--quality", "0"], "quality must be 1..100, got 0"),
        (["in/a.png", "-o", "x.png", "--workers", "0"], "workers must be at least 1, got 0"),
        (["in/a.png", "-o", "x.png", "--model", "no-such"], "no weights named 'no-such'"),
        (["in/a.png", "-o", "x.png", "--model", "in/b.png"], "in/b.png is no weight file"),
        (["in/a.png", "in/a.jpg", "-o", "out", "--format", "png"], "would both be written to"),
        (
            ["in/a.png", "-o", "x.png", "--blend", "A", "B", "much"],
            "give --model or --blend, not both",
        ),
    ],
)
def test_mistakes_get_a_line_and_exit_code_2(
    folder, weights, tmp_path, capsys, monkeypatch, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    save_image(folder / "a.jpg", load_image(folder / "a.png"))
    if "--model" not in arguments:
        arguments = [*arguments, "--model", str(weights / "a.weights.h5")]
    before = sorted(tmp_path.rglob("*"))
    assert main(["upscale", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert sentence in error
    assert [f for f in sorted(tmp_path.rglob("*")) if f.name != "out"] == before


def test_one_bad_picture_is_exit_code_1(folder, weights, tmp_path, capsys):
    (folder / "text.png").write_text("no picture")
    arguments = (folder / "text.png", "-o", tmp_path / "x.png")
    assert run(*arguments, model=weights / "a.weights.h5") == 1
    assert "text.png is not a picture" in capsys.readouterr().err
    arguments = (folder / "b.png", "-o", tmp_path / "x.png", "--max-megapixels", "0.0001")
    assert run(*arguments, model=weights / "a.weights.h5") == 1
    assert "more than the limit of 0.0001" in capsys.readouterr().err
    assert run(folder / "b.png", "-o", tmp_path / "no" / "x.png", model=weights / "a.weights.h5")
    assert not (tmp_path / "x.png").exists()


def test_a_picture_too_large_for_the_format_fails_before_the_network_runs(
    weights, tmp_path, capsys
):
    save_image(tmp_path / "wide.png", np.zeros((1, 9000), np.uint8))
    arguments = (tmp_path / "wide.png", "-o", tmp_path / "x.webp")
    assert run(*arguments, model=weights / "a.weights.h5") == 1
    assert "webp holds at most 16383 px a side, not 18000 × 2" in capsys.readouterr().err


def test_one_pixel_wide_pictures(weights, tmp_path):
    for name, shape in {"column": (37, 1, 3), "row": (1, 41), "dot": (1, 1, 4)}.items():
        save_image(tmp_path / f"{name}.png", np.full(shape, 200, np.uint8))
        out = tmp_path / f"{name}-big.png"
        assert run(tmp_path / f"{name}.png", "-o", out, model=weights / "a.weights.h5") == 0
        assert load_image(out).shape == (shape[0] * 2, shape[1] * 2, *shape[2:])


def test_notes_are_said(weights, tmp_path, capsys):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    arguments = (tmp_path / "two.gif", "-o", tmp_path / "x.png")
    assert run(*arguments, model=weights / "a.weights.h5") == 0
    assert "two.gif: has 2 frames or pages: only the first is used" in capsys.readouterr().err


def test_quality_options(folder, weights, tmp_path, capsys):
    a, b = weights / "a.weights.h5", weights / "b.weights.h5"
    answers = []
    for options in ([], ["--self-ensemble"], ["--blend", a, b, "0.5"], ["--half"]):
        model = [] if "--blend" in options else ["--model", a]
        arguments = [folder / "a.png", "-o", tmp_path / "x.png", "--overwrite", *options, *model]
        assert main(["upscale", *map(str, arguments)]) == 0
        answers.append(load_image(tmp_path / "x.png").astype(int))
    assert np.abs(answers[1] - answers[0]).max() > 0
    assert np.abs(answers[2] - answers[0]).max() > 0
    assert "half precision" in capsys.readouterr().err
    c = weights / "wdsr.weights.h5"
    arguments = [folder / "a.png", "-o", tmp_path / "y.png", "--blend", a, c, "0.5"]
    assert main(["upscale", *map(str, arguments)]) == 2
    assert "only networks of the same layers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("loss_db", "device", "options", "is_half"),
    [
        (0.019, "bfloat16", [], True),
        (0.02, "bfloat16", [], False),
        (None, "bfloat16", [], False),
        (0.001, None, [], False),
        (0.001, "bfloat16", ["--full-precision"], False),
    ],
)
def test_half_precision_where_device_and_network_are_made_for_it(
    loss_db, device, options, is_half, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("infer.variants.half_type", lambda: device)
    model, file = wdsr_b(2, 8, num_res_blocks=2), tmp_path / "x.weights.h5"
    model.save_weights(file)
    if loss_db is not None:
        write_note(file, {"half_loss_db": loss_db})
    assert run(folder / "a.png", "-o", tmp_path / "x.png", *options, model=file) == 0
    expected = upscale(load_model(file).freeze(), load_image(folder / "a.png"))
    assert (load_image(tmp_path / "x.png") != expected).any() == is_half


def test_sixteen_bits_exif_and_profile_go_through(weights, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    ramp = np.linspace(0, 65535, 23 * 29 * 4).astype(np.uint16).reshape(23, 29, 4)
    write_picture(tmp_path / "deep.png", Picture(ramp, exif.tobytes(), profile))
    for ending in (".png", ".tif"):
        out = tmp_path / f"big{ending}"
        assert run(tmp_path / "deep.png", "-o", out, model=weights / "a.weights.h5") == 0
        found = read_picture(out)
        assert found.pixels.dtype == np.uint16 and found.pixels.shape == (46, 58, 4)
        assert len(np.unique(found.pixels)) > 256
        assert found.icc == profile and b"Maker" in found.exif


def test_a_full_disk_leaves_nothing_behind(folder, weights, tmp_path, capsys, monkeypatch):
    def full(file, *_):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("infer.batch.encode", full)
    out = tmp_path / "out"
    assert run(folder, "-o", out, model=weights / "a.weights.h5") == 1
    captured = capsys.readouterr()
    assert "0 done, 0 skipped (done before), 3 failed" in captured.out
    assert captured.err.count("no room left on the disk for ") == 3
    assert list(out.iterdir()) == []


def test_large_results_go_through_a_file_and_wait_for_the_disk(
    folder, weights, tmp_path, monkeypatch
):
    monkeypatch.setattr("infer.memory.free_bytes", lambda: 4000)
    monkeypatch.setattr("infer.batch._UNWRITTEN_BYTES", 1)
    out = tmp_path / "out"
    assert run(folder, "-o", out, model=weights / "a.weights.h5") == 0
    expected = upscale(load_model(weights / "a.weights.h5").freeze(), load_image(folder / "b.png"))
    np.testing.assert_array_equal(load_image(out / "b.png"), expected)
    assert len(list(out.iterdir())) == 4, "the file behind a large result is left"


@pytest.mark.slow
def test_a_kill_leaves_no_half_file_and_the_next_run_goes_on(weights, tmp_path):
    pictures, out = tmp_path / "in", tmp_path / "out"
    pictures.mkdir()
    for n in range(12):
        save_image(pictures / f"{n:02}.png", np.full((160, 190, 3), 9 * n, np.uint8))
    command = [sys.executable, "-m", "infer", "upscale", pictures, "-o", out]
    command += ["--model", weights / "a.weights.h5"]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob("*.png")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = list(out.glob("*.png"))
    assert made
    for file in made:
        assert load_image(file).shape == (320, 380, 3)
    elsewhere = out / ".0badcafe-1-1.partial"
    elsewhere.write_bytes(b"half, of another machine")
    assert run(pictures, "-o", out, model=weights / "a.weights.h5") == 0
    assert len(list(out.glob("*.png"))) == 12
    assert list(out.glob(".*.partial")) == [elsewhere]


def test_help_imports_nothing_heavy():
    code = (
        "import sys, infer.__main__ as m\n"
        "m.parser()\n"
        "print([n for n in ('tensorflow', 'keras', 'numpy', 'PIL') if n in sys.modules])"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
