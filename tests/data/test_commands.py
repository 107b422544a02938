"""``python -m data``: what it prints, writes and refuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.__main__ import COMMANDS, main
from data.commands.options import TASKS as TASKS_IN_HELP
from data.prepared import write_damaged
from data.tasks import TASKS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command line in an empty folder; returns status, stdout and stderr."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def run_words(*words):
        try:
            status = main([str(word) for word in words])
        except SystemExit as error:
            status = error.code
        return status, *capsys.readouterr()

    return run_words


@pytest.mark.parametrize("module", COMMANDS)
def test_help_shows_choices_defaults_and_an_example(run, module):
    name = module.__name__.rpartition(".")[2]
    status, text, _ = run(name, "--help")
    assert status == 0 and f"example:\n  python -m data {name} --" in text
    assert "(default" in text and "exit status: 0 done" in text


def test_help_names_all_tasks():
    assert TASKS_IN_HELP.split(", ") == list(TASKS)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--hr-crop-px", "0"], "--hr-crop-px: must be a whole number of at least 1, got '0'"),
        (["--scale", "1"], "--scale: must be a whole number of at least 2, got '1'"),
        (["--scale", "x"], "--scale: must be a whole number of at least 2, got 'x'"),
    ],
)
def test_folder_refuses_numbers_by_name(run, hr_dir, words, sentence):
    status, _, error = run("folder", "--hr", hr_dir, *words)
    assert status == 2 and sentence in error and error.count("\n") == 1


@pytest.mark.parametrize("name", ["--count", "--crop-px", "--seed"])
def test_preview_refuses_numbers_by_name(run, hr_dir, name):
    status, _, error = run("preview", "--task", "jpeg", "--in", hr_dir, "-o", "s.png", name, "-1")
    assert status == 2 and f"{name}: must be a whole number" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("task", "strength", "allowed"),
    [
        ("aliasing", 0, r"\(share kept\) must be from 0.01 to 1"),
        ("salt-and-pepper", 3, r"\(share of values\) must be from 0.0001 to 1"),
        ("gaussian-noise", -5, r"\(sigma in grey levels\) must be from 0.01 to 255"),
        ("motion-blur", 0, r"\(length in px\) must be from 1 to 500"),
        ("jpeg", 101, r"\(quality\) must be from 1 to 100"),
        ("gaussian-blur", float("nan"), r"\(sigma in px\) must be from"),
    ],
)
def test_degrade_refuses_strengths_by_name(run, hr_dir, tmp_path, task, strength, allowed):
    with pytest.raises(ValueError, match=f"strength of {task} {allowed}.*, got {strength}"):
        write_damaged(task, hr_dir, tmp_path / "out", strength=strength)
    status, _, error = run(
        "degrade", "--task", task, f"--strength={strength}", "--in", hr_dir, "--out", "o"
    )
    assert status == 2 and f"got {strength}" in error and error.count("\n") == 1
    assert not os.listdir()


def test_degrade_keeps_pictures_that_differ_in_their_suffix_only(run, hr_dir):
    Image.open(hr_dir / "picture1.png").save(hr_dir / "picture0.jpg", quality=100)
    assert run("degrade", "--task", "jpeg", "--in", hr_dir, "--out", "out")[0] == 0
    names = ["picture0.jpg.png", "picture0.png", "picture1.png", "picture2.png"]
    for part in ("input", "target", "mask"):
        assert sorted(os.listdir(f"out/jpeg/{part}")) == names
    shapes = [np.asarray(Image.open(f"out/jpeg/target/{name}")).shape for name in names[:2]]
    assert shapes == [(47, 67, 3), (61, 53, 3)]


def test_degrade_refuses_pictures_that_would_become_one_file(run, hr_dir):
    for name in ("picture0.jpg", "picture0.jpg.png"):
        Image.open(hr_dir / "picture1.png").save(hr_dir / name)
    status, _, error = run("degrade", "--task", "jpeg", "--in", hr_dir, "--out", "out")
    assert status == 2 and error.count("\n") == 1
    assert "would both become picture0.jpg.png: rename one" in error and not os.listdir()


def test_degrade_leaves_out_what_is_no_picture(run, hr_dir):
    (hr_dir / "broken.png").write_bytes(b"x")
    (hr_dir / "link.png").symlink_to("/nowhere.png")
    status, text, _ = run("degrade", "--task", "jpeg", "--in", hr_dir, "--out", "out")
    assert status == 1 and "wrote 3 pictures" in text
    assert "broken.png" in text and "link.png" in text
    assert len(os.listdir("out/jpeg/input")) == len(os.listdir("out/jpeg/mask")) == 3


def test_folder_tells_what_it_leaves_out_and_ends_with_1(run, hr_dir):
    (hr_dir / "broken.png").write_bytes(b"x")
    for _ in range(2):
        status, text, _ = run("folder", "--hr", hr_dir, "--scale", "2")
        assert status == 1 and "broken.png" in text and "3 pairs at scale 2" in text
    status, _, error = run("folder", "--hr", hr_dir, "--scale", "2", "--strict")
    assert status == 2 and "broken.png" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["folder", "--hr", "hr", "--hr-crop-px", "24", "--sheet", "sheet.png"],
        ["preview", "--task", "jpeg", "--in", "hr", "--sheet", "sheet.png"],
        ["preview", "--damage", "mild", "--in", "hr", "--sheet", "sheet.png"],
        ["degrade", "--task", "jpeg", "--in", "hr", "--out", "out"],
    ],
    ids=" ".join,
)
def test_files_are_replaced_only_if_asked(run, hr_dir, words):
    shutil.copytree(hr_dir, "hr")
    assert run(*words)[0] == 0
    status, _, error = run(*words)
    assert status == 2 and "is there; --overwrite replaces it" in error
    assert run(*words, "--overwrite")[0] == 0


def test_a_preview_of_pictures_smaller_than_the_crop(run, hr_dir):
    status, *_ = run("preview", "--damage", "clean", "--in", hr_dir, "-o", "s.png", "--crop-px", 1)
    assert status == 0 and np.asarray(Image.open("s.png")).ndim == 3


def test_names_that_the_terminal_cannot_show_are_escaped(hr_dir, tmp_path):
    """In a process of its own, whose output is ASCII."""
    (hr_dir / "\xfc.png").write_bytes(b"x")
    words = ["folder", "--hr", str(hr_dir), "--caches-dir", str(tmp_path / "caches")]
    result = subprocess.run(
        [sys.executable, "-m", "data", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1 and r"\xfc.png" in result.stdout, result.stderr
