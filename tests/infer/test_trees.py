"""Whole trees and lists in: what is taken, what is kept of its folders, and how soon it begins."""

import io
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from data.pictures.read import load_image, picture_size
from data.pictures.write import save_image
from infer.__main__ import main
from infer.batch import Settings
from infer.batch import run as run_batch
from infer.jobs import jobs_for
from infer.sources import find_sources


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """in/ with a.png, trip/b.png and trip/day/c.png; the working folder is its parent."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a", "trip/b", "trip/day/c")):
        file = tmp_path / "in" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        save_image(file, picture(seed))
    return tmp_path


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def upscale(network, *arguments):
    return main(["upscale", *map(str, arguments), "--model", str(network)])


def names(folder):
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*.*") if f.name[0] != ".")


def stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_results_inside_the_source_do_not_become_sources(network, tree, capsys):
    for outcome in ("3 done, 0 skipped", "0 done, 3 skipped"):
        assert upscale(network, "in", "-o", "in/big", "--recursive") == 0
        assert outcome in capsys.readouterr().out
    assert names(tree / "in" / "big") == ["a.png", "trip/b.png", "trip/day/c.png"]


def test_a_cycle_of_links_ends(network, tree, capsys):
    os.symlink("..", tree / "in" / "trip" / "back")
    assert upscale(network, "in", "-o", "out", "--recursive") == 0
    captured = capsys.readouterr()
    assert "3 done" in captured.out and "1 link to a folder" in captured.err


@pytest.mark.parametrize("end", ["\n", "\0", "\r\n"])
def test_a_list_of_files(network, tree, capsys, end):
    inside = ["in/a.png", "in/trip/b.png", "in/gone.png", str(tree / "in" / "trip" / "day/c.png")]
    (tree / "list").write_bytes("".join(name + end for name in inside).encode())
    assert upscale(network, "--files-from", "list", "-o", "out") == 1
    captured = capsys.readouterr()
    assert "3 done, 0 skipped (done before), 1 failed" in captured.out
    assert "in/gone.png" in captured.err
    below = str(tree / "in" / "trip" / "day" / "c.png").lstrip("/")
    assert names(tree / "out") == sorted(["in/a.png", "in/trip/b.png", below])


def test_a_list_from_stdin(network, tree, monkeypatch, capsys):
    stdin(monkeypatch, b"in/a.png\n\nin/trip/b.png")
    assert upscale(network, "--files-from", "-", "-o", "out") == 0
    assert names(tree / "out") == ["in/a.png", "in/trip/b.png"]


def test_stdin_to_stdout(network, tree, monkeypatch, capfdbinary):
    data = (tree / "in" / "a.png").read_bytes()
    for options, ending in ((["--format", "tif"], "tif"), ([], "png")):
        stdin(monkeypatch, data)
        assert upscale(network, "-", "-o", "-", *options) == 0
        file = tree / f"out.{ending}"
        file.write_bytes(capfdbinary.readouterr().out)
        assert load_image(file).shape == (10, 14, 3)
    stdin(monkeypatch, data)
    assert upscale(network, "-", "-o", "out/") == 0
    assert len(names(tree / "out")) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "out"], "name pictures, folders or patterns, or give --files-from"),
        (["-", "--files-from", "-", "-o", "out"], "- is given twice"),
        (["in", "-o", "-"], "several pictures need a folder to go to, got - for stdout"),
        (["--files-from", "empty", "-o", "out"], "the list of pictures is empty"),
        (["--files-from", "up", "-o", "out"], "may not contain .., got ../secret.png"),
        (["--files-from", "none", "-o", "out"], "No such file or directory: 'none'"),
    ],
)
def test_mistakes_get_a_line(network, tree, monkeypatch, capsys, arguments, sentence):
    (tree / "empty").write_text("\n")
    (tree / "up").write_text("../secret.png\n")
    stdin(monkeypatch, b"")
    assert upscale(network, *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_no_picture_goes_to_a_terminal(network, tree, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert upscale(network, "in/a.png", "-o", "-") == 2
    assert "stdout, which is a terminal" in capsys.readouterr().err


def test_an_archive_begins_before_its_pictures_are_looked_at(tree, monkeypatch):
    """Only what comes first is opened before the first picture is made."""
    for n in range(1500):
        os.link(tree / "in" / "a.png", tree / "in" / "trip" / f"{n:04}.png")
    opened = []

    def size(path):
        opened.append(path)
        return picture_size(path)

    monkeypatch.setattr("infer.batch.picture_size", size)
    monkeypatch.setattr("infer.sources.picture_size", size)

    def make(job, pixels, **_):
        raise KeyboardInterrupt

    todo, folder = jobs_for(find_sources(["in"], "out", recursive=True), "out")
    assert len(todo) == 1503
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        run_batch(todo, make, Settings(lambda job: ""), folder=folder)
    assert len(opened) < 300


def test_a_large_tree_is_made_once_by_windows_of_size(tree, capsys):
    """More pictures than are sorted at a time, of two sizes, in two runs."""
    save_image(tree / "in" / "large.png", np.zeros((9, 9), np.uint8))
    for n in range(600):
        os.link(tree / "in" / ("large.png" if n % 2 else "a.png"), tree / "in" / f"{n:04}.png")
    made = []

    def make(job, pixels, **_):
        made.append(pixels.shape[0])
        if len(made) == 400:
            raise KeyboardInterrupt
        return pixels

    for _ in range(2):
        todo, folder = jobs_for(find_sources(["in"], "out"), "out")
        folder.mkdir(exist_ok=True)
        try:
            outcome = run_batch(todo, make, Settings(lambda job: "key"), folder=folder)
        except KeyboardInterrupt:
            assert len(names(folder)) <= 399
    assert outcome.done + outcome.skipped == 602 == len(names(folder))
    changes = sum(a != b for a, b in zip(made, made[1:], strict=False))
    assert changes < 12, "pictures of one size are made one after another"
    lines = [json.loads(line) for line in (folder / ".infer.jsonl").read_text().splitlines()]
    assert len({line["target"] for line in lines}) == len(lines) == 602
    assert "megapixels a second; slowest: " in outcome.summary


def test_the_summary_names_the_slowest_and_the_failed(network, tree, capsys):
    (tree / "in" / "broken.png").write_bytes(b"no picture")
    save_image(tree / "in" / "wide.png", np.zeros((60, 900, 3), np.uint8))
    assert upscale(network, "in", "-o", "out", "--recursive") == 1
    captured = capsys.readouterr()
    assert "pictures and" in captured.out and "slowest: " in captured.out
    assert "wide.png" in captured.out.split("slowest: ")[1]
    assert "broken.png is not a picture" in captured.err
