"""Notebooks run from top to bottom as they are, anywhere, and keep what they show today."""

import functools
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACHINE = ("Computing on", "No GPU", "s a step")  # what depends on where it runs

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
IN_CONTEXT = re.compile(rf"(_db )?({NUMBER.pattern})( dB)?")
TRAINED = re.compile(r"step \d+:|after \d+ steps|best:|fine-tuned")  # lines on short trainings


def sources(path):
    return [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def executed(notebook, folder):
    """Run a notebook in a folder; returns it with its outputs."""
    place = {"metadata": {"path": str(folder)}}
    return NotebookClient(notebook, timeout=1200, resources=place).execute()


def texts(notebook):
    """What the code cells print, a string a cell."""
    for cell in notebook.cells:
        printed = []
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            text = output.get("text", data.get("text/markdown", data.get("text/plain", "")))
            lines = [x for x in text.splitlines() if x]  # empty ones come and go with the timing
            printed += [x for x in lines if not any(word in x for word in MACHINE)]
        yield "\n".join(printed)


def differences(kept, now):
    """Sentences on lines of two outputs that are no longer the same.

    A network gives the same numbers on any machine but for rounding. Short trainings differ more:
    half a decibel, or a fifth of a loss. Losses of a GAN are not compared: Adam makes whole steps
    of rounding errors, and the discriminator's losses go their own way within ten steps.
    """
    if NUMBER.sub("N", kept) != NUMBER.sub("N", now):
        return [f"{now!r} was {kept!r}"]
    tolerance = {"rel": 0.2, "abs": 0.5} if TRAINED.search(kept) else {"rel": 1e-3, "abs": 0}
    found = []
    for old_line, new_line in zip(kept.splitlines(), now.splitlines(), strict=True):
        numbers = zip(IN_CONTEXT.findall(old_line), IN_CONTEXT.findall(new_line), strict=True)
        for (before, old, after), (_, new, _) in numbers:
            in_db = before or after
            if "discriminator_loss" in old_line and not in_db:
                continue
            allowed = tolerance["abs"] if in_db else tolerance["rel"] * abs(value(old))
            last_digit = 10.0 ** -len(old.partition(".")[2].partition("e")[0])
            if abs(value(new) - value(old)) > max(allowed, 1.01 * last_digit):
                found.append(f"{new_line!r} was {old_line!r}")
                break
    return found


def value(number):
    return float(number.replace(",", ""))


def test_numbers_are_compared():
    assert differences("PSNR 28.31 dB, error 0.512", "PSNR 28.32 dB, error 0.511") == []
    assert differences("PSNR 28.31 dB", "PSNR 28.36 dB") == ["'PSNR 28.36 dB' was 'PSNR 28.31 dB'"]
    assert differences("a 1,402\nb 7", "a 2,402\nb 7") == ["'a 2,402' was 'a 1,402'"]
    training = "step 7: psnr_rgb_db 28.3, loss 0.00941"
    assert differences(training, "step 7: psnr_rgb_db 28.6, loss 0.0085") == []
    assert differences(training, "step 7: psnr_rgb_db 28.9, loss 0.00941") != []
    assert differences(training, "step 7: psnr_rgb_db 28.3, loss 0.02") != []
    gan = "step 7: psnr_rgb_db 28.3, discriminator_loss 2.19"
    assert differences(gan, "step 7: psnr_rgb_db 28.3, discriminator_loss 0.8") == []
    assert differences(gan, "step 7: psnr_rgb_db 27.3, discriminator_loss 2.19") != []
    assert differences("done", "resumed") == ["'resumed' was 'done'"]


@pytest.fixture(scope="module")
def run_as_it_is(tmp_path_factory):
    """Function of a notebook's path → its folder and outputs; runs each only once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # what it writes goes to its folder, not to ROOT

        @functools.cache
        def run(path):
            folder = tmp_path_factory.mktemp(path.stem)
            return folder, list(texts(executed(nbformat.read(path, 4), folder)))

        yield run


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_shows_today_what_it_keeps(path, run_as_it_is):
    kept, now = list(texts(nbformat.read(path, 4))), run_as_it_is(path)[1]
    found = [sentence for a, b in zip(kept, now, strict=True) for sentence in differences(a, b)]
    assert not found, f"run {path.name} again and keep its outputs: {found}"


def small_full(path):
    """A notebook with FULL set, its training on a tiny DIV2K shortened to a few steps."""
    notebook = nbformat.read(path, 4)
    shorter = {
        "FULL = False": "FULL = True",
        "300_000, 1000": "4, 2",
        "300_000": "4",
        "50_000, 250, 1000, 800, 20": "4, 2, 2, 2, 1",
        "num_res_blocks=16": "num_res_blocks=1, num_filters=4",
        "num_res_blocks=32": "num_res_blocks=1, num_filters=4",
        "restormer(mask_aware=True)": "restormer(dim=4, mask_aware=True)",
        "progressive_stages(steps)": "progressive_stages(steps, px_factor=0.25, batch_factor=0.1)",
        "**({} if FULL else one_cell)": "**one_cell",
        "crop_px=128": "crop_px=32",
        '"sizes": [(6, 2)]': '"sizes": [(2, 1)]',
        '"steps_size": (6, 2)': '"steps_size": (2, 1)',
    }
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for paper, ours in shorter.items():
                cell.source = cell.source.replace(paper, ours)
    return notebook


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01-edsr", "02-wdsr"])
def test_runs_in_full_after_the_quick_run(name, run_as_it_is):
    path = ROOT / "notebooks" / f"{name}.ipynb"
    folder, _ = run_as_it_is(path)
    tiny_div2k(folder / ".div2k" / "images")
    executed(small_full(path), folder)


@pytest.mark.slow
def test_run_twice_it_shows_the_same_and_says_why(run_as_it_is):
    path = ROOT / "notebooks" / "01-edsr.ipynb"
    folder, quick = run_as_it_is(path)
    again = "\n".join(texts(executed(nbformat.read(path, 4), folder)))
    assert re.findall(r"best: .*", again) == re.findall(r"best: .*", "\n".join(quick)) != []
    assert "this run is in .notebooks/edsr-60-0.0002 already" in again


def tiny_div2k(folder):
    random = np.random.default_rng(0)
    for subset, first in (("train", 1), ("valid", 801)):
        for number in range(first, first + 2):
            hr = random.integers(0, 256, (196, 240, 3), dtype=np.uint8)
            save(folder / f"DIV2K_{subset}_HR" / f"{number:04}.png", hr)
            lr = f"DIV2K_{subset}_LR_bicubic/X4/{number:04}x4.png"
            save(folder / lr, hr[::4, ::4])


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def first_cell(folder, before):
    """What is printed by the first cell of all notebooks, after another one, in a folder."""
    (start,) = {sources(path)[0] for path in NOTEBOOKS}
    ending = "import infer\nprint(os.getcwd(), infer.__file__)"
    cells = [nbformat.v4.new_code_cell(code) for code in (before, start, ending)]
    return "\n".join(texts(executed(nbformat.v4.new_notebook(cells=cells), folder)))


def test_the_first_cell_finds_a_checkout_and_an_installed_library(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert f"{ROOT} {ROOT / 'infer'}" in first_cell(ROOT / "notebooks", "")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # as if it were installed
    assert f"{tmp_path} {ROOT / 'infer'}" in first_cell(tmp_path, "")


def test_the_first_cell_installs_the_library_on_colab(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the last line; it is hidden from find_spec
    colab = (
        "import importlib.util, sys, types\n"
        "sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'infer' else found(name)\n"
        "input = lambda question: 'https://example.org/sr.git'\n"
        "get_ipython().register_magic_function(lambda line: print('pip', line), 'line', 'pip')\n"
    )
    printed = first_cell(tmp_path, colab)
    assert 'pip install --quiet "whole-pictures[gpu] @ git+https://example.org/sr.git"' in printed
    assert str(tmp_path) in printed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_has_the_common_form(path):
    code = sources(path)
    assert "set_up_device()" in code[1]
    assert sum("\nFULL = False" in f"\n{source}" for source in code) == 1
    cells = nbformat.read(path, 4).cells
    assert all(f"**{word}**" in cells[0].source for word in ("Needs", "Takes", "At the end"))
    after = NOTEBOOKS[NOTEBOOKS.index(path) + 1 :]
    assert f"({after[0].name})" in cells[-1].source if after else "(../docs/" in cells[-1].source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_keeps_what_it_showed_and_no_error(path):
    outputs = [
        output for cell in nbformat.read(path, 4).cells for output in cell.get("outputs", ())
    ]
    assert any("image/" in kind for output in outputs for kind in output.get("data", ()))
    assert {output.output_type for output in outputs} <= {
        "stream",
        "execute_result",
        "display_data",
    }
    assert not any(output.get("name") == "stderr" for output in outputs)
    assert "/work/" not in json.dumps(outputs) and "/home/" not in json.dumps(outputs)


def test_all_of_them_are_small():
    assert sum(path.stat().st_size for path in NOTEBOOKS) < 6e6
