"""README's code runs, its commands parse, and its table is that of the weight files."""

import hashlib
import importlib
import re
import shlex
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from infer.weights import DEFAULT, WEIGHTS_DIR, load_model, manifest, markdown_table
from model import weight_file

README = Path(__file__).parents[1] / "README.md"
BLOCKS = dict(enumerate(re.findall(r"```(\w+)\n(.*?)```", README.read_text(), re.DOTALL)))
PYTHON = [text for language, text in BLOCKS.values() if language == "python"]
COMMANDS = [
    line.split("#")[0]
    for language, text in BLOCKS.values()
    if language == "bash"
    for line in text.replace("\\\n", " ").splitlines()
    if "python -m" in line
]


def save(path, pixels):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """A working folder with a small photo.png and a small DIV2K."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    random = np.random.default_rng(0)
    save("photo.png", random.integers(0, 256, (13, 17, 3), dtype=np.uint8))
    for subset, name in (("train", "0001"), ("valid", "0801")):
        hr = random.integers(0, 256, (96, 100, 3), dtype=np.uint8)
        save(f".div2k/images/DIV2K_{subset}_HR/{name}.png", hr)
        save(f".div2k/images/DIV2K_{subset}_LR_bicubic/X4/{name}x4.png", hr[::4, ::4])


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_blocks_run(in_folder, number):
    small = {
        "steps=300000, evaluate_every=1000": "steps=1",
        "num_res_blocks=16": "num_res_blocks=1",
    }
    code = PYTHON[number]
    for paper, ours in small.items():
        code = code.replace(paper, ours)
    exec(compile(code, f"README block {number}", "exec"), {})
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line):
    words = shlex.split(line)
    room = words[words.index("-m") + 1]
    importlib.import_module(f"{room}.__main__").parser().parse_args(words[words.index("-m") + 2 :])


def test_manifest_and_tables_say_what_the_files_say():
    facts = manifest()
    files = sorted(WEIGHTS_DIR.glob("*.weights.h5"))
    assert DEFAULT in facts and sorted(f["file"] for f in facts.values()) == [f.name for f in files]
    assert sum(f.stat().st_size for f in files) < 30e6
    for name, fact in facts.items():
        file = WEIGHTS_DIR / fact["file"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == fact["sha256"]
        assert weight_file.read_note(file).items() <= fact.items()
        assert {"Set5", "Set14", "B100"} <= fact["scores"].keys()
        assert f"### {name}\n" in (WEIGHTS_DIR / "README.md").read_text()
    for readme in (README, WEIGHTS_DIR / "README.md"):
        assert markdown_table(facts) in readme.read_text()


def test_bundled_networks_load_and_beat_bicubic_on_a_photograph():
    from skimage.data import chelsea  # a cat, CC0, not trained on

    from data.degrade import imresize
    from model import resolve_single
    from model.metrics import psnr

    hr = chelsea()[100:212, 100:260]
    lr = imresize(hr, 1 / 4)
    for name in manifest():
        sr = resolve_single(load_model(name), lr).numpy()
        assert psnr(hr[None], sr[None])[0] > psnr(hr[None], imresize(lr, 4)[None])[0] + 0.3
