"""A short run of the fuzzer; ``python -m tests.fuzz pictures`` makes long ones."""

import pytest

from tests.fuzz import pictures


@pytest.mark.slow
def test_damaged_pictures_give_pictures_or_sentences(tmp_path):
    counts = pictures.run(12, 2026, tmp_path / "kept")
    assert set(counts) == set(pictures.EXPECTED), counts
    assert list((tmp_path / "kept").iterdir()) == []
