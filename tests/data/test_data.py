"""Store, pairs, folders and DIV2K."""

import numpy as np
import pytest
from PIL import Image

from data import ImageFolder
from data.__main__ import main
from data.batches import SeekableDataset
from data.degrade import imresize
from data.pairs import PairSource, contact_sheet, dihedral


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def read(path):
    return np.asarray(Image.open(path))


@pytest.fixture
def folder(hr_dir, tmp_path):
    return ImageFolder(hr_dir, scale=4, caches_dir=tmp_path / "caches")


# --- pairs -------------------------------------------------------------------------------------


def test_lr_is_made_by_imresize_of_the_cut_hr(hr_dir, folder, capsys):
    for number, (lr, hr) in enumerate(folder.pairs):
        whole = read(hr_dir / f"picture{number}.png")
        height, width = (n // 4 * 4 for n in whole.shape[:2])
        np.testing.assert_array_equal(hr, whole[:height, :width])
        np.testing.assert_array_equal(lr, imresize(hr, 1 / 4))
    said = capsys.readouterr().out
    assert "3 of 3 HR pictures are no multiple of 4 px: cut at the bottom and right" in said


@pytest.mark.parametrize("turn", range(8))
def test_dihedral_is_the_symmetry_it_says(turn):
    picture = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    expected = np.rot90(picture, turn % 4)
    expected = expected[:, ::-1] if turn >= 4 else expected
    np.testing.assert_array_equal(dihedral(picture, turn), expected)


def test_crops_are_pairs_of_the_pictures(folder):
    """Every LR crop with its HR crop is found, in one of eight positions, in a picture."""
    windows = {}
    for lr, hr in folder.pairs:
        for top in range(lr.shape[0] - 5):
            for left in range(lr.shape[1] - 5):
                small = lr[top : top + 6, left : left + 6]
                large = hr[4 * top : 4 * top + 24, 4 * left : 4 * left + 24]
                windows |= {
                    dihedral(small, t).tobytes(): dihedral(large, t).tobytes() for t in range(8)
                }
    for lr, hr in folder.dataset(5, hr_crop_px=24).take(20):
        assert lr.shape == (5, 6, 6, 3) and hr.shape == (5, 24, 24, 3)
        for small, large in zip(lr.numpy(), hr.numpy(), strict=True):
            assert windows[small.tobytes()] == large.tobytes()


def test_batches_depend_on_seed_and_step_only(folder):
    dataset = folder.dataset(3, hr_crop_px=24, seed=1)
    assert isinstance(dataset, SeekableDataset)
    seventh = list(dataset.take(8))[7]
    same = next(iter(dataset.start_at(7)))
    other = next(iter(folder.dataset(3, hr_crop_px=24, seed=2).start_at(7)))
    np.testing.assert_array_equal(seventh[1], same[1])
    assert not np.array_equal(seventh[1], other[1])
    far = next(iter(dataset.start_at(10**12)))
    assert far[0].shape == (3, 6, 6, 3)


def test_every_picture_and_every_place_in_it_is_equally_likely(tmp_path):
    ramp = np.tile(np.arange(2 * 13, dtype=np.uint8)[:, None, None], (1, 8, 3))
    save(tmp_path / "hr" / "a.png", ramp)  # 10 rows where the window can begin
    save(tmp_path / "hr" / "b.png", np.full((8, 8, 3), 200, np.uint8))
    folder = ImageFolder(tmp_path / "hr", scale=2, caches_dir=tmp_path / "caches")
    _, hr = next(iter(folder.dataset(1000, hr_crop_px=8)))
    values = hr.numpy().min(axis=(1, 2, 3))
    assert abs(np.mean(values == 200) - 0.5) < 5 * np.sqrt(0.25 / 1000)
    for first_row in range(10):
        share = np.mean(values == 2 * first_row)
        assert abs(share - 0.05) < 5 * np.sqrt(0.05 * 0.95 / 1000)


def test_whole_pictures_come_in_order_and_repeat(folder):
    shapes = [hr.shape[1:3] for _, hr in folder.dataset(1, 2, False)]
    assert shapes == [(60, 52), (44, 64), (56, 68)] * 2


def test_passes_are_counted_in_batches(folder):
    assert len(list(folder.dataset(2, 3, True, hr_crop_px=24))) == 3 * 2


def test_pictures_smaller_than_the_crop_are_not_used(tmp_path):
    save(tmp_path / "hr" / "large.png", np.full((16, 24, 3), 200, np.uint8))
    save(tmp_path / "hr" / "small.png", np.full((12, 40, 3), 100, np.uint8))
    said = []
    folder = ImageFolder(
        tmp_path / "hr", scale=2, caches_dir=tmp_path / "caches", report=said.append
    )
    _, hr = next(iter(folder.dataset(50, hr_crop_px=16)))
    assert np.unique(hr) == [200]
    assert said == ["left out: 1 of 2 pictures, smaller than the crop of 16 px"]
    with pytest.raises(ValueError, match="every picture is smaller than the crop of 64 px"):
        folder.dataset(1, hr_crop_px=64)
    with pytest.raises(ValueError, match="hr_crop_px must be a multiple of 2, got 15"):
        folder.dataset(1, hr_crop_px=15)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hr_crop_px": 0}, "hr_crop_px must be a whole number of at least 1, got 0"),
        ({"hr_crop_px": 24.0}, "hr_crop_px must be a whole number of at least 1, got 24.0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": 0, "random_transform": False}, "batch_size must be a whole number"),
        ({"repeat_count": -1}, "repeat_count must be a whole number of at least 1, got -1"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(folder, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        folder.dataset(**options)


def test_lr_folder_matches_with_and_without_the_scale_in_the_name(hr_dir, tmp_path):
    for number, name in enumerate(["picture0x4", "picture1_x4", "picture2"]):
        hr = read(hr_dir / f"picture{number}.png")
        height, width = (n // 4 for n in hr.shape[:2])
        save(tmp_path / "lr" / f"{name}.png", np.full((height, width, 3), number, np.uint8))
    folder = ImageFolder(hr_dir, tmp_path / "lr", 4, caches_dir=tmp_path / "caches")
    assert [lr[0, 0, 0] for lr, _ in folder.pairs] == [0, 1, 2]


def test_pairs_whose_sizes_do_not_match_are_named(hr_dir, tmp_path):
    for file in hr_dir.iterdir():
        save(tmp_path / "lr" / file.name, np.zeros((11, 13, 3), np.uint8))
    with pytest.raises(ValueError, match=r"3 pairs do not match at scale 4; .*picture0\.png"):
        ImageFolder(hr_dir, tmp_path / "lr", 4, caches_dir=tmp_path / "caches").dataset()


def test_missing_folders_and_partners_are_named(hr_dir, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="no folder .*absent"):
        ImageFolder(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="no pictures"):
        ImageFolder(tmp_path / "none")
    save(tmp_path / "lr" / "picture0.png", np.zeros((15, 13, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match=r"2 HR pictures have no LR partner.*picture1\.png"):
        ImageFolder(hr_dir, tmp_path / "lr")
    with pytest.raises(ValueError, match="scale must be a whole number from 2 to 16, got 1"):
        ImageFolder(hr_dir, scale=1)


def test_contact_sheet_shows_lr_beside_hr(folder):
    sheet = contact_sheet(folder.pairs, count=5, hr_crop_px=24)
    assert sheet.shape == (2 * 32, 4 * 56, 3) and sheet.dtype == np.uint8


# --- command line ------------------------------------------------------------------------------


def test_folder_command_builds_and_shows(hr_dir, tmp_path, capsys):
    sheet = tmp_path / "out" / "sheet.png"
    arguments = f"folder --hr {hr_dir} --scale 2 --caches-dir {tmp_path} --hr-crop-px 24"
    assert main([*arguments.split(), "--sheet", str(sheet)]) == 0
    assert "3 pairs at scale 2" in capsys.readouterr().out
    assert read(sheet).shape[2] == 3


def test_folder_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["folder", "--hr", str(tmp_path / "absent")]) == 2
    assert capsys.readouterr().err == f"error: no folder {tmp_path / 'absent'}\n"


def test_a_source_must_say_where_its_pictures_come_from():
    class Nowhere(PairSource):
        scale = 1

    with pytest.raises(TypeError, match="stores"):
        Nowhere()
