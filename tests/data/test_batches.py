"""Batches by number: parts of them for workers, facts, and the end of a process."""

import json
import threading
import time

import numpy as np
import pytest
from PIL import Image

from data import ImageFolder, batches
from data.pairs import CropSampler


@pytest.fixture
def folder(hr_dir, tmp_path):
    return ImageFolder(hr_dir, scale=4, caches_dir=tmp_path / "caches")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_parts_of_a_batch_make_the_batch(folder, count):
    dataset = folder.dataset(5, hr_crop_px=24, seed=1)
    whole = next(iter(dataset.start_at(11)))
    parts = [next(iter(dataset.start_at(11, (index, count)))) for index in range(count)]
    assert {len(lr) for lr, _ in parts} <= {5 // count, 5 // count + 1}
    for number in (0, 1):
        joined = np.concatenate([part[number] for part in parts])
        np.testing.assert_array_equal(joined, whole[number])


def test_a_worker_reads_its_own_windows_only(folder, monkeypatch):
    windows, window = [], folder.pairs.window
    monkeypatch.setattr(folder.pairs, "window", lambda *a: windows.append(a) or window(*a))
    CropSampler(folder.pairs, 5, 24, seed=1).batch(11, (1, 2))
    assert len(windows) == 3


def test_whole_pictures_are_shared_too(tmp_path):
    for number in range(5):
        pixels = np.full((6, 10, 3), number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    dataset = ImageFolder(tmp_path, scale=2, caches_dir=tmp_path).dataset(3, 1, False)
    values = [
        [int(hr[0, 0, 0]) for _, batch in dataset.start_at(first, (index, 2)) for hr in batch]
        for first in (0, 1)
        for index in (0, 1)
    ]
    assert values == [[0, 3], [1, 2, 4], [3], [4]]


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ((2, 2), r"part must be \(index, count\) with 0 <= index < count, got \(2, 2\)"),
        ((-1, 2), "0 <= index < count"),
        ((0, 4), "4 workers cannot share a batch of 3: use a batch size of at least 4, or fewer"),
    ],
)
def test_refuses_parts_that_are_not_there(folder, part, sentence):
    with pytest.raises(ValueError, match=sentence):
        folder.dataset(3, hr_crop_px=24).start_at(0, part)


def test_python_ends_only_after_the_loading_of_batches():
    loads, begun, ended = batches._Loads(), threading.Event(), []

    def slow(step, part):
        begun.set()
        time.sleep(0.3)
        ended.append(step)

    assert loads.wait() is None  # nothing was ever loaded
    thread = threading.Thread(target=loads.run, args=(slow, 5, (0, 1)))
    thread.start()
    assert begun.wait(10) and not ended
    loads.wait()
    assert ended == [5]
    thread.join()


def test_facts_say_what_the_data_are(folder, hr_dir, tmp_path):
    def facts(**options):
        return folder.dataset(**({"batch_size": 3, "hr_crop_px": 24} | options)).facts

    first = facts()
    assert json.loads(json.dumps(first)) == first
    assert (first["pictures"], first["batch_size"], first["hr_crop_px"]) == (3, 3, 24)
    assert facts() == first
    for other in ({"seed": 1}, {"batch_size": 2}, {"hr_crop_px": 28}, {"random_transform": False}):
        assert facts(**({"batch_size": 1} | other)) != facts(batch_size=1)
    Image.fromarray(np.zeros((61, 53, 3), np.uint8)).save(hr_dir / "picture0.png")
    changed = ImageFolder(hr_dir, scale=4, caches_dir=tmp_path).dataset(3, hr_crop_px=24).facts
    assert changed["digest"] != first["digest"] and changed | {"digest": first["digest"]} == first
