"""Work that is given out to other processes and machines: the same results, or a sentence."""

import builtins
import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.pictures.write import save_image
from infer.__main__ import main
from infer.distributed import Enlarge, library_version
from infer.sizes import OutputSize

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """in/ with a.png, trip/b.png and a file that is no picture, broken.png."""
    (tmp_path / "in" / "trip").mkdir(parents=True)
    for seed, name in enumerate(("a", "trip/b")):
        pixels = np.random.default_rng(seed).integers(0, 256, (5 + seed, 7, 3)).astype(np.uint8)
        save_image(tmp_path / "in" / f"{name}.png", pixels)
    (tmp_path / "in" / "broken.png").write_text("no picture")
    return tmp_path


def local(folder, network, *options):
    words = [folder / "in", "-o", folder / "local", "--recursive", "--model", network, *options]
    return main(["upscale", *map(str, words)])


def rows(folder, *names):
    return {
        "source": np.array([str(folder / "in" / name) for name in names]),
        "target": np.array([str(folder / "out" / name) for name in names]),
    }


def digests(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*.png")
    }


def lines(folder):
    """What a record says of each result, but for the time."""
    found = {}
    for line in (folder / ".infer.jsonl").read_text().splitlines():
        entry = json.loads(line)
        found[entry["target"]] = entry["source"], entry["key"], entry["result"][0]
    return found


def test_a_worker_makes_what_the_command_makes(folder, network, capsys):
    assert local(folder, network, "--scale", "1.5") == 1
    (folder / "out").mkdir()
    enlarge = Enlarge(str(network), size=OutputSize(scale=1.5), folder=folder / "out")
    enlarge = pickle.loads(pickle.dumps(enlarge))
    made = enlarge(rows(folder, "a.png", "broken.png", "trip/b.png"))
    assert [bool(error) for error in made["error"]] == [False, True, False]
    assert "broken.png is not a picture" in made["error"][1] and not made["stop"].any()
    assert made["pixels"].tolist() == [35, 0, 42]
    assert digests(folder / "out") == digests(folder / "local")
    (part,) = (folder / "out").glob(".infer-*.jsonl")
    assert len(part.read_text().splitlines()) == 2
    again = pickle.loads(pickle.dumps(enlarge))  # a loaded one goes without its network
    assert again(rows(folder, "a.png"))["pixels"].tolist() == [0], "made twice"
    assert not list((folder / "out").rglob("*.tries"))


def test_a_worker_of_another_version_refuses(folder, network):
    made = Enlarge(str(network), version="0.0.9 abc")(rows(folder, "a.png"))
    assert made["stop"].all() and "another version of the library" in made["error"][0]
    assert library_version() in made["error"][0] and not (folder / "out").exists()
    assert not Enlarge(str(network), version=library_version())(rows(folder, "a.png"))["stop"][0]


def test_a_network_that_cannot_be_loaded_stops_all(folder):
    made = Enlarge("no-such")(rows(folder, "a.png"))
    assert made["stop"].all() and "no weights named 'no-such'" in made["error"][0]


def test_a_full_target_stops_with_its_name(folder, network, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("infer.batch.encode", full)
    made = Enlarge(str(network))(rows(folder, "a.png"))
    assert made["stop"].all() and str(folder / "out" / "a.png") in made["error"][0]
    assert list((folder / "out").iterdir()) == []


DEADLY = """
import os, sys
from infer.distributed import Enlarge
enlarge = Enlarge(lambda: (lambda *_, **__: os._exit(9), "key"))
print(enlarge.one(*sys.argv[1:])["error"])
"""


def test_a_picture_that_kills_its_workers_is_given_up(folder):
    """And only that one."""

    def one(name):
        arguments = [str(folder / place / name) for place in ("in", "out")]
        command = [sys.executable, "-c", DEADLY, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    died = [one("a.png").returncode for _ in range(4)]
    assert died == [9] * 4
    assert "was given up: 4 workers died of making it" in one("a.png").stdout
    assert one("trip/b.png").returncode == 9, "it does not count for another"
    assert len(list((folder / "out").rglob("*.tries"))) == 1


def test_without_ray_a_sentence_says_how_to_get_it(folder, network, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *arguments):
        if name == "ray":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    assert local(folder, network, "--engine", "ray") == 2
    assert "pip install 'whole-pictures[ray]'" in capsys.readouterr().err
    assert local(folder, network) == 1, "all but the broken one"


def test_a_cluster_is_for_folders(folder, network, capsys):
    words = [folder / "in" / "a.png", "-o", folder / "a.png", "--model", network, "--engine", "ray"]
    assert main(["upscale", *map(str, words)]) == 2
    assert "give a folder as -o" in capsys.readouterr().err


@pytest.mark.slow
def test_a_cluster_makes_what_the_command_makes(folder, network):
    pytest.importorskip("ray")
    assert local(folder, network) == 1
    words = [folder / "in", "-o", folder / "out", "--recursive", "--model", network]
    command = [sys.executable, "-m", "infer", "upscale", *words, "--engine", "ray"]
    command += ["--concurrency", "1"]
    environment = os.environ | {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    for outcome in ("2 done, 0 skipped", "0 done, 2 skipped"):
        result = subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert f"{outcome} (done before), 1 failed" in result.stdout, result.stderr
        assert "broken.png is not a picture" in result.stderr and result.returncode == 1
    assert digests(folder / "out") == digests(folder / "local")
    assert lines(folder / "out") == lines(folder / "local")
    assert sorted(f.name for f in (folder / "out").iterdir()) == [".infer.jsonl", "a.png", "trip"]


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_gets_a_line(folder, network):
    pytest.importorskip("ray")
    words = ["upscale", folder / "in", "-o", folder / "out", "--model", network, "--engine", "ray"]
    result = subprocess.run(
        [sys.executable, "-m", "infer", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"RAY_ADDRESS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: no Ray cluster answers")
