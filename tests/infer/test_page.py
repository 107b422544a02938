"""The page that enlarges pictures: what it holds, and that a browser makes what Python makes."""

import hashlib
import re
import shutil

import keras
import numpy as np
import psutil
import pytest
from PIL import Image

import infer.page.page
from data.pictures.read import load_image
from data.pictures.write import save_image
from infer.__main__ import main
from infer.export import export
from infer.inpaint import Inpainter
from infer.page.graph import RUNTIME
from infer.upscaler import Upscaler
from model.edsr import edsr
from model.esrgan import rrdb_net
from model.lpips import lpips
from model.preupsample import vdsr
from model.restormer import restormer
from model.wdsr import wdsr_b
from weights import load_model

HALF_A_LEVEL = 0.5 + 0.01  # rounding to whole levels, and what floats differ by
LICENCE = "Apache-2.0"


def test_a_page_is_checked_against_keras(tmp_path):
    model = wdsr_b(3, 4, num_res_blocks=1)
    assert export(model, tmp_path / "page.html", "html", name="<tiny>", licence=LICENCE) < 0.01
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<title>Enlarge pictures ×3</title>" in page and "Network &lt;tiny&gt;: Apache" in page
    elsewhere = re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert "http" not in elsewhere.replace("http-equiv", ""), "not self-contained"
    assert not re.search("@[A-Z]+@", elsewhere)


def test_networks_that_a_page_cannot_run_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"cannot run in a page: TensorFlow.js has no \w+"):
        export(vdsr(2, 4, 2), tmp_path / "page.html", "html")
    with pytest.raises(ValueError, match="range and layout are for other formats"):
        export(edsr(2, 4, 1), tmp_path / "page.html", "html", layout="nchw")
    with pytest.raises(ValueError, match="one input and one output"):
        export(lpips(), tmp_path / "page.html", "html")
    assert list(tmp_path.iterdir()) == []


def test_the_runtime_is_the_published_one_and_its_licences_are_kept():
    for line in (RUNTIME / "SHA256SUMS").read_text().splitlines():
        if not line.startswith("#"):
            digest, file = line.split()
            assert hashlib.sha256((RUNTIME / file).read_bytes()).hexdigest() == digest
    notices = (RUNTIME / "NOTICES.txt").read_text()
    for words in ("Apache License", "Permission is hereby granted", "Redistributions in binary"):
        assert words in notices


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    program = shutil.which("chromium")
    if not program:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=program, args=["--no-sandbox"])


class Page:
    """A page opened from its file; every request that it makes is noted."""

    def __init__(self, browser, path, where=""):
        self.requests = []
        self.tab = browser.new_page(viewport={"width": 1200, "height": 800}, accept_downloads=True)
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("console", lambda message: self.messages.append(message.text))
        self.tab.on("pageerror", lambda error: self.messages.append(str(error)))
        self.messages = []
        self.tab.goto(path.as_uri() + where)

    def give(self, file):
        self.tab.set_input_files("#file", str(file))

    def wait(self, state, limit_s=120):
        self.tab.wait_for_selector(f'body[data-state="{state}"]', timeout=limit_s * 1000)

    def result(self, file):
        """Give it a picture and take what it saves: file name, and pixels."""
        self.give(file)
        self.wait("done")
        with self.tab.expect_download() as download:
            self.tab.keyboard.press("s")
        with Image.open(download.value.path()) as picture:
            return download.value.suggested_filename, np.asarray(picture)

    def text(self, name):
        return self.tab.inner_text(f"#{name}")


def sized(rng, height, width, channels):
    """A picture with smooth parts, edges, and flat black and white."""
    coarse = rng.integers(0, 256, (height // 6 + 2, width // 6 + 2, channels)).astype(np.uint8)
    fine = coarse.repeat(6, axis=0).repeat(6, axis=1)[:height, :width].astype(int)
    picture = np.clip(fine + rng.integers(-20, 21, fine.shape), 0, 255).astype(np.uint8)
    picture[: height // 3, : width // 3, :3] = 255
    picture[-(height // 3) :, : width // 3, :3] = 0
    return picture


def equals(found, expected):
    """Whether a saved picture is Python's, rounded; colours that nobody sees may be any."""
    assert found.shape == expected.shape
    visible = expected[..., -1:] > 0 if expected.ndim == 3 and expected.shape[2] == 4 else True
    return (np.abs(found - expected) * visible).max() <= HALF_A_LEVEL


@pytest.mark.slow
def test_twenty_pictures_of_odd_sizes_equal_python(tmp_path, chromium):
    """RGB, alpha, JPEG, and grey, with the default network; no request leaves the page."""
    model = load_model("wdsr-b-32-x4")
    export(model, tmp_path / "page.html", "html")
    page, upscaler = Page(chromium, tmp_path / "page.html"), Upscaler(model)
    rng = np.random.default_rng(5)
    sizes = [(1, 1), (1, 7), (13, 2), (3, 3), (5, 29), (31, 7), (17, 19), (23, 37), (41, 11)]
    sizes += [(29, 31), (47, 13), (19, 53), (7, 59), (61, 13), (43, 29), (11, 71), (9, 67)]
    sizes += [(73, 5), (11, 79), (37, 41)]
    for number, (height, width) in enumerate(sizes):
        picture = sized(rng, height, width, (3, 4, 3, 1)[number % 4])
        file = tmp_path / f"picture {number}.{'jpg' if number % 4 == 2 else 'png'}"
        save_image(file, picture[..., 0] if picture.shape[2] == 1 else picture)
        name, found = page.result(file)
        assert name == f"picture {number}-x4.png"
        assert equals(found, upscaler(load_image(file).astype(np.float32))), (height, width)
    assert page.messages == []
    assert {url.partition(":")[0] for url in page.requests} == {"file", "blob"}
    files = [url for url in page.requests if url.startswith("file:")]
    assert files == [(tmp_path / "page.html").as_uri()]


@pytest.mark.slow
def test_256_by_256_px_take_at_most_15_seconds(tmp_path, chromium):
    """Processor time of the browser, which on an idle machine is what one waits for."""
    export(load_model("wdsr-b-32-x4"), tmp_path / "page.html", "html")
    save_image(tmp_path / "in.png", sized(np.random.default_rng(6), 256, 256, 3))
    page = Page(chromium, tmp_path / "page.html", "#wasm")
    before_s = processor_s()
    _, found = page.result(tmp_path / "in.png")
    assert found.shape == (1024, 1024, 3)
    assert processor_s() - before_s <= 15


def processor_s():
    """Processor time of all processes that this one started, and of theirs."""
    times = [p.cpu_times() for p in psutil.Process().children(recursive=True)]
    return sum(t.user + t.system for t in times)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["edsr", "folding", "restormer", "masks"])
def test_tiles(tmp_path, monkeypatch, chromium, kind):
    """Equal to one pass; of a network that looks everywhere to Python's tiles of that size."""
    keras.utils.set_random_seed(3)
    small = {"dim": 8, "num_blocks": (1, 1, 1, 1), "num_refinement_blocks": 1}
    model = {
        "edsr": lambda: edsr(2, 4, 1),
        "folding": lambda: rrdb_net(2, 8, 1, 4),  # halves its input first: odd sizes are padded
        "restormer": lambda: restormer(**small),
        "masks": lambda: restormer(**small, mask_aware=True),
    }[kind]()
    monkeypatch.setattr(infer.page.page, "_LARGEST_RUN_PX", 96 if kind != "edsr" else 40)
    export(model, tmp_path / "page.html", "html")
    picture = sized(np.random.default_rng(7), 157, 131, 4 if kind == "masks" else 3)
    save_image(tmp_path / "in.png", picture)
    page = Page(chromium, tmp_path / "page.html")
    _, found = page.result(tmp_path / "in.png")
    network, picture = Upscaler(model) if kind != "masks" else None, picture.astype(np.float32)
    if kind == "masks":  # what is transparent is filled, as by `restore --mask alpha`
        fill = Inpainter(model, drop_alpha=True)
        expected = fill(picture, picture[..., 3] >= 128, tile=32)
    else:
        expected = network(picture, tile=32 if kind == "restormer" else None)
    assert equals(found, expected)
    assert page.messages == []


@pytest.mark.slow
def test_the_page_is_used(tmp_path, monkeypatch, chromium):
    """Progress, cancel, keys, a broken file, another one, a browser without WebGL."""
    monkeypatch.setattr(infer.page.page, "_LARGEST_RUN_PX", 64)
    export(load_model("wdsr-b-32-x4"), tmp_path / "page.html", "html")
    save_image(tmp_path / "large.png", sized(np.random.default_rng(8), 601, 599, 3))
    save_image(tmp_path / "small.png", sized(np.random.default_rng(8), 31, 29, 3))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page = Page(chromium, tmp_path / "page.html")
    page.give(tmp_path / "large.png")
    page.tab.wait_for_function("document.getElementById('progress').value > 0")
    assert re.search(r"599×601 px, part \d+ of \d+, about", page.text("said"))
    assert "offers no WebGL" in page.text("backend")
    page.tab.keyboard.press("Escape")
    page.wait("empty")
    page.give(tmp_path / "broken.png")
    page.tab.wait_for_selector(".troubled")
    assert page.text("trouble") == "broken.png is no picture that this browser can read."
    name, found = page.result(tmp_path / "small.png")
    assert name == "small-x4.png" and found.shape == (124, 116, 3)
    assert "29×31 → 116×124 px" in page.text("facts") and page.text("trouble") == ""
    clip = "document.getElementById('before').style.clipPath"
    assert page.tab.evaluate(clip) == "inset(0px 50% 0px 0px)"
    page.tab.keyboard.press("ArrowRight")
    assert page.tab.evaluate(clip) == "inset(0px 48% 0px 0px)"
    page.tab.keyboard.press("z")
    assert page.tab.evaluate("document.getElementById('stage').clientWidth") == 116


def test_the_command(tmp_path, capsys):
    weights = tmp_path / "tiny.weights.h5"
    edsr(2, 4, 1).save_weights(weights)
    out = tmp_path / "page.html"
    assert main(["export", str(weights), "--format", "html", "-o", str(out)]) == 0
    assert "Network tiny.weights.h5: licence not known" in out.read_text("utf-8")
    assert main(["export", str(weights), "--format", "html", "-o", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    other = str(tmp_path / "other.html")
    assert main(["export", str(weights), "--format", "html", "--range", "1", "-o", other]) == 2
    assert "range and layout are for other formats" in capsys.readouterr().err
