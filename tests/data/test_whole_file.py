"""Files appear whole or not at all, and what a killed process left is told from others' files."""

import subprocess
import sys

import pytest

from data.pictures.whole_file import remove_leftovers, whole_file

LEAVE_HALF = """
import os, sys
from data.pictures.whole_file import whole_file
with whole_file(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os._exit(9)
"""


def test_a_name_of_255_bytes_can_be_written(tmp_path):
    file = tmp_path / ("ä" * 125 + "x.png")
    assert len(file.name.encode()) == 255
    with whole_file(file) as opened:
        opened.write(b"all")
    assert [f.read_bytes() for f in tmp_path.iterdir()] == [b"all"]


def test_two_files_of_one_thread_may_be_open_at_once(tmp_path):
    with whole_file(tmp_path / "a") as a, whole_file(tmp_path / "b") as b:
        a.write(b"A")
        b.write(b"B")
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == {"a": b"A", "b": b"B"}


def test_only_what_a_dead_process_of_this_machine_left_is_removed(tmp_path):
    elsewhere = tmp_path / ".0badcafe-1-1.partial"
    elsewhere.write_bytes(b"half, of another machine")
    subprocess.run([sys.executable, "-c", LEAVE_HALF, tmp_path / "x.png"])
    with whole_file(tmp_path / "now.png") as file:
        assert len(list(tmp_path.iterdir())) == 3
        remove_leftovers(tmp_path)
        assert len(list(tmp_path.iterdir())) == 2, "one is still being written"
        file.write(b"all")
    assert sorted(f.name for f in tmp_path.iterdir()) == [elsewhere.name, "now.png"]


def test_an_error_names_the_file_and_not_its_hidden_name(tmp_path):
    with (
        pytest.raises(OSError, match="No space left on device.*x.png"),
        whole_file(tmp_path / "x.png") as file,
    ):
        file.write(b"half")
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError, match="none/x.png"), whole_file(tmp_path / "none/x.png"):
        pass
    assert list(tmp_path.iterdir()) == []
