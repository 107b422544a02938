"""The comparison page: what it holds, and that it works in a browser."""

import base64
import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image, ImageCms

from data.pictures.write import save_image
from infer.__main__ import main
from infer.compare import compare
from model.lpips import lpips


@pytest.fixture
def pictures(tmp_path):
    """A true picture of 64×80, two imperfect ones, and one of half the size."""
    rng = np.random.default_rng(9)
    truth = rng.integers(0, 256, (64, 80, 3)).astype(np.uint8)
    save_image(tmp_path / "truth.png", truth)
    for name, sigma in (("good", 2), ("bad", 20)):
        noisy = truth + rng.normal(0, sigma, truth.shape)
        save_image(tmp_path / f"{name}.png", np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    save_image(tmp_path / "small.png", truth[::2, ::2])
    return tmp_path


def data_of(page):
    return json.loads(re.search(r"const data = (\{.*\});", page)[1])


def opened(entry):
    encoded = base64.b64decode(entry["source"].removeprefix("data:image/png;base64,"))
    return Image.open(io.BytesIO(encoded))


def picture_of(entry):
    with opened(entry) as picture:
        return np.asarray(picture)


def test_with_a_reference_each_picture_is_scored_and_mapped(pictures):
    files = [pictures / "good.png", pictures / "bad.png", pictures / "small.png"]
    page = compare(files, pictures / "truth.png", lpips("squeeze"))
    data = data_of(page)
    titles = [entry["title"] for entry in data["pictures"]]
    assert titles == ["good.png", "bad.png", "small.png", "reference: truth.png"] + [
        "error of good.png",
        "error of bad.png",
    ]
    assert (data["width"], data["height"]) == (80, 64)
    assert picture_of(data["pictures"][5]).shape == (64, 80, 3)
    rows = re.findall(r"<tr><td>(.*?)</td>(.*?)</tr>", page)
    numbers = {name: [float(n) for n in re.findall(r"<td>(.*?)</td>", c)] for name, c in rows}
    assert numbers.keys() == {"good.png", "bad.png"}
    assert numbers["good.png"][0] > 40 > 30 > numbers["bad.png"][0]
    assert len(numbers["good.png"]) == 5 and numbers["good.png"][4] < numbers["bad.png"][4]


def test_without_a_reference_the_first_two_are_subtracted(pictures):
    page = compare([pictures / "good.png", pictures / "truth.png"])
    assert "<table>" not in page
    assert data_of(page)["pictures"][-1]["title"] == "difference of good.png and truth.png"
    page = compare([pictures / "good.png", pictures / "small.png"])
    assert len(data_of(page)["pictures"]) == 2


def test_all_modes_can_be_shown_and_names_do_no_harm(tmp_path):
    deep = np.full((9, 11, 4), 65535, np.uint16)
    name = tmp_path / "<script>alert(1)<&.png"
    save_image(name, deep)
    save_image(tmp_path / "grey.png", np.zeros((9, 11), np.uint8))
    page = compare([name, tmp_path / "grey.png"], tmp_path / "grey.png")
    assert "<script>alert" not in page
    assert data_of(page)["pictures"][0]["title"] == name.name
    assert picture_of(data_of(page)["pictures"][0]).min() == 255


def red_and_green_swapped(profile):
    """A profile whose red primary is that of green, and the other way round."""
    table = {profile[i : i + 4]: i for i in range(132, 132 + 12 * profile[131], 12)}
    swapped = bytearray(profile)
    for name, other in ((b"rXYZ", b"gXYZ"), (b"gXYZ", b"rXYZ")):
        place, source = table[name] + 4, table[other] + 4
        swapped[place : place + 8] = profile[source : source + 8]
    return bytes(swapped)


def test_profiles_are_kept_and_count(tmp_path):
    """The same numbers in two colour spaces are not the same colours."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = red_and_green_swapped(srgb)
    red, green = (Image.new("RGB", (16, 12), colour) for colour in ((200, 0, 0), (0, 200, 0)))
    red.save(tmp_path / "truth.png", icc_profile=srgb)
    green.save(tmp_path / "equal.png", icc_profile=other)
    red.save(tmp_path / "other.png", icc_profile=other)
    files = [tmp_path / "equal.png", tmp_path / "other.png"]
    entries = {e["title"]: e for e in data_of(compare(files, tmp_path / "truth.png"))["pictures"]}
    assert opened(entries["equal.png"]).info["icc_profile"] == other
    equal, different = (picture_of(entries[f"error of {n}.png"]) for n in ("equal", "other"))
    blue_is_no_error = (0, 0, 127)
    assert np.abs(equal.astype(int) - blue_is_no_error).max() < 30
    assert np.abs(different.astype(int) - blue_is_no_error).max() > 100


def test_what_is_clear_hides_what_lies_below(pictures):
    save_image(pictures / "clear.png", np.zeros((64, 80, 4), np.uint16))
    page = compare([pictures / "clear.png", pictures / "good.png"])
    assert picture_of(data_of(page)["pictures"][0]).shape == (64, 80, 4), "16 bits keep alpha"
    assert re.search(r"#stage img \{[^}]*background:", page), "the lower picture shows through"


def test_files_of_one_name_are_told_apart(pictures):
    (pictures / "other").mkdir()
    shutil.copy(pictures / "good.png", pictures / "other" / "bad.png")
    page = compare([pictures / "bad.png", pictures / "other" / "bad.png"])
    titles = [entry["title"] for entry in data_of(page)["pictures"]]
    assert titles[0].startswith("1: ") and titles[1].startswith("2: ")


def test_the_command(pictures, capsys):
    out = pictures / "page.html"
    good, bad, truth = (str(pictures / f"{name}.png") for name in ("good", "bad", "truth"))
    assert main(["compare", good, bad, "--reference", truth, "-o", str(out)]) == 0
    assert out.read_text().startswith("<!DOCTYPE html>")
    assert "http" not in re.sub(r'"data:[^"]*"', "", out.read_text()), "not self-contained"
    for arguments, sentence in (
        ([good], "needs at least two pictures, got 1"),
        ([good, str(pictures / "no.png")], "No such file"),
        ([good, bad, "--lpips", "lpips-squeeze"], "give --reference"),
    ):
        assert main(["compare", *arguments, "-o", str(pictures / "x.html")]) == 2
        assert sentence in capsys.readouterr().err
    assert not (pictures / "x.html").exists()


@pytest.fixture
def browser():
    """A headless Chromium."""
    selenium = pytest.importorskip("selenium.webdriver", reason="needs the package selenium")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs chromium and chromedriver")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--window-size=900,700"):
        options.add_argument(argument)
    service = selenium.ChromeService(driver)
    with selenium.Chrome(options=options, service=service) as chrome:
        yield chrome


def test_in_a_browser(pictures, browser):
    files = [pictures / "good.png", pictures / "bad.png"]
    out = pictures / "page.html"
    out.write_text(compare(files, pictures / "truth.png"))
    browser.get(out.as_uri())

    def js(code):
        return browser.execute_script(code)

    def boundary():
        return js("const b = stage.getBoundingClientRect();return at('line').offsetLeft / b.width")

    assert js("return at('over').naturalWidth") == 80 and js("return right.value") == "bad.png"
    assert boundary() == pytest.approx(0.5, abs=0.02)
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    stage = browser.find_element(By.ID, "stage")
    width = stage.rect["width"]
    ActionChains(browser).drag_and_drop_by_offset(stage, -round(width / 4), 0).perform()
    assert boundary() == pytest.approx(0.25, abs=0.02)
    assert js("return getComputedStyle(at('over')).clipPath").startswith("inset(0px 7")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.ARROW_RIGHT)
    assert boundary() == pytest.approx(0.27, abs=0.02)
    assert "conic-gradient" in js("return getComputedStyle(at('over')).backgroundImage")
    js("zoom.value = '4'; zoom.dispatchEvent(new Event('change'))")
    assert stage.rect["width"] == 320 and js("return stage.classList.contains('sharp')")
    js("left.value = 'error of bad.png'; left.dispatchEvent(new Event('change'))")
    assert js("return at('over').src === data.pictures[4].source")
    logs = [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
    assert logs == []
