"""What people try first: folders again and again, two runs at once, long names, closed streams."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import filelock
import numpy as np
import pytest
from PIL import Image

from data.pictures.read import load_image
from data.pictures.write import save_image
from infer.__main__ import main, parser
from infer.record import Record
from model.edsr import edsr
from model.restormer import restormer

ROOT = Path(__file__).parents[2]
SMALLEST = {"dim": 4, "num_blocks": (1, 0, 0, 0), "num_refinement_blocks": 0, "heads": (1, 1, 1, 2)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A network ×2, and one that restores."""
    folder = tmp_path_factory.mktemp("weights")
    edsr(2, 4, 1).save_weights(folder / "x2.weights.h5")
    restormer(**SMALLEST).save_weights(folder / "restormer.weights.h5")
    return folder


@pytest.fixture
def folder(tmp_path):
    """in/ with three pictures."""
    pictures = tmp_path / "in"
    pictures.mkdir()
    for seed, name in enumerate(("a", "b", "c")):
        write(pictures / f"{name}.png", seed)
    return pictures


def write(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    save_image(path, values)


def upscale(weights, *arguments):
    model = weights / "x2.weights.h5"
    return main(["upscale", *map(str, arguments), "--model", str(model)])


def names(folder):
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*.*") if f.name[0] != ".")


def test_what_one_command_made_the_next_one_takes(weights, folder, tmp_path, capsys):
    model = str(weights / "restormer.weights.h5")
    clean, big = tmp_path / "clean", tmp_path / "big"
    restore = ["restore", str(folder), "-o", str(clean), "--task", "denoise", "--model", model]
    assert main(restore) == 0
    assert upscale(weights, clean, "-o", big) == 0
    assert upscale(weights, clean / "*.png", "-o", big) == 0
    assert "0 done, 3 skipped" in capsys.readouterr().out
    assert load_image(big / "a.png").shape == (10, 14, 3)


@pytest.mark.parametrize("sources", ["in", "in/*.png"])
def test_results_beside_their_sources_do_not_become_sources(
    weights, folder, monkeypatch, capsys, sources
):
    monkeypatch.chdir(folder.parent)
    for outcome in ("3 done, 0 skipped", "0 done, 3 skipped"):
        assert upscale(weights, sources, "-o", "in", "--suffix=-x2") == 0
        assert outcome in capsys.readouterr().out
    (folder / "b-x2.png").unlink()
    assert upscale(weights, sources, "-o", "in", "--suffix=-x2") == 0
    assert "1 done, 2 skipped" in capsys.readouterr().out
    assert names(folder) == ["a-x2.png", "a.png", "b-x2.png", "b.png", "c-x2.png", "c.png"]
    assert upscale(weights, "in/a-x2.png", "-o", "in/a-x4.png") == 0
    assert load_image(folder / "a-x4.png").shape == (20, 28, 3)


def test_what_is_no_picture_is_passed_over_and_named(weights, folder, tmp_path, capsys):
    (folder / "notes.txt").write_text("no picture")
    (folder / "Makefile").write_text("no picture")
    (folder / "clip.mp4").write_bytes(b"")
    os.symlink("nowhere.png", folder / "link.png")
    os.rename(folder / "c.png", folder / "scan")
    write(folder / "sub" / "d.png")
    assert upscale(weights, folder, "-o", tmp_path / "out") == 0
    assert (
        "passed over what is no picture (1 .mp4, 1 .txt, 1 link to nowhere, 1 without ending) and "
        "1 folder (--recursive takes theirs)" in capsys.readouterr().err
    )
    assert names(tmp_path / "out") == ["a.png", "b.png", "scan.png"]
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("")
    assert upscale(weights, tmp_path / "texts", "-o", tmp_path / "out") == 2
    assert "texts: passed over what is no picture (1 .txt)" in capsys.readouterr().err


def test_pictures_of_one_name_in_several_formats_are_all_made(weights, folder, tmp_path):
    for ending in ("gif", "ppm", "jpg"):
        Image.open(folder / "a.png").convert("RGB").save(folder / f"a.{ending}")
    assert upscale(weights, folder, "-o", tmp_path / "out", "--suffix=-x2") == 0
    expected = ["a-x2.jpg", "a-x2.png", "a.gif-x2.png", "a.ppm-x2.png", "b-x2.png", "c-x2.png"]
    assert names(tmp_path / "out") == expected


def test_strange_files_fail_alone_and_again(weights, folder, golden, tmp_path, capsys):
    """Files whose decoders raise everything there is, beside sound ones; see their README."""
    for file in (golden / "cases" / "pictures").iterdir():
        if not file.name.startswith(("kills_run-1", "pic-16bit", "pic-webp")):  # slow ones
            shutil.copy(file, folder)
    failed = []
    for outcome in (" done, 0 skipped", "0 done, "):
        assert upscale(weights, folder, "-o", tmp_path / "out") == 1
        captured = capsys.readouterr()
        assert outcome in captured.out
        lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
        failed.append({line.removeprefix(f"error: {folder}/").split(" ")[0] for line in lines})
    assert failed[0] == failed[1] and len(failed[0]) >= 8
    made = {Path(name).stem for name in names(tmp_path / "out")}
    assert made >= {"a", "b", "c", "ignored_in_folders", "refused-exif_bad_block"}
    sound = {f.stem for f in folder.iterdir() if f.name not in failed[0] and f.suffix != ".dng"}
    assert made == sound


def test_recursive_keeps_the_tree_and_leaves_results_out(weights, folder, capsys):
    write(folder / "trip" / "a.png", 4)
    write(folder / "trip" / "day" / "e.png", 5)
    for outcome in ("5 done, 0 skipped", "0 done, 5 skipped"):
        assert upscale(weights, folder, "-o", folder / "out", "--recursive") == 0
        assert outcome in capsys.readouterr().out
    expected = ["a.png", "b.png", "c.png", "trip/a.png", "trip/day/e.png"]
    assert names(folder / "out") == expected
    assert load_image(folder / "out" / "trip" / "day" / "e.png").shape == (10, 14, 3)


def test_a_result_that_another_run_has_begun_is_waited_for(weights, folder, tmp_path, capsys):
    """Another process holds the lock of one result until the others are made, and then gives up."""
    out = tmp_path / "out"
    out.mkdir()
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(out)], stdout=subprocess.PIPE, cwd=ROOT
    )
    with other:
        assert other.stdout and other.stdout.readline() == b"locked\n"
        assert upscale(weights, folder, "-o", out) == 0
    assert "3 done, 0 skipped (done before), 0 failed" in capsys.readouterr().out
    assert not list(out.glob(".*.lock"))


OTHER = """
import sys, time
from pathlib import Path
from infer.record import Record, release
out = Path(sys.argv[1])
lock = Record(out).lock(out / "b.png")
print("locked", flush=True)
while not (out / "c.png").exists():
    time.sleep(0.01)
release(lock)
"""


@pytest.mark.slow
def test_two_runs_at_once_share_the_work(weights, folder, tmp_path):
    for n in range(12):
        write(folder / f"{n:02}.png", n)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "infer", "upscale", folder, "-o", out, "--model"]
    command.append(weights / "x2.weights.h5")
    runs = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    done = [int(out.split()[0]) for out, _ in said]
    assert sum(done) == 15, "each picture is made once"
    assert len((out / ".infer.jsonl").read_text().splitlines()) == 15
    assert not list(out.glob(".*.lock"))


def test_locks_that_a_killed_run_left_are_taken_away(weights, folder, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    lock = Record(out).lock(out / "gone.png")
    lock.release(force=True)
    with filelock.FileLock(out / f".{'0' * 16}.lock"):
        left = list(out.glob(".*.lock"))
        assert upscale(weights, folder, "-o", out) == 0
        assert list(out.glob(".*.lock")) == [out / f".{'0' * 16}.lock"], left


def test_a_record_line_cut_short_by_a_full_disk_spoils_no_other(weights, folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert upscale(weights, folder / "a.png", "-o", f"{out}/") == 0
    with (out / ".infer.jsonl").open("a") as file:
        file.write('{"target": "b.pn')
    assert upscale(weights, folder, "-o", out) == 0
    assert "2 done, 1 skipped" in capsys.readouterr().out
    assert upscale(weights, folder, "-o", out) == 0
    assert "0 done, 3 skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["upscale", "in/a.png", "--model", "W/x2.weights.h5", "-o"],
        ["restore", "in/a.png", "--task", "denoise", "--model", "W/restormer.weights.h5", "-o"],
        ["faces", "in/a.png", "-o"],
        ["compare", "in/a.png", "in/b.png", "-o"],
        ["export", "W/x2.weights.h5", "--format", "savedmodel", "-o"],
        ["convert", "W/x2.weights.h5"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_command_replaces_a_file_unasked(weights, folder, monkeypatch, capsys, arguments):
    monkeypatch.chdir(folder.parent)
    arguments = [word.replace("W/", f"{weights}/") for word in arguments]
    ending = {"compare": ".html", "export": "", "convert": ".weights.h5"}.get(arguments[0], ".png")
    out = Path(f"mine{ending}")
    out.write_text("precious")
    assert main([*arguments, str(out)]) == 2
    assert capsys.readouterr().err == (
        f"error: {out} is there already; give another name, or --overwrite to replace it\n"
    )
    assert out.read_text() == "precious"
    assert main([*arguments, f"none/x{ending}"]) == 2
    assert "there is no folder none to write x" in capsys.readouterr().err
    assert main([*arguments, f"{'x' * 256}{ending}"]) == 2
    assert "too long for this file system" in capsys.readouterr().err


def test_names_of_255_bytes_are_written(weights, folder, tmp_path, capsys):
    name = "ä" * 125 + "x.png"
    os.rename(folder / "a.png", folder / name)
    assert upscale(weights, folder, "-o", tmp_path / "out") == 0
    assert (tmp_path / "out" / name).exists()
    capsys.readouterr()
    assert upscale(weights, folder, "-o", tmp_path / "long", "--suffix=-x2") == 1
    captured = capsys.readouterr()
    assert "2 done" in captured.out and "too long for this file system" in captured.err


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (["--tile", "abc"], "must be auto, none, or a whole number of 8 or more, got 'abc'"),
        (["--tile", "7"], "must be auto, none, or a whole number of 8 or more, got '7'"),
        (["--overlap-px", "-1"], "must be a whole number of 0 or more, got '-1'"),
        (["--format", "gif"], "choose from"),
        (["--sufix=x"], "unrecognized arguments: --sufix=x"),
    ],
)
def test_wrong_options_get_one_line_that_says_what_is_allowed(capsys, option, sentence):
    with pytest.raises(SystemExit) as stop:
        main(["upscale", "a.png", "-o", "b.png", *option])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert sentence in error and error.startswith("error: ") and error.count("\n") == 1


def test_a_network_that_restores_is_pointed_to_restore(weights, folder, tmp_path, capsys):
    model = str(weights / "restormer.weights.h5")
    arguments = ["upscale", str(folder), "-o", str(tmp_path / "out"), "--model", model]
    assert main(arguments) == 2
    assert "use `python -m infer restore` for it" in capsys.readouterr().err


def test_closed_streams_do_no_harm(weights, folder, tmp_path):
    """The first file to be opened would otherwise be number 2, and be written into."""
    model = weights / "x2.weights.h5"
    command = f"{sys.executable} -m infer upscale {folder} -o {tmp_path}/out --model {model}"
    result = subprocess.run(f"{command} 2>&- <&-", shell=True, cwd=ROOT, stdout=subprocess.PIPE)
    assert result.returncode == 0 and b"3 done" in result.stdout
    assert names(tmp_path / "out") == ["a.png", "b.png", "c.png"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["upscale", "faces", "restore --task denoise"])
def test_commands_print_no_lines_of_tensorflow(folder, tmp_path, command):
    """With the bundled networks, and without the variable that silences TensorFlow."""
    words = [*command.split(), folder / "a.png", "-o", tmp_path / "out.png"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_CPP")}
    result = subprocess.run(
        [sys.executable, "-m", "infer", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    assert not re.search("(?i)tensorflow|onednn|absl|cuda|retracing", result.stderr)


def test_an_exact_picture_leaves_the_mean_finite(tmp_path, capsys):
    """Bicubic is exact on a picture of one colour."""
    (tmp_path / "hr").mkdir()
    Image.new("RGB", (24, 20), "white").save(tmp_path / "hr" / "blank.png")
    write(tmp_path / "hr" / "other.png")
    edsr(2, 4, 1).save_weights(tmp_path / "x2.weights.h5")
    arguments = ["evaluate", "--hr", tmp_path / "hr", "--json", tmp_path / "scores.json"]
    assert main([*map(str, arguments), "--model", str(tmp_path / "x2.weights.h5")]) == 0
    assert "An exact picture counts as 100 dB." in capsys.readouterr().out

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    scores = json.loads((tmp_path / "scores.json").read_text(), parse_constant=refuse)
    exact, other = (
        scores["pictures"][f"{n}.png"]["bicubic"]["psnr_rgb_db"] for n in ("blank", "other")
    )
    assert exact == 100 > other
    assert scores["mean"]["bicubic"]["psnr_rgb_db"] == pytest.approx((exact + other) / 2)


def test_evaluate_scores_what_it_can_read_and_names_the_rest(weights, folder, capsys):
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:60])
    model = str(weights / "x2.weights.h5")
    assert main(["evaluate", "--hr", str(folder), "--model", model]) == 1
    captured = capsys.readouterr()
    assert "c.png" in captured.out and "broken.png" in captured.err


def test_each_help_ends_with_an_example_that_parses(capsys):
    commands = [
        "upscale",
        "restore",
        "faces",
        "compare",
        "evaluate",
        "weights",
        "convert",
        "export",
        "demo",
    ]
    for command in commands:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        last = capsys.readouterr().out.splitlines()[-1].split()
        assert last[:4] == ["python", "-m", "infer", command]
        assert parser().parse_args(last[3:]).command == command


def test_the_program_has_all_commands(capsys):
    import whole_pictures

    for arguments in (["upscale"], ["train", "wdsr-b"], ["data", "folder"]):
        with pytest.raises(SystemExit) as stop:
            whole_pictures.main([*arguments, "--help"])
        usage = f"usage: whole-pictures {' '.join(arguments)} [-h]"
        assert stop.value.code == 0 and capsys.readouterr().out.startswith(usage)
    with pytest.raises(SystemExit) as stop:
        whole_pictures.main(["--version"])
    assert stop.value.code == 0 and capsys.readouterr().out.startswith("whole-pictures ")


def test_what_infer_hands_on():
    code = (
        "from infer import Fusion, Upscaler, load_image, load_model, plot_sample, save_image\n"
        "from infer import upscale\n"
        "import infer.upscaler, weights.load, infer.weights, utils\n"
        "assert upscale is infer.upscaler.upscale and load_image is utils.load_image\n"
        "assert load_model is weights.load.load_model is infer.weights.load_model\n"
    )
    exec(code, {})
