"""Notebooks run from top to bottom as they are; they are kept small, with what they showed."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def sources(path):
    return [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # what it writes goes to tmp_path, not to ROOT
    (tmp_path / "notebooks").mkdir()
    place = {"metadata": {"path": str(tmp_path / "notebooks")}}
    NotebookClient(nbformat.read(path, 4), timeout=300, resources=place).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_has_the_common_form(path):
    code = sources(path)
    assert code[0].startswith("%cd ..")
    assert sum("\nFULL = False" in f"\n{source}" for source in code) == 1
    opening = nbformat.read(path, 4).cells[0].source
    assert all(f"**{word}**" in opening for word in ("Needs", "Takes", "At the end"))


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
