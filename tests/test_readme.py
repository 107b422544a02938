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

from model import weight_file
from weights.load import DEFAULT, WEIGHTS_DIR, load_model, manifest
from weights.tables import tables

README = Path(__file__).parents[1] / "README.md"
BLOCKS = dict(enumerate(re.findall(r"```(\w+)\n(.*?)```", README.read_text(), re.DOTALL)))
PYTHON = [text for language, text in BLOCKS.values() if language == "python"]
COMMANDS = [
    line
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
    words = shlex.split(line, comments=True)
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
        if fact["builder"] == "restormer":
            assert {"Kodak24", "B100"} <= fact["restoration"].keys()
        else:
            own = {"faces_valid"} if "-faces" in name else {"Set5", "Set14", "B100"}
            assert own <= fact["scores"].keys()
        assert f"### {name}\n" in (WEIGHTS_DIR / "README.md").read_text()
    for readme in (README, WEIGHTS_DIR / "README.md"):
        assert tables(facts) in readme.read_text()


RESTORING = [name for name, fact in manifest().items() if fact["builder"] == "restormer"]
ENLARGING = [name for name in manifest() if name not in RESTORING]
PERCEPTUAL = [name for name in ENLARGING if name.endswith("-gan")]
DAMAGE = {
    "denoise": "gaussian-noise",
    "deblur": "motion-blur",
    "antialias": "aliasing",
    "inpaint": "inpainting",
}


@pytest.fixture(scope="module")
def cat():
    """A photograph that nothing was trained on (CC0), 112×160 px."""
    from skimage.data import chelsea

    return chelsea()[100:212, 100:260]


def enlarged(name, hr):
    """HR cut to a multiple of the network's scale, LR, and what the network makes of it."""
    from data.degrade import imresize
    from model import resolve_single

    model = load_model(name)
    scale = model.built_by.arguments["scale"]
    hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
    lr = imresize(hr, 1 / scale)
    return hr, lr, resolve_single(model, lr).numpy()


@pytest.mark.parametrize("name", [name for name in ENLARGING if name not in PERCEPTUAL])
def test_bundled_networks_beat_bicubic_on_a_photograph(cat, name):
    from data.degrade import imresize
    from model.metrics import psnr

    hr, lr, sr = enlarged(name, cat)
    bicubic = imresize(lr, hr.shape[0] // lr.shape[0])
    assert psnr(hr[None], sr[None])[0] > psnr(hr[None], bicubic[None])[0] + 0.3


@pytest.mark.parametrize("name", PERCEPTUAL)
def test_perceptual_networks_are_nearer_by_lpips_and_keep_to_the_picture(cat, name):
    from data.degrade import imresize

    scores = [manifest()[each]["scores"] for each in (name, name.removesuffix("-gan"))]
    for data_set in scores[0]:
        assert scores[0][data_set]["lpips"] < 0.7 * scores[1][data_set]["lpips"]
    _, lr, sr = enlarged(name, cat)
    assert np.abs(imresize(sr, 1 / 4).astype(float) - lr).mean() < 3


def test_bundled_networks_restore_a_photograph(cat):
    from data.tasks import TASKS, damage
    from model.metrics import psnr
    from model.restoration import restored

    for name in RESTORING:
        model = load_model(name)
        own = [task for ending, task in DAMAGE.items() if name.endswith(f"-{ending}")]
        for task in own or DAMAGE.values():
            damaged, valid = damage(task, cat, np.random.default_rng(1), TASKS[task].usual)
            result = restored(model, damaged[None], valid[None])
            gain_db = psnr(cat[None], result)[0] - psnr(cat[None], damaged[None])[0]
            # the network of all tasks hardly knows motion blur yet, but may harm nothing
            assert gain_db > (0.3 if own else 0), (name, task)
