"""A study that is really served: to 50 people at once, and to a browser."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import threading
import time

import httpx
import numpy as np
import pytest

from data.pictures.write import save_image
from infer.__main__ import main
from infer.study.make import make
from tests.infer.study_folder import SCREEN, free_port, made, server, stored


async def rates_everything(client, link, number, given):
    """One person at a page that tries again until the server has it, as study.js does."""
    chance = random.Random(number)

    async def send(action, **body):
        while True:
            try:
                response = await client.post(f"{link}/{action}", json=body)
            except httpx.TransportError:
                await asyncio.sleep(0.1)
                continue
            assert response.status_code == 200, response.text
            return response.json()

    state = await send("open")
    window = state["window"]
    await send("agree", window=window)
    state = await send("screen", window=window, screen=SCREEN)
    while item := state["item"]:
        scores = chance.sample(range(1, 6), len(item["pictures"]) - 2)
        where = {"window": window, "position": item["position"], "elapsed_ms": 1000}
        for slot, score in enumerate(scores):
            given[number, item["position"], slot] = score
            await send("rate", **where, slot=slot, score=score)
        state = await send("finish", **where)


@pytest.mark.slow
def test_50_people_at_once_and_a_killed_server(tmp_path):
    folder, port, given = made(tmp_path, people=50, share=1.0), free_port(), {}

    async def everybody(links):
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(limits=limits, timeout=30) as client:
            people = (rates_everything(client, link, n, given) for n, link in enumerate(links))
            await asyncio.gather(*people)

    with server(folder, port) as (process, links):
        crowd = threading.Thread(target=lambda: asyncio.run(everybody(links)))
        crowd.start()
        while len(given) < 300 and crowd.is_alive():
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = len(stored(folder))
    with server(folder, port) as (_, same):
        assert same == links
        crowd.join(timeout=120)
        assert not crowd.is_alive()
    assert 0 < before < len(given) == 50 * 6 * 3
    assert stored(folder) == given
    assert main(["study", "report", str(folder)]) == 0
    text = (folder / "report" / "report.md").read_text()
    assert "50 people rated, 50 of them to the end: 250 screens, 750 scores" in text


@pytest.fixture
def chromium():
    """Start headless Chromiums; ``phone`` is one of 390 × 844 with three pixels for each."""
    selenium = pytest.importorskip("selenium.webdriver", reason="needs the package selenium")
    paths = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(paths):
        pytest.skip("needs chromium and chromedriver")
    running = contextlib.ExitStack()

    def start(phone=False):
        options = selenium.ChromeOptions()
        options.binary_location = paths[0]
        for argument in ("--headless=new", "--no-sandbox", "--window-size=1200,760"):
            options.add_argument(argument)
        if phone:
            metrics = {"width": 390, "height": 844, "pixelRatio": 3}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        service = selenium.ChromeService(paths[1])
        return running.enter_context(selenium.Chrome(options=options, service=service))

    with running:
        yield start


def until(condition, what):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not in 30 s: {what}")


class Person:
    """Somebody at a browser."""

    def __init__(self, browser, link):
        self.browser = browser
        browser.get(link)

    def js(self, code):
        return self.browser.execute_script(code)

    def sees(self, page):
        until(lambda: self.js(f"return !at('{page}').hidden"), page)

    def clicks(self, selector):
        from selenium.webdriver.common.by import By

        self.browser.find_element(By.CSS_SELECTOR, selector).click()

    def types(self, keys):
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        keys = keys.replace("\n", Keys.ENTER)
        ActionChains(self.browser).send_keys(keys).perform()

    def begins(self):
        self.sees("welcome")
        assert self.js("return at('to-screen').disabled")
        self.clicks("#agree")
        self.clicks("#to-screen")
        self.sees("screen")
        self.clicks("#sharp")
        self.clicks("#to-instructions")
        self.sees("instructions")
        self.clicks("#to-rating")
        self.sees("rating")

    def rates(self, keys):
        """Press keys, and wait for the next scene or the thanks."""
        before = self.js("return state.done")
        self.types(keys + "\n")
        until(lambda: self.js("return state.done") == before + 1, "the next scene")


@pytest.mark.slow
def test_from_the_first_page_to_the_report_in_a_browser(tmp_path, chromium):
    chance = np.random.default_rng(2)
    for number in range(4):
        pixels = chance.integers(0, 256, (360, 700, 3), dtype=np.uint8)
        for name, value in (("hr", pixels), ("v0", pixels // 2), ("v1", pixels // 3)):
            (tmp_path / name).mkdir(exist_ok=True)
            save_image(tmp_path / name / f"{number}.png", value)
    variants = {name: tmp_path / name for name in ("v0", "v1")}
    options = {"people": 2, "repeats": 1, "training": 1}
    make(tmp_path / "study", tmp_path / "hr", variants, **options)
    port, browser = free_port(), chromium()
    with server(tmp_path / "study", port) as (process, links):
        person = Person(browser, links[0])
        person.begins()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        person.types("4")
        until(lambda: "Not saved yet" in person.js("return at('banner').textContent"), "a warning")
    assert stored(tmp_path / "study") == {}
    with server(tmp_path / "study", port):
        until(lambda: person.js("return at('banner').hidden"), "the server again")
        assert stored(tmp_path / "study") == {(0, 0, 0): 4}
        assert person.js("return at('place').textContent") == "Training 1 of 1"
        until(lambda: person.js("return looked()") > 0, "the clock")
        person.js("elapsed = 31000; tick()")
        assert person.js("return at('timer').textContent") == "Decide now"
        person.types("A333\n")
        until(lambda: not person.js("return at('banner').hidden"), "all alike refused")
        assert "the same score" in person.js("return at('banner').textContent")
        person.types("A1\n")
        until(lambda: person.js("return state.done") == 1, "the first scene")
        assert person.js("return at('place').textContent") == "Scene 1 of 3"
        person.clicks(".anchor[data-shown='1']")
        assert person.js("return document.querySelectorAll('#pictures img.shown').length") == 1
        person.clicks(".result:nth-child(2) button:nth-child(5)")
        until(lambda: person.js("return sending.then(() => true)"), "the score")
        other = Person(browser, links[0])  # loaded again, as after a closed browser
        other.sees("rating")
        assert other.js("return state.item.scores") == {"1": 4}
        other.types("A135")
        other.js("next(); rate(0, 2)")  # too late: the scene is being closed
        until(lambda: other.js("return state.done") == 2, "the second scene")
        assert stored(tmp_path / "study")[0, 1, 0] == 1
        for _ in range(2):
            other.rates("A135")
        other.sees("thanks")
        asked = other.js("return performance.getEntriesByType('resource').map(e => e.name)")
        address = links[0].rpartition("/")[0]
        assert asked and all(name.startswith((address, "data:")) for name in asked)
        _on_a_phone(chromium(phone=True), links[1])
    assert main(["study", "report", str(tmp_path / "study")]) == 0
    text = (tmp_path / "study" / "report" / "report.md").read_text()
    assert "2 people rated, 1 of them to the end: 4 screens, 12 scores" in text


def _on_a_phone(browser, link):
    """Scenes wider than the screen are scrolled, a pixel by whole pixels, and all is in sight."""
    phone = Person(browser, link)
    phone.begins()
    sizes = phone.js(
        "const s = at('stage'), p = at('pictures').getBoundingClientRect(); "
        "return [devicePixelRatio, p.width, s.clientWidth, s.scrollWidth, innerHeight, "
        "at('next').getBoundingClientRect().bottom, document.documentElement.scrollWidth]"
    )
    assert sizes[:4] == [3, 700, 390, 700]
    assert sizes[5] <= sizes[4] and sizes[6] == 390
    for _ in range(2):
        for slot, score in enumerate((1, 3, 5), start=1):
            phone.clicks(f".result:nth-child({slot}) button:nth-child({score + 1})")
        before = phone.js("return state.done")
        phone.clicks("#next")
        until(lambda before=before: phone.js("return state.done") == before + 1, "the next scene")
