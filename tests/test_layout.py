"""Which room may import which: DESIGN's table, kept true."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    "data": {"data"},
    "model": {"model"},
    "train": {"train", "model"},
    "infer": {"infer", "model"},
}
NAMES = {"data", "model", "train", "infer", "utils", "tests"}


def imported_rooms(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room):
    for file in (ROOT / room).glob("*.py"):
        if file.name != "__main__.py":
            forbidden = set(imported_rooms(file)) & NAMES - ROOMS[room]
            assert not forbidden, f"{file} imports {forbidden}"


def test_utils_imports_infer_only():
    assert set(imported_rooms(ROOT / "utils.py")) & NAMES <= {"infer"}


@pytest.mark.parametrize("room", ["train", "infer"])
def test_another_folder_named_model_is_named(tmp_path, room):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "__init__.py").write_text("")
    result = subprocess.run(
        [sys.executable, "-c", f"import {room}"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert f"`import model` finds {tmp_path / 'model' / '__init__.py'}, not this" in result.stderr
