"""What the pages say is so: code runs, commands parse, places exist, scores are the files'."""

import hashlib
import importlib
import json
import re
import shlex
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from model import weight_file
from weights.load import DEFAULT, WEIGHTS_DIR, load_model, manifest
from weights.tables import refreshed, tables

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SLOW_PAGES = {"docs/faces.md"}  # a detector and two networks


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def text_of(page):
    """A page, or the Markdown cells of a notebook."""
    if page.suffix == ".md":
        return page.read_text()
    cells = json.loads(page.read_text())["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def _python_blocks():
    for page in PAGES:
        for number, code in enumerate(blocks(text_of(page), "python")):
            marks = [pytest.mark.slow] if name_of(page) in SLOW_PAGES else []
            yield pytest.param(code, id=f"{name_of(page)}-{number}", marks=marks)


def _commands():
    for page in [*PAGES, ROOT / "weights" / "README.md", *NOTEBOOKS]:
        for block in blocks(text_of(page), "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                if re.search(r"\b(python -m|whole-pictures) ", line):
                    yield pytest.param(line, id=f"{name_of(page)}-{line}")


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


@pytest.mark.parametrize("code", [*_python_blocks()])
def test_python_blocks_run(in_folder, code):
    small = {
        "steps=300000, evaluate_every=1000": "steps=1",
        "num_res_blocks=16": "num_res_blocks=1",
    }
    for paper, ours in small.items():
        code = code.replace(paper, ours)
    exec(compile(code, "block", "exec"), {})
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("line", [*_commands()])
def test_commands_parse(line):
    words = shlex.split(line, comments=True)
    words = words[words.index("-m" if "-m" in words else "whole-pictures") + 1 :]
    if words[0] in ("data", "infer", "train"):
        importlib.import_module(f"{words[0]}.__main__").parser().parse_args(words[1:])
    else:
        assert words[0] in ("pip", "pytest", "venv")


def test_readme_fits_on_a_page_and_is_in_order():
    text = README.read_text()
    assert len(text.splitlines()) <= 130
    parts = ["![", "## Install", "make demo", "## Use", "infer upscale", "infer restore"]
    parts += ["infer faces", "import resolve_single", "## Which network", "## Train"]
    parts += ["import EdsrTrainer", "## Notebooks", "## Limits", "## Licence", "keras-vggface"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert all(name_of(notebook) in text for notebook in NOTEBOOKS)


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS, ROOT / "weights" / "README.md"], ids=name_of)
def test_places_that_are_named_exist(page):
    text = text_of(page)
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    assert [x for x in links if "://" not in x and not (page.parent / x).exists()] == []
    rooms = "data|infer|model|train|weights|tests|benchmarks|docs|notebooks"
    files = re.findall(rf"`((?:{rooms})/[\w./-]*\.(?:py|md|json|ipynb))", text)
    assert [x for x in files if not (ROOT / x).exists()] == []
    names = re.findall(r"`((?:data|infer|model|train|weights)(?:\.\w+)+)`", text)
    assert [x for x in names if not importable(x)] == []


def importable(name):
    """Whether a dotted name is a module, or in one."""
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute) or bool(
            importlib.import_module(name)
        )
    except ImportError:
        return False


def test_manifest_and_tables_say_what_the_files_say():
    facts = manifest()
    files = sorted(WEIGHTS_DIR.glob("*.weights.h5"))
    assert DEFAULT in facts and sorted(f["file"] for f in facts.values()) == [f.name for f in files]
    assert sum(f.stat().st_size for f in files) < 40e6
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
    assert tables(facts) in (ROOT / "docs" / "models.md").read_text()


def test_readme_has_every_network_with_its_score():
    text = README.read_text()
    assert text == refreshed(text, manifest())
    changed = json.loads(re.sub(r"(_db|lpips)\": \d+", r'\1": 7', json.dumps(manifest())))
    before, after = (page.splitlines() for page in (text, refreshed(text, changed)))
    rows = [a for a, b in zip(before, after, strict=True) if a != b]
    named = re.findall(r"^\| [^|]+ \| `([\w-]+)` \|", text, re.MULTILINE)
    assert {row.split("`")[1] for row in rows} == set(named) == set(manifest())
    assert refreshed(text, {}) == text


RESTORING = [name for name, fact in manifest().items() if fact["builder"] == "restormer"]
ENLARGING = [name for name in manifest() if name not in RESTORING]
PERCEPTUAL = [name for name in ENLARGING if name.endswith("-gan")]
DAMAGE = {
    "denoise": "gaussian-noise",
    "deblur": "motion-blur",
    "antialias": "aliasing",
    "jpeg": "jpeg",
    "inpaint": "inpainting",
}


def quick_if(quick, names):
    """The names as parameters; all but one are slow."""
    for name in sorted(names):
        yield pytest.param(name, marks=[] if name == quick else pytest.mark.slow)


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


@pytest.mark.parametrize("name", [*quick_if(DEFAULT, set(ENLARGING) - set(PERCEPTUAL))])
def test_bundled_networks_beat_bicubic_on_a_photograph(cat, name):
    from data.degrade import imresize
    from model.metrics import psnr

    hr, lr, sr = enlarged(name, cat)
    bicubic = imresize(lr, hr.shape[0] // lr.shape[0])
    assert psnr(hr[None], sr[None])[0] > psnr(hr[None], bicubic[None])[0] + 0.3


@pytest.mark.parametrize("name", [*quick_if(f"{DEFAULT}-gan", PERCEPTUAL)])
def test_perceptual_networks_are_nearer_by_lpips_keep_to_the_picture_and_draw_no_grid(cat, name):
    from data.degrade import imresize
    from train.losses import grid_loss

    scores = [manifest()[each]["scores"] for each in (name, name.removesuffix("-gan"))]
    for data_set in scores[0]:
        assert scores[0][data_set]["lpips"] < 0.7 * scores[1][data_set]["lpips"]
    hr, lr, sr = enlarged(name, cat)
    assert np.abs(imresize(sr, 1 / 4).astype(float) - lr).mean() < 3
    smooth = imresize(lr, 4)[None]
    assert grid_loss(smooth, sr[None], 4) < grid_loss(smooth, hr[None], 4)


@pytest.mark.slow
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
