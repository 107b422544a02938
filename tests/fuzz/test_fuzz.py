"""A short run of the fuzzer; ``python -m tests.fuzz pictures`` makes long ones."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pictures", "weights"])
def test_damaged_files_give_results_or_sentences(tmp_path, kind):
    command = [sys.executable, "-m", "tests.fuzz", kind, "--minutes", "0.2", "--seed", "2026"]
    ran = subprocess.run(
        [*command, "--keep", str(tmp_path / "kept")], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    kept = {path.suffix for path in (tmp_path / "kept").iterdir()}
    assert kept <= {".json", ".bin"}
