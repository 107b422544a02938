"""Pairs joined by name: LR with HR, damaged pictures with clean ones and with masks."""

import numpy as np
import pytest
from PIL import Image

from data import ImageFolder, PairFolders
from data.degrade import imresize
from data.folder import matching_files
from data.pictures.folder import Paths
from data.prepared import PreparedPictures, write_damaged
from data.tasks import rotation


def grey(path, level, size=(64, 64), channels=(3,)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, *channels), level, np.uint8)).save(path)


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "others", "partners"),
    [
        (["a.png", "a.bmp"], ["a.bmp", "a.png"], ["a.png", "a.bmp"]),
        (["a.jpg", "b.png"], ["b.png", "a.png"], ["a.png", "b.png"]),
        (["cat_x4.png"], ["cat_x4x4.png"], ["cat_x4x4.png"]),
        (["bo.png", "box4.png"], ["box4.png", "box4x4.png"], ["box4.png", "box4x4.png"]),
        (["1.png", "2.png", "3.png"], ["1x4.png", "2_x4m.png", "3.png", "4.png"], None),
        (["a.png"], ["a.png", "a.jpg"], ["a.png"]),
    ],
)
def test_each_picture_has_its_partner(files, others, partners):
    found = matching_files(Paths(files), Paths(others), 4)
    assert [file.name for file in found] == (partners or others[: len(files)])


@pytest.mark.parametrize(
    ("files", "others", "error", "sentence"),
    [
        (["a.png"], ["b.png"], FileNotFoundError, "1 HR pictures have no LR partner in lr; the fi"),
        (["a.png"], ["a.png", "ax4.png"], ValueError, "more than one partner: a.png and ax4.png"),
        (["a.png"], ["a.jpg", "a.bmp"], ValueError, "more than one partner: a.bmp and a.jpg"),
        (["a.png", "a.bmp"], ["a.png"], ValueError, "a.png would be the partner of both"),
    ],
)
def test_a_picture_without_exactly_one_partner_is_named(files, others, error, sentence):
    with pytest.raises(error, match=sentence):
        matching_files(Paths(f"hr/{n}" for n in files), Paths(f"lr/{n}" for n in others), 4)


def test_the_scale_ends_no_name_where_there_is_none():
    with pytest.raises(FileNotFoundError, match="1 pictures have no partner in b; the first: a"):
        matching_files(Paths(["a/a.png"]), Paths(["b/ax1.png"]))


def test_several_folders_are_paired_in_their_order(tmp_path):
    for name, level in (("A", 30), ("B", 200)):
        grey(tmp_path / name / "hr" / "1.png", level)
        grey(tmp_path / name / "lr" / "1.png", level, (16, 16))
    hr, lr = ([tmp_path / name / kind for name in "AB"] for kind in ("hr", "lr"))
    pairs = ImageFolder(hr, lr, 4, caches_dir=tmp_path / "caches").pairs
    assert [(small.mean(), large.mean()) for small, large in map(pairs.__getitem__, (0, 1))] == [
        (30, 30),
        (200, 200),
    ]
    with pytest.raises(ValueError, match="each HR folder needs its LR folder, got 2 of HR and 1"):
        ImageFolder(hr, lr[0], 4)


def test_pictures_that_differ_in_their_suffix_only_are_two_pairs(tmp_path):
    for suffix, level in (("png", 30), ("bmp", 200)):
        grey(tmp_path / "hr" / f"a.{suffix}", level)
        small = imresize(np.full((64, 64, 3), level, np.uint8), 1 / 4)
        grey(tmp_path / "lr" / f"ax4.{suffix}", int(small.mean()), (16, 16))
    folder = ImageFolder(tmp_path / "hr", tmp_path / "lr", 4, caches_dir=tmp_path / "caches")
    assert [(int(lr.mean()), int(hr.mean())) for lr, hr in folder.pairs] == [(200, 200), (30, 30)]


# --- damaged and clean -------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path):
    """Noisy, clean and mask folders, each clean picture with one damaged pixel."""
    for i, size in enumerate([(61, 53), (47, 67)]):
        grey(tmp_path / "clean" / f"{i}.png", 100 + i, size)
        damaged, mask = np.full((*size, 3), 100 + i, np.uint8), np.full(size, 255, np.uint8)
        damaged[20:30], mask[20:30] = 7, 0
        (tmp_path / "noisy").mkdir(exist_ok=True)
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(damaged).save(tmp_path / "noisy" / f"{i}.jpg", quality=100)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{i}.png")
    return tmp_path


def pair_folders(root, *names, **options):
    options = {"caches_dir": root / "caches", "report": str} | options
    return PairFolders(*(root / name for name in names), **options)


def test_crops_of_pair_folders_with_and_without_masks(folders):
    masked, plain = (
        pair_folders(folders, *names, seed=3)
        for names in (("noisy", "clean", "masks"), ("noisy", "clean"))
    )
    damaged, clean, valid = masked.batch(5, 7, 41)
    assert damaged.shape == clean.shape == (7, 41, 41, 3) and valid.shape == (7, 41, 41, 1)
    assert set(np.unique(clean)) == {100, 101} and set(np.unique(valid)) == {0, 1}
    assert np.abs(np.where(valid, clean, 7) - damaged.astype(int)).max() <= 3  # of JPEG
    for one, two in zip(plain.batch(5, 7, 41), (damaged, clean, np.ones_like(valid)), strict=True):
        np.testing.assert_array_equal(one, two)
    parts = [masked.batch(5, 7, 41, (i, 2)) for i in (0, 1)]
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), damaged)
    (turn,) = rotation([masked], [(0, 41, 7)]).start_at(5).take(1)
    np.testing.assert_array_equal(turn[2], valid)
    assert masked.facts != plain.facts and plain.facts["pictures"] == 2


def test_whole_pictures_of_pair_folders_come_in_order(folders):
    whole = list(pair_folders(folders, "noisy", "clean", "masks").whole_pictures())
    assert [clean.shape for _, clean, _ in whole] == [(1, 61, 53, 3), (1, 47, 67, 3)]
    assert [int(valid.numpy().sum()) for *_, valid in whole] == [51 * 53, 37 * 67]
    assert len(list(pair_folders(folders, "noisy", "clean").whole_pictures(1))) == 1


def test_clean_pictures_without_a_damaged_one_are_not_used_and_said(folders):
    grey(folders / "clean" / "more.png", 3)
    said = []
    assert len(pair_folders(folders, "noisy", "clean", report=said.append)) == 2
    assert said == [
        f"1 of 3 pictures in {folders / 'clean'} are not used: {folders / 'noisy'} has none of "
        "their names"
    ]


def test_what_does_not_fit_in_pair_folders_is_named(folders):
    with pytest.raises(ValueError, match="smaller than the crop of 99 px"):
        pair_folders(folders, "noisy", "clean").batch(0, 1, 99)
    grey(folders / "clean" / "1.png", 3, (47, 60))
    with pytest.raises(
        ValueError, match=r"1 pairs differ.*1\.jpg has \(height, width\) \(47, 67\), .*\(47, 60\)"
    ):
        pair_folders(folders, "noisy", "clean")
    (folders / "masks" / "0.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"no partner in .*masks; the first: 0\.jpg"):
        pair_folders(folders, "noisy", "clean", "masks")


@pytest.mark.parametrize(
    ("stages", "every", "sentence"),
    [
        ([(0, 24, 2), (9, 99, 1)], 1, "smaller than the crop of 99 px"),
        ([(0, 0, 2)], 1, "crop_px must be a whole number of at least 1, got 0"),
        ([(0, 24, 0)], 1, "batch_size must be a whole number of at least 1, got 0"),
        ([(0, 24, 2)], 0, "every must be a whole number of at least 1, got 0"),
        ([(0, 24, 2), (9, 24, 2), (5, 24, 1)], 1, "stages must be in the order"),
    ],
)
def test_turns_that_cannot_be_are_refused_before_the_first(folders, stages, every, sentence):
    """Also for stages that begin after days."""
    with pytest.raises(ValueError, match=sentence):
        rotation([pair_folders(folders, "noisy", "clean")], stages, every=every)


def test_prepared_pictures_are_joined_by_name(tmp_path):
    for i, level in enumerate((20, 80, 140, 200)):
        grey(tmp_path / "in" / f"{i}.png", level)
    write_damaged("gaussian-noise", tmp_path / "in", tmp_path / "out", strength=2)
    folder = tmp_path / "out" / "gaussian-noise"
    (folder / "input" / "1.png").unlink()
    damaged, clean, _ = PreparedPictures(folder, caches_dir=tmp_path, report=str).batch(0, 32, 64)
    levels = {(round(x.mean()), int(y.mean())) for x, y in zip(damaged, clean, strict=True)}
    assert levels == {(20, 20), (140, 140), (200, 200)}
    (folder / "target" / "2.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"no partner in .*target; the first: 2\.png"):
        PreparedPictures(folder, caches_dir=tmp_path)
