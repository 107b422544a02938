"""The app in a browser: what it makes is what the commands make, and nothing is kept or sent."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from data.pictures.read import load_image
from data.pictures.write import save_image
from infer.__main__ import main

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_gradio = pytest.mark.skipif(
    not importlib.util.find_spec("gradio"), reason="needs the extra app"
)
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and importlib.util.find_spec("playwright")),
    reason="needs Chromium and the package playwright",
)
PATIENCE_S = 300  # a shared machine can be slow


def free_port():
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


@contextlib.contextmanager
def running(command, folder, **environment):
    """Run an app until it says where it is; yields that, and ends it by SIGTERM."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)} | environment
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        line = ""
        while not line.startswith("http"):
            line = process.stdout.readline().decode()
            assert line, f"the app ended with {process.wait()}"
        yield line.split()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Address of an app that takes at most 1 megapixel."""
    folder = tmp_path_factory.mktemp("app")
    command = [sys.executable, "-m", "infer", "app", "--port", str(free_port())]
    with running([*command, "--max-megapixels", "1"], folder) as address:
        yield address
    assert list(folder.iterdir()) == [], "nothing is kept"


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(app, browser):
    """The pages; no request may leave this machine."""
    requests = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(1000 * PATIENCE_S)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(app)
    yield page
    page.close()
    inside = (app, "data:", "blob:")
    assert [url for url in requests if not url.startswith(inside)] == []


def tab(page, name):
    """Open a tab; returns its panel."""
    page.get_by_role("tab", name=name).click()
    return page.get_by_role("tabpanel").and_(page.locator(":visible"))


def made(panel, verb, folder):
    """Press the button and download what was made; returns the file and the command line."""
    panel.get_by_role("button", name=verb, exact=True).click()
    button = panel.get_by_role("button", name=re.compile(r"Download \w+-(large|restored)"))
    with panel.page.expect_download() as waiting:
        button.click()
    target = folder / waiting.value.suggested_filename
    waiting.value.save_as(target)
    told = panel.get_by_label("What was done").input_value()
    return target, told.splitlines()[-1]


def same_by_command(line, folder, name):
    """Run the command line that a page shows; returns its file's bytes."""
    words = line.split()[3:]
    words[words.index("-o") + 1] = f"{folder / 'by-command'}/"
    words = [str(folder / word) if (folder / word).is_file() else word for word in words]
    assert main(words) == 0
    return (folder / "by-command" / name).read_bytes()


@pytest.fixture
def photo(tmp_path):
    """A photograph's part as a JPEG with EXIF."""
    from PIL import Image
    from skimage.data import astronaut

    picture = Image.fromarray(astronaut()[40:150, 160:290])
    exif = Image.Exif()
    exif[0x010E] = "a description"
    picture.save(tmp_path / "photo.jpg", quality=92, exif=exif)
    return tmp_path / "photo.jpg"


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_a_picture_is_enlarged_as_by_the_command(page, photo, tmp_path):
    panel = tab(page, "Enlarge")
    panel.locator("input[type=file]").set_input_files(photo)
    target, line = made(panel, "Enlarge", tmp_path)
    assert target.name == "photo-large.jpg"
    assert load_image(target).shape == (440, 520, 3)
    assert target.read_bytes() == same_by_command(line, tmp_path, target.name)
    handle = panel.locator(".slider-wrap .outer").first
    before = handle.bounding_box()
    page.mouse.move(before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    page.mouse.down()
    page.mouse.move(before["x"] - 100, before["y"] + before["height"] / 2, steps=5)
    page.mouse.up()
    assert handle.bounding_box()["x"] < before["x"] - 50


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_what_is_painted_over_is_filled_as_by_the_command(page, tmp_path):
    panel = tab(page, "Restore")
    random = np.random.default_rng(0)
    save_image(tmp_path / "grey.png", random.integers(90, 130, (120, 160, 3)).astype(np.uint8))
    panel.locator("input[type=file]").first.set_input_files(tmp_path / "grey.png")
    panel.get_by_text("scratches", exact=True).click()
    canvas = panel.locator("canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    time.sleep(1)
    page.mouse.move(middle[0] - 30, middle[1])
    page.mouse.down()
    page.mouse.move(middle[0] + 30, middle[1], steps=8)
    page.mouse.up()
    target, line = made(panel, "Restore", tmp_path)
    with page.expect_download() as waiting:
        panel.get_by_role("button", name="Download the mask").click()
    waiting.value.save_as(tmp_path / "mask.png")
    mask = load_image(tmp_path / "mask.png")
    assert mask.shape == (120, 160) and set(np.unique(mask)) == {0, 255}
    assert 100 < (mask == 0).sum() < 3000
    assert target.read_bytes() == same_by_command(line, tmp_path, target.name)
    changed = np.any(load_image(target) != load_image(tmp_path / "grey.png"), axis=2)
    assert changed.any() and not changed[mask == 255].any()


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_pictures_are_compared_on_a_page(page, photo, tmp_path):
    panel = tab(page, "Compare")
    pixels = load_image(photo)
    save_image(tmp_path / "inverted.png", 255 - pixels)
    panel.locator("input[type=file]").first.set_input_files([photo, tmp_path / "inverted.png"])
    panel.get_by_role("button", name="Compare").click()
    frame = panel.frame_locator("iframe")
    frame.locator("#left").wait_for()
    assert frame.locator("#left option").all_inner_texts()[:2] == ["photo.jpg", "inverted.png"]
    with page.expect_download() as waiting:
        panel.get_by_role("button", name="Download page.html").click()
    out = tmp_path / "by-command.html"
    assert main(["compare", str(photo), str(tmp_path / "inverted.png"), "-o", str(out)]) == 0
    assert Path(waiting.value.path()).read_bytes() == out.read_bytes()


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_progress_is_shown_and_cancel_makes_room_for_the_next(page, photo, tmp_path):
    panel = tab(page, "Enlarge")
    random = np.random.default_rng(0)
    save_image(tmp_path / "long.png", random.integers(0, 256, (990, 1010, 3)).astype(np.uint8))
    panel.locator("input[type=file]").set_input_files(tmp_path / "long.png")
    panel.get_by_role("button", name="Enlarge", exact=True).click()
    panel.get_by_text(re.compile(r"^\s*[1-9]\d?\.\d%")).first.wait_for()
    panel.get_by_role("button", name="Cancel").click()
    panel.get_by_text(re.compile(r"\d%")).first.wait_for(state="hidden")
    assert panel.get_by_label("What was done").input_value() == ""
    panel.get_by_label("Clear").first.click()
    panel.locator("input[type=file]").set_input_files(photo)
    assert made(panel, "Enlarge", tmp_path)[0].name == "photo-large.jpg"


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_what_is_too_large_or_no_picture_is_one_sentence(page, tmp_path):
    panel = tab(page, "Enlarge")
    save_image(tmp_path / "large.png", np.zeros((10_000, 10_000), np.uint8))
    (tmp_path / "text.png").write_text("no picture")
    for name, sentence in (("large.png", "more than the limit of 1"), ("text.png", "text.png")):
        panel.locator("input[type=file]").set_input_files(tmp_path / name)
        panel.get_by_role("button", name="Enlarge", exact=True).click()
        page.get_by_test_id("toast-body").get_by_text(sentence).first.wait_for()
        panel.get_by_label("Clear").first.click()


@pytest.mark.slow
@needs_gradio
def test_the_space_starts_by_itself(tmp_path):
    """What docs/share.md says to put there is enough: nothing else of the checkout is used."""
    for name in ("data", "infer", "model", "train", "weights"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "space" / name, ignore=ignored)
    for file in (ROOT / "utils.py", ROOT / "whole_pictures.py", *(ROOT / "space").iterdir()):
        shutil.copy(file, tmp_path / "space")
    port = free_port()
    command = [sys.executable, str(tmp_path / "space" / "app.py")]
    address = f"http://127.0.0.1:{port}/"
    with (
        running(command, tmp_path, PYTHONPATH="", GRADIO_SERVER_PORT=str(port)),
        urllib.request.urlopen(address, timeout=PATIENCE_S) as answer,
    ):
        assert "Whole pictures" in answer.read().decode()


def test_the_space_asks_for_what_the_library_does():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["app"]
    assert (ROOT / "space" / "requirements.txt").read_text().splitlines() == wanted
    version = project["optional-dependencies"]["app"][0].partition(">=")[2]
    assert f"sdk_version: {version}." in (ROOT / "space" / "README.md").read_text()


def test_a_port_in_use_is_one_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["app", "--port", str(taken.getsockname()[1])]) == 2
    error = capsys.readouterr().err
    assert "cannot be had" in error and "give --port" in error and error.count("\n") == 1


def test_a_missing_package_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in ("infer.app.pages", "infer.app.settings"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main(["app", "--port", str(free_port())]) == 1
    error = capsys.readouterr().err
    assert "pip install 'whole-pictures[app]'" in error and error.count("\n") == 1
