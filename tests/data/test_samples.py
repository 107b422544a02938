"""The photographs that come along: written once, usable as a data set."""

import numpy as np
from PIL import Image
from skimage.data import immunohistochemistry

from data import ImageFolder
from data.samples import TRAINING, VALIDATION, VALIDATION_PX, sample_folders, tissue_folders


def test_samples_are_folders_of_colour_pictures(tmp_path):
    train, valid = sample_folders(tmp_path / "samples")
    assert sorted(file.stem for file in train.iterdir()) == sorted(TRAINING)
    assert sorted(file.stem for file in valid.iterdir()) == sorted(VALIDATION)
    for file in (*train.iterdir(), *valid.iterdir()):
        shape = np.asarray(Image.open(file)).shape
        assert shape[2] == 3 and min(shape[:2]) >= VALIDATION_PX
    source = ImageFolder(valid, scale=4, caches_dir=tmp_path / "caches", report=print)
    lr, hr = next(iter(source.dataset(2, hr_crop_px=96)))
    assert lr.shape == (2, 24, 24, 3) and hr.shape == (2, 96, 96, 3)


def test_tissue_is_two_parts_of_one_picture(tmp_path):
    parts = [Image.open(folder / "tissue.png") for folder in tissue_folders(tmp_path / "tissue")]
    assert [part.size for part in parts] == [(352, 512), (152, 192)]
    whole = immunohistochemistry()
    np.testing.assert_array_equal(parts[0], whole[:, :352])
    np.testing.assert_array_equal(parts[1], whole[:192, 360:])


def test_samples_are_written_once(tmp_path):
    train, _ = sample_folders(tmp_path)
    before = {file: file.stat().st_mtime_ns for file in train.iterdir()}
    (train / "coffee.png").unlink()
    sample_folders(tmp_path)
    after = {file: file.stat().st_mtime_ns for file in train.iterdir()}
    assert [file.stem for file in before if before[file] != after[file]] == ["coffee"]
