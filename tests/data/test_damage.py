"""Damage of LR: where pixels lie, what is drawn, batches by number, files that are refused."""

import dataclasses
import io
import json

import numpy as np
import pytest
import skimage.data
from PIL import Image
from skimage.registration import phase_cross_correlation

from data import ImageFolder
from data.__main__ import main
from data.damage import PRESETS, Damage, load_damage
from data.degrade import (
    alias,
    blur,
    camera_noise,
    compress,
    generalised_kernel,
    imresize,
    sharpen,
    sinc_kernel,
)
from data.resize import KERNELS, resize
from data.tasks import TASKS
from data.tasks import damage as damage_task

NOTHING = Damage(clean=0, first_round=0, compress=0)


def shift_px(picture, reference):
    """By how much a picture lies off another, in px: the greater of rows and columns."""
    grey = (p.astype(np.float64).mean(axis=2) for p in (reference, picture))
    return np.abs(phase_cross_correlation(*grey, upsample_factor=20, normalization=None)[0]).max()


def test_the_measure_sees_a_shift():
    picture = skimage.data.astronaut()
    assert shift_px(picture[3:259, 5:261], picture[3:259, 5:261]) == 0
    assert shift_px(picture[3:259, 5:261], picture[4:260, 5:261]) >= 0.9
    assert shift_px(alias(picture, 0.3, "opencv-nearest"), picture) > 1


@pytest.mark.parametrize("task", TASKS)
def test_no_task_moves_the_picture(task):
    clean = skimage.data.astronaut()[:256, :320]
    damaged, valid = damage_task(task, clean, np.random.default_rng(3), TASKS[task].usual)
    assert shift_px(np.where(valid, damaged, clean), clean) <= 0.1


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_no_reduction_moves_the_picture(kernel, antialias, scale):
    hr = skimage.data.astronaut()[: 252 // scale * scale, : 300 // scale * scale]
    size = hr.shape[0] // scale, hr.shape[1] // scale
    reduced = resize(hr, size, kernel, antialias=antialias)
    assert shift_px(reduced, imresize(hr, 1 / scale)) <= 0.05


def test_reductions_keep_constants_and_agree_with_others():
    ones = np.full((60, 52, 3), 7, np.uint8)
    hr = skimage.data.astronaut()[:120, :104] // 2 + 64  # Pillow clips between its passes
    for kernel in KERNELS:
        np.testing.assert_allclose(resize(ones, (15, 13), kernel), 7, atol=1e-4)
    np.testing.assert_allclose(
        resize(hr, (30, 26), "bicubic"), imresize(hr.astype(float), 0.25), atol=1e-3
    )
    for kernel, pillow in (("lanczos", Image.Resampling.LANCZOS), ("area", Image.Resampling.BOX)):
        expected = np.asarray(Image.fromarray(hr).resize((26, 30), pillow), float)
        inner = np.abs(resize(hr, (30, 26), kernel) - expected)[3:-3, 3:-3]
        assert inner.max() <= 1.1
    with pytest.raises(ValueError, match="kernel must be one of nearest, area, .* got 'cubic'"):
        resize(hr, (30, 26), "cubic")


@pytest.mark.parametrize("chroma", [("4:2:0", 2), ("4:4:4", 0)])
@pytest.mark.parametrize("quality", [30, 75])
def test_jpeg_is_the_real_encoders(chroma, quality):
    picture = skimage.data.astronaut()[:75, :91]
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=chroma[1])
    expected = np.asarray(Image.open(file), float)
    assert np.abs(compress(picture, quality, chroma=chroma[0]) - expected).mean() < 0.2


def test_the_block_grid_lies_where_it_is_asked_for():
    picture = skimage.data.astronaut()[100:180, 100:196]
    whole = compress(picture, 40, offset=(3, 5))
    np.testing.assert_array_equal(
        whole[13 + 16 :, 11 + 16 :][:20], compress(picture[13:, 11:], 40)[16:, 16:][:20]
    )
    assert (compress(picture, 40) != whole).any()


@pytest.mark.parametrize("shape", [(1, 1, 3), (13, 17), (13, 17, 1), (13, 17, 4), (1, 5, 3)])
@pytest.mark.parametrize("webp", [False, True])
def test_small_grey_and_transparent_pictures_are_compressed(shape, webp):
    picture = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    result = compress(picture, 90, webp=webp, offset=(7, 3))
    assert result.shape == shape and result.dtype == np.uint8
    if shape[-1] == 4:
        np.testing.assert_array_equal(result[..., 3], picture[..., 3])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"quality": 0}, "quality must be a whole number from 1 to 100, got 0"),
        ({"quality": 101}, "from 1 to 100, got 101"),
        ({"quality": 70.5}, "got 70.5"),
        ({"quality": 70, "chroma": "4:1:1"}, "chroma must be one of 4:2:0, 4:4:4, got '4:1:1'"),
    ],
)
def test_refuses_qualities_and_chroma_there_are_not(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        compress(np.zeros((7, 5, 3), np.uint8), **arguments)
    with pytest.raises(ValueError, match="takes uint8, got float64"):
        compress(np.zeros((7, 5, 3)), 50)


def test_kernels_and_noise_are_what_they_say():
    kernel = generalised_kernel(31, 3, 1, 0)
    x = np.arange(31) - 15
    assert kernel.sum() == pytest.approx(1)
    assert (kernel.sum(0) * x**2).sum() == pytest.approx(9, rel=1e-3)
    assert (kernel.sum(1) * x**2).sum() == pytest.approx(1, rel=1e-3)
    turned = generalised_kernel(31, 3, 1, 90)
    np.testing.assert_allclose(turned, kernel.T, atol=1e-12)
    step = np.zeros((21, 40, 3), np.uint8)
    step[:, 20:] = 200
    assert blur(step, sinc_kernel(9, 0.6)).max() > 205  # rings
    assert sharpen(step, 1, 1).max() > 205 and sharpen(step, 0, 1).max() == 200
    grey = np.full((211, 199, 3), 100, np.uint8)
    noise = camera_noise(grey, 3, 0.5, np.random.default_rng(1)) - 100.0
    assert noise.var() == pytest.approx(9 + 50, rel=0.03)
    same = camera_noise(grey, 3, 0.5, np.random.default_rng(1), grey=True, smooth=True) - 100.0
    assert same.var() == pytest.approx(59, rel=0.1) and (np.ptp(same, axis=2) < 1e-3).all()
    assert np.corrcoef(same[:, :-1, 0].ravel(), same[:, 1:, 0].ravel())[0, 1] > 0.3


@pytest.fixture
def folder(hr_dir, tmp_path):
    def make(scale):
        return ImageFolder(hr_dir, scale=scale, caches_dir=tmp_path / "caches", report=str)

    return make


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", PRESETS)
def test_batches_depend_on_seed_and_step_only(folder, name, scale):
    dataset = folder(scale).dataset(5, hr_crop_px=24, seed=1, damage=name)
    batches = list(dataset.take(4))
    lr, hr = next(iter(dataset.start_at(3)))
    assert lr.shape == (5, 24 // scale, 24 // scale, 3) and hr.shape == (5, 24, 24, 3)
    np.testing.assert_array_equal(lr, batches[3][0])
    np.testing.assert_array_equal(hr, batches[3][1])
    clean = list(folder(scale).dataset(5, hr_crop_px=24, seed=1).take(4))
    for (lr, hr), (clean_lr, clean_hr) in zip(batches, clean, strict=True):
        np.testing.assert_array_equal(hr, clean_hr)
        assert (lr.numpy() != clean_lr.numpy()).any()
    parts = [next(iter(dataset.start_at(3, (index, 2))))[0] for index in range(2)]
    np.testing.assert_array_equal(np.concatenate(parts), batches[3][0])


@pytest.mark.parametrize("kernel", ["area", "lanczos"])
def test_no_border_of_the_window_shows(folder, kernel):
    """A crop of a damaged window equals the same place of the damaged picture."""
    damage = dataclasses.replace(NOTHING, kernels=(kernel,))
    pairs, expected = folder(2).pairs, {}
    for i in range(len(pairs)):
        lr, hr = pairs[i]
        whole = np.clip(resize(hr, lr.shape[:2], kernel), 0, 255)
        expected |= {
            hr[2 * top :][:24, 2 * left :][:, :24].tobytes(): whole[top:][:12, left:][:, :12]
            for top in range(lr.shape[0] - 11)
            for left in range(lr.shape[1] - 11)
        }
    lr, hr = next(iter(folder(2).dataset(100, hr_crop_px=24, damage=damage)))
    upright = [i for i in range(100) if hr[i].numpy().tobytes() in expected]
    assert len(upright) > 3  # one of eight positions
    for i in upright:
        np.testing.assert_allclose(lr[i], expected[hr[i].numpy().tobytes()], atol=0.51)


def test_a_share_stays_clean_and_the_rest_is_lossy(folder):
    damage = dataclasses.replace(PRESETS["mild"], clean=0.25)
    damaged = folder(4).dataset(500, hr_crop_px=24, damage=damage)
    lr = next(iter(damaged))[0].numpy()
    clean = next(iter(folder(4).dataset(500, hr_crop_px=24)))[0].numpy()
    same = (lr == clean).all(axis=(1, 2, 3)).mean()
    assert abs(same - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 500) + 0.02


def test_whole_pictures_are_damaged_always_alike(folder):
    valid = folder(4).dataset(1, 1, False, damage="strong")
    first, again = (list(valid) for _ in range(2))
    for (lr, _), (other, _), (clean, _) in zip(
        first, again, folder(4).dataset(1, 1, False), strict=True
    ):
        np.testing.assert_array_equal(lr, other)
        assert lr.shape == clean.shape
    clean = [lr for lr, _ in folder(4).pairs]
    assert any((lr.numpy() != other).any() for (lr, _), other in zip(first, clean, strict=True))


def test_a_run_remembers_its_damage(folder):
    facts = folder(4).dataset(2, hr_crop_px=24, damage="mild").facts
    assert json.loads(json.dumps(facts)) == facts
    assert facts["damage"]["quality"] == [40, 95] and facts["damage"]["clean"] == 0.2
    assert "damage" not in folder(4).dataset(2, hr_crop_px=24).facts


def test_a_file_of_its_own(tmp_path):
    file = tmp_path / "damage.json"
    file.write_text(json.dumps({"quality": [50, 60], "clean": 0, "kernels": ["area"]}))
    assert load_damage(file) == Damage(quality=(50, 60), clean=0, kernels=("area",))
    assert load_damage(None) is None and load_damage("mild") is PRESETS["mild"]
    assert 0.15 <= PRESETS["mild"].clean <= 0.25 and PRESETS["strong"].clean > 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"qality": [50, 60]}', "may hold clean, first_round, .*; got qality"),
        ('{"quality": [0, 60]}', r"quality of damage must be \[least, greatest\] within 1 to 100"),
        ('{"quality": [60, 101]}', "within 1 to 100"),
        ('{"quality": [60, 50]}', "within 1 to 100"),
        ('{"quality": 60}', "within 1 to 100, got 60"),
        ('{"noise_read": [-1, 5]}', "noise_read of damage must be .* within 0 to 50"),
        ('{"clean": 1.5}', "clean of damage must be a share from 0 to 1, got 1.5"),
        ('{"clean": "no"}', "a share from 0 to 1, got no"),
        ('{"kernels": ["cubic"]}', "kernels of damage must be a list of nearest, area"),
        ('{"kernels": []}', "kernels of damage must be a list"),
        ('{"kernels": 3}', "kernels of damage must be a list"),
        ("[1]", "may hold clean"),
        ("{", "is no JSON file"),
    ],
)
def test_refuses_files_with_unknown_names_and_ranges(tmp_path, content, sentence):
    file = tmp_path / "damage.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=sentence) as error:
        load_damage(file)
    assert "\n" not in str(error.value)


def test_refuses_an_unknown_preset(folder):
    with pytest.raises(ValueError, match="damage must be mild, strong or a JSON file, got 'milt'"):
        folder(4).dataset(1, damage="milt")


@pytest.mark.parametrize("damage", ["strong", "clean"])
def test_preview_shows_lr_beside_hr(hr_dir, tmp_path, capsys, damage):
    sheet = tmp_path / "sheets" / "sheet.png"
    arguments = f"preview --in {hr_dir} -o {sheet} --caches-dir {tmp_path} --scale 2 --crop-px 31"
    assert main([*arguments.split(), "--count", "2", "--damage", damage]) == 0
    assert np.asarray(Image.open(sheet)).shape == (30 + 8, 4 * (2 * 30 + 8), 3)
    assert "LR (enlarged 2 times), HR" in capsys.readouterr().out


def test_preview_refuses_an_unknown_damage(hr_dir, tmp_path, capsys):
    arguments = f"preview --in {hr_dir} -o {tmp_path}/s.png --caches-dir {tmp_path} --damage milt"
    assert main(arguments.split()) == 2
    assert capsys.readouterr().err == (
        "error: damage must be mild, strong or a JSON file, got 'milt'\n"
    )


@pytest.mark.parametrize("task", TASKS)
def test_tasks_take_rgb_of_any_size_and_refuse_the_rest(task):
    random = np.random.default_rng(1)
    for size in ((1, 1), (2, 40)):
        damaged, valid = damage_task(task, np.full((*size, 3), 90, np.uint8), random)
        assert damaged.shape == (*size, 3) and valid.shape == (*size, 1)
    for shape in ((7, 9), (7, 9, 1), (7, 9, 4)):
        with pytest.raises(ValueError, match="takes an RGB picture"):
            damage_task(task, np.zeros(shape, np.uint8), random)
    with pytest.raises(ValueError, match="got .* float64"):
        damage_task(task, np.zeros((7, 9, 3)), random)
    for strength in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="strength"):
            damage_task(task, np.zeros((7, 9, 3), np.uint8), random, strength)


def test_the_smallest_lr_is_damaged():
    for name in PRESETS:
        damage = dataclasses.replace(PRESETS[name], clean=0, first_round=1)
        for seed in range(20):
            lr, hr = np.full((1, 1, 3), 90, np.uint8), np.full((4, 4, 3), 90, np.uint8)
            assert damage(lr, hr, np.random.default_rng(seed)).shape == (1, 1, 3)
