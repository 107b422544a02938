"""Restoration tasks: damage, batches by step number, rotation, prepared data, real pairs."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data.__main__ import main
from data.prepared import (
    PreparedPictures,
    RealDamage,
    RealPairs,
    pair_files,
    write_damaged,
    write_tfds,
)
from data.tasks import (
    TASKS,
    TRAINING_MIX,
    VALIDATION_MIX,
    DamagedPictures,
    clean_store,
    damage,
    preview_sheet,
    rotation,
)


@pytest.fixture
def store(hr_dir, tmp_path):
    return clean_store([hr_dir], tmp_path / "caches", report=str)


def elements(dataset):
    return [[part.numpy() for part in element] for element in dataset]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        for part, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_damages_the_picture_and_marks_it(task):
    rows, columns = np.mgrid[:61, :67]
    clean = np.stack([rows * 3, columns * 3, (rows // 4 + columns // 5) % 2 * 200], 2)
    clean = clean.astype(np.uint8)
    damaged, valid = damage(task, clean, np.random.default_rng(2))
    assert damaged.dtype == np.uint8 and damaged.shape == clean.shape
    changed = (damaged != clean).any(axis=2)
    assert changed.mean() > 0.002
    if task == "inpainting":
        assert valid.min() == 0 and not changed[valid[..., 0] == 1].any()
    else:
        assert valid.shape == (61, 67, 1) and valid.min() == 1
    again = damage(task, clean, np.random.default_rng(2))
    assert_same([again], [(damaged, valid)])


@pytest.mark.parametrize("task", TASKS)
def test_the_usual_strength_is_well_inside_what_is_trained_on(task):
    least, greatest = TASKS[task].strengths
    assert 0.1 <= (TASKS[task].usual - least) / (greatest - least) <= 0.9


def test_the_papers_mix_and_jpeg():
    assert list(TRAINING_MIX.values()) == [400, 400, 400, 200, 200, 900, 500, 400]
    assert list(VALIDATION_MIX.values()) == [300, 300, 300, 200, 100, 300, 200, 300]


def test_batches_are_a_function_of_seed_and_step(store):
    pictures = DamagedPictures("inpainting", store, seed=3)
    dataset = pictures.dataset(batch_size=2, crop_px=31)
    first = elements(dataset.take(5))
    assert [part.shape for part in first[0]] == [(2, 31, 31, 3)] * 2 + [(2, 31, 31, 1)]
    assert_same(elements(dataset.start_at(3).take(2)), first[3:])
    assert not np.array_equal(first[0][1], first[1][1])
    other = elements(DamagedPictures("inpainting", store, seed=4).dataset(2, 31).take(1))
    assert not np.array_equal(other[0][1], first[0][1])


def test_tasks_take_turns_and_crops_grow(store):
    sources = [DamagedPictures(task, store) for task in ("salt-and-pepper", "inpainting")]
    stages = [(0, 13, 3), (5, 17, 2)]
    dataset = rotation(sources, stages, every=2)
    batches = elements(dataset.take(8))
    assert [len(b[0]) for b in batches] == [3] * 5 + [2] * 3
    assert [b[0].shape[1] for b in batches] == [13] * 5 + [17] * 3
    scratched = [bool((b[2] == 0).any()) for b in batches]
    assert scratched == [False, False, True, True, False, False, True, True]
    assert_same(elements(dataset.start_at(3).take(4)), batches[3:7])
    longer = elements(rotation(sources, [(0, 13, 3)], every=1, turns=[3, 1]).take(8))
    assert [bool((b[2] == 0).any()) for b in longer] == [False, False, False, True] * 2
    with pytest.raises(ValueError, match="turns"):
        rotation(sources, stages, turns=[0, 1])


def test_parts_of_a_batch_make_the_batch(hr_dir, store, tmp_path):
    write_damaged("inpainting", hr_dir, tmp_path / "out", seed=1)
    options = {"caches_dir": tmp_path / "caches", "report": str}
    folder = tmp_path / "out" / "inpainting"
    sources = [
        DamagedPictures("gaussian-noise", store),
        PreparedPictures(folder, **options),
        RealDamage(RealPairs("prepared", folder, **options)),
    ]
    dataset = rotation(sources, [(0, 13, 5), (2, 17, 3)], every=1)
    whole = elements(dataset.take(3))
    parts = [elements(dataset.start_at(0, (index, 3)).take(3)) for index in range(3)]
    assert [len(part[0][0]) for part in parts] == [1, 2, 2]
    for step in range(3):
        arrays = zip(*(part[step] for part in parts), strict=True)
        assert_same([[np.concatenate(rows) for rows in arrays]], [whole[step]])
    with pytest.raises(ValueError, match="4 workers cannot share a batch of 3"):
        dataset.start_at(0, (0, 4))
    with pytest.raises(ValueError, match="2 workers cannot share a batch of 1"):
        sources[0].whole_pictures().start_at(0, (0, 2))


def test_facts_of_a_rotation_name_tasks_and_stages(store):
    sources = [DamagedPictures(task, store, 2, seed=3) for task in ("aliasing", "inpainting")]
    facts = rotation(sources, [(0, 13, 2)], every=7).facts
    assert json.loads(json.dumps(facts)) == facts
    assert facts["stages"] == [[0, 13, 2]] and facts["every"] == 7
    expected = {"task": "inpainting", "pictures": 2, "digest": store.digest, "seed": 3}
    assert facts["sources"][1] == expected


def test_validation_shows_whole_pictures_with_the_same_damage(store):
    pictures = DamagedPictures("gaussian-noise", store, count=2)
    first, again = elements(pictures.whole_pictures()), elements(pictures.whole_pictures())
    assert len(first) == len(pictures) == 2
    assert_same(first, again)
    for damaged, clean, valid in first:
        assert damaged.shape == clean.shape and valid.shape == (*clean.shape[:3], 1)
        assert clean.shape[1:3] in [(61, 53), (47, 67), (59, 71)]


def test_fewer_pictures_are_some_of_the_same(store):
    two, three = (DamagedPictures("aliasing", store, n, seed=5).numbers for n in (2, 3))
    assert set(two) < set(three) == {0, 1, 2}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"task": "denoise"}, "no task 'denoise'; there are gaussian-noise, salt-and-pepper"),
        ({"count": 4}, "aliasing asks for 4 pictures, but there are 3"),
        ({"count": 0}, "asks for 0 pictures"),
    ],
)
def test_refuses_tasks_and_counts_that_are_not_there(store, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        DamagedPictures(**({"task": "aliasing", "store": store} | change))


def test_refuses_crops_larger_than_every_picture(store):
    with pytest.raises(ValueError, match="smaller than the crop of 73 px"):
        DamagedPictures("aliasing", store).batch(0, 1, 73)
    with pytest.raises(ValueError, match="begin at step 0"):
        rotation([DamagedPictures("aliasing", store)], [(1, 8, 1)])


def test_preview_sheet(store):
    sheet = preview_sheet("inpainting", store, count=3, crop_px=31)
    assert sheet.shape == (2 * 39, 2 * (3 * 31 + 8), 3) and sheet.dtype == np.uint8


def test_writes_input_target_and_mask_and_reads_them_as_pairs(hr_dir, tmp_path):
    assert write_damaged("inpainting", hr_dir, tmp_path / "out", seed=1) == 3
    folder = tmp_path / "out" / "inpainting"
    damaged, clean, mask = (
        np.asarray(Image.open(folder / part / "picture1.png"))
        for part in ("input", "target", "mask")
    )
    np.testing.assert_array_equal(clean, np.asarray(Image.open(hr_dir / "picture1.png")))
    assert set(np.unique(mask)) == {0, 255}
    np.testing.assert_array_equal((damaged != clean).any(axis=2) & (mask == 255), False)
    pairs = RealPairs("prepared", folder, caches_dir=tmp_path / "caches", report=str).pairs
    assert len(pairs) == 3
    np.testing.assert_array_equal(pairs[1][0], damaged)
    np.testing.assert_array_equal(pairs[1][1], clean)


def test_prepared_pictures_and_real_pairs_have_turns(hr_dir, tmp_path):
    write_damaged("inpainting", hr_dir, tmp_path / "out", seed=1)
    folder, caches = tmp_path / "out" / "inpainting", tmp_path / "caches"
    prepared = PreparedPictures(folder, caches_dir=caches, seed=2, report=str)
    damaged, clean, valid = prepared.batch(4, 5, 41)
    assert damaged.shape == (5, 41, 41, 3) and valid.shape == (5, 41, 41, 1)
    assert 0 < valid.mean() < 1
    np.testing.assert_array_equal(np.where(valid, clean, 255), damaged)
    assert_same([prepared.batch(4, 5, 41)], [(damaged, clean, valid)])
    real = RealDamage(RealPairs("prepared", folder, caches_dir=caches, report=str))
    turns = elements(rotation([prepared, real], [(0, 13, 2)], every=1).take(2))
    assert_same([turns[0]], [prepared.batch(0, 2, 13)])
    assert turns[1][2].min() == 1 and turns[1][0].shape == (2, 13, 13, 3)
    whole = elements(real.whole_pictures(2))
    assert len(whole) == 2 and whole[0][0].shape == (1, 61, 53, 3)
    with pytest.raises(ValueError, match="smaller than the crop of 99 px"):
        prepared.batch(0, 1, 99)
    (folder / "mask" / "picture0.png").unlink()
    with pytest.raises(FileNotFoundError, match="no partner in .*mask; the first: picture0"):
        PreparedPictures(folder, caches_dir=caches, report=str)


@pytest.mark.parametrize(
    ("layout", "damaged", "clean"),
    [
        ("sidd", "Data/0001_S6/0001_NOISY_SRGB_010.PNG", "Data/0001_S6/0001_GT_SRGB_010.PNG"),
        ("gopro", "train/GOPR0372/blur/000047.png", "train/GOPR0372/sharp/000047.png"),
        ("gopro", "test/G1/blur_gamma/000001.png", "test/G1/sharp/000001.png"),
        ("reds", "train/train_blur/000/00000000.png", "train/train_sharp/000/00000000.png"),
        ("polyu", "Canon_1_real.JPG", "Canon_1_mean.JPG"),
        ("nam", "01_noise.png", "01_gt.png"),
    ],
)
def test_layouts_of_real_pairs(hr_dir, tmp_path, layout, damaged, clean):
    for path in (damaged, clean):
        (tmp_path / "set" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(hr_dir / "picture0.png", tmp_path / "set" / path)
    root = tmp_path / "set"
    assert pair_files(layout, root) == [(root / damaged, root / clean)]
    (root / clean).unlink()
    with pytest.raises(FileNotFoundError, match="no clean partner"):
        pair_files(layout, root)


def test_refuses_unknown_layouts_and_empty_folders(tmp_path):
    with pytest.raises(ValueError, match="prepared, sidd, gopro, reds, polyu, nam, got 'dnd'"):
        RealPairs("dnd", tmp_path)
    with pytest.raises(FileNotFoundError, match="no pairs in the layout of nam"):
        RealPairs("nam", tmp_path)


def test_real_pairs_of_polyu_and_nam(shared):
    assert len(pair_files("polyu", shared / "data" / "polyu")) == 80
    assert len(pair_files("nam", shared / "data" / "nam")) == 13


def test_pictures_of_tensorflow_datasets(monkeypatch, tmp_path):
    import tensorflow_datasets as tfds

    pictures = np.random.default_rng(1).integers(0, 256, (3, 7, 5, 3), dtype=np.uint8)
    held = tf.data.Dataset.from_tensor_slices({"image": pictures})
    monkeypatch.setattr(tfds, "load", lambda name, split: held)
    write_tfds("celeb_a", "train", 2, tmp_path)
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == ["celeb_a-train-000000.png", "celeb_a-train-000001.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(files[1])), pictures[1])
    with pytest.raises(ValueError, match="has only 3 pictures, not 4"):
        write_tfds("celeb_a", "train", 4, tmp_path)


def test_command_line_previews_and_degrades(hr_dir, tmp_path, capsys):
    sheet, out = tmp_path / "sheet.png", tmp_path / "out"
    command = ["--task", "motion-blur", "--in", str(hr_dir)]
    caches = ["--caches-dir", str(tmp_path / "caches")]
    crops = ["--count", "2", "--crop-px", "31"]
    assert main(["preview", *command, *caches, *crops, "-o", str(sheet)]) == 0
    assert np.asarray(Image.open(sheet)).shape == (39, 2 * (3 * 31 + 8), 3)
    assert main(["degrade", *command, "--out", str(out), "--strength", "9"]) == 0
    assert "wrote 3 pictures" in capsys.readouterr().out
    assert len(list((out / "motion-blur" / "input").iterdir())) == 3


@pytest.mark.parametrize("command", [["preview", "-o", "s.png"], ["degrade", "--out", "o"]])
def test_command_line_lists_the_tasks_for_an_unknown_one(hr_dir, capsys, command):
    assert main([*command, "--task", "denoise", "--in", str(hr_dir)]) == 2
    error = capsys.readouterr().err
    assert "no task 'denoise'; there are gaussian-noise" in error and error.count("\n") == 1
