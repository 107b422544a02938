"""Which room may import which: the table of docs/layout.md, kept true."""

import ast
import collections
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _rooms():
    """Room → names that it may import, from the table."""
    table = (ROOT / "docs" / "layout.md").read_text().split("| may import → |")[1].split("\n\n")[0]
    head, _, *rows = ([c.strip() for c in row.split("|")] for row in table.splitlines())
    columns = [name for name in head if name]
    for _, name, *cells, _ in rows:
        room = re.match(r"`?([\w.]+)", name)
        if room and "own" in cells or "utils" in name:
            yield room[1], {c for c, cell in zip(columns, cells, strict=True) if cell != "no"}


ROOMS = dict(_rooms())
NAMES = {"data", "model", "weights", "infer", "train", "utils", "tests"}
OF_THEIR_OWN = ("infer/study", "infer/page", "infer/app")
"""Rooms inside a room: a capability with many files."""
KNOW_ALL = ("infer/commands/", "train/commands/", "train/studies/")


def imported_modules(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} is a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_table_has_every_room():
    assert ROOMS.keys() == {"data", "model", "weights", "infer", "train", "utils.py"}
    assert ROOMS["infer"] == {"infer", "data", "model", "weights"}


def files(room):
    found = [ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py"))
    assert found, f"{ROOT / room} has no files"
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room):
    for file in files(room):
        name = str(file.relative_to(ROOT))
        if file.name != "__main__.py" and not name.startswith(KNOW_ALL):
            found = {module.split(".")[0] for module in imported_modules(file)}
            assert not found & NAMES - ROOMS[room], f"{name} imports {found & NAMES}"


def test_only_the_command_line_beside_them_knows_the_commands():
    for room in ROOMS:
        for file in files(room):
            own = {f"{room}/__main__.py", f"{room}/commands"}
            if not {str(p.relative_to(ROOT)) for p in (file, file.parent)} & own:
                for module in imported_modules(file):
                    assert ".commands" not in module, f"{file} imports {module}"


def test_no_room_holds_more_than_30_percent_of_the_code():
    lines = collections.Counter()
    for room in ROOMS:
        for file in files(room):
            own = str(file.parent.relative_to(ROOT))
            lines[own if own in OF_THEIR_OWN else room] += len(file.read_text().splitlines())
    assert max(lines.values()) <= 0.3 * sum(lines.values()), lines


DOORS = {
    "import infer": ["-c", "import infer"],
    "import train": ["-c", "import train"],
    "python -m infer": ["-m", "infer", "--help"],
    "python -m train": ["-m", "train", "--help"],
    "python -m data": ["-m", "data", "--help"],
    "whole-pictures": ["-c", "import sys, whole_pictures; sys.exit(whole_pictures.main(['-h']))"],
}


@pytest.mark.parametrize("name", sorted(NAMES - {"tests"}))
@pytest.mark.parametrize("door", DOORS)
def test_what_shadows_a_room_is_named_at_every_door(tmp_path, door, name):
    if door.split()[-1] == name:
        return  # the door itself is the stranger's
    if name in ("utils", "train"):
        stranger = tmp_path / f"{name}.py"
        stranger.write_text("")
    else:
        stranger = tmp_path / name
        stranger.mkdir()
        (stranger / "__init__.py").write_text("")
    result = subprocess.run(
        [sys.executable, *DOORS[door]],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    lines = result.stderr.splitlines()
    assert f"`import {name}` finds {stranger}, not this library's: rename that" in lines[-1]
    if not door.startswith("import"):
        assert result.returncode == 2 and len(lines) == 1 and lines[0].startswith("error: ")
