"""``python -m infer restore``: tasks, masks, tiles, depths, folders, and mistakes."""

import json

import keras
import numpy as np
import pytest

from data.pictures.read import load_image
from data.pictures.write import save_image
from infer import masks
from infer.__main__ import main
from infer.inpaint import Inpainter
from model.edsr import edsr
from model.restoration import without_masks
from model.restormer import restormer
from model.weight_file import write_note

SMALLEST = {
    "dim": 4,
    "num_blocks": (1, 0, 0, 0),
    "num_refinement_blocks": 0,
    "heads": (1, 1, 1, 2),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of a network with masks and of one without."""
    folder = tmp_path_factory.mktemp("weights")
    for name, mask_aware in (("masked", True), ("plain", False)):
        restormer(**SMALLEST, mask_aware=mask_aware).save_weights(folder / f"{name}.weights.h5")
    return folder


@pytest.fixture
def photo(tmp_path):
    """A picture, 23×29 px, with a white scratch of 3×11 px, and its mask."""
    pixels = np.random.default_rng(1).integers(0, 200, (23, 29, 3), dtype=np.uint8)
    mask = np.full((23, 29), 255, np.uint8)
    pixels[7:10, 4:15], mask[7:10, 4:15] = 255, 0
    save_image(tmp_path / "photo.png", pixels)
    save_image(tmp_path / "mask.png", mask)
    return tmp_path / "photo.png"


def run(weights, photo, *arguments, task="inpaint", network="masked"):
    out = photo.parent / "out.png"
    model = str(weights / f"{network}.weights.h5")
    return main(
        [
            *("restore", str(photo), "-o", str(out), "--overwrite"),
            *("--task", task, "--model", model, *arguments),
        ]
    )


@pytest.mark.parametrize("network", ["masked", "plain"])
@pytest.mark.parametrize("task", ["denoise", "jpeg"])
def test_restores_with_either_network(weights, photo, network, task):
    assert run(weights, photo, task=task, network=network) == 0
    result = load_image(photo.parent / "out.png")
    assert result.shape == (23, 29, 3) and (result != load_image(photo)).any()


@pytest.mark.parametrize("tile", ["none", "16"])
def test_fills_in_what_the_mask_marks_and_keeps_the_rest(weights, photo, tile):
    mask = photo.parent / "mask.png"
    assert run(weights, photo, "--mask", str(mask), "--tile", tile) == 0
    result, before = load_image(photo.parent / "out.png"), load_image(photo)
    damaged = load_image(mask) == 0
    np.testing.assert_array_equal(result[~damaged], before[~damaged])
    assert (result[damaged] != 255).any()
    assert run(weights, photo, "--mask", str(mask), "--all-pixels") == 0
    assert (load_image(photo.parent / "out.png")[~damaged] != before[~damaged]).any()


def test_self_ensemble_is_the_mean_over_turns_of_picture_and_mask(weights, photo):
    from weights.load import load_model

    mask = ["--mask", str(photo.parent / "mask.png")]
    model = load_model(weights / "masked.weights.h5")
    picture = load_image(photo)[None].astype(np.float32)
    real = (load_image(photo.parent / "mask.png") > 0)[None, ..., None].astype(np.float32)
    for task, valid, given in (("denoise", np.ones_like(real), []), ("inpaint", real, mask)):
        answers = []
        for turns in range(4):
            for step in (1, -1):
                turned = [np.rot90(x, turns, (1, 2))[:, ::step].copy() for x in (picture, valid)]
                answer = model(turned).numpy()[:, ::step]
                answers.append(np.rot90(answer, -turns, (1, 2)))
        expected = np.clip(np.mean(answers, axis=0), 0, 255)
        expected = np.where((task == "denoise") | (valid == 0), expected, picture)[0]
        assert run(weights, photo, *given, "--self-ensemble", task=task) == 0
        result = load_image(photo.parent / "out.png")
        assert np.abs(result - expected).max() < 0.51
        assert run(weights, photo, *given, task=task) == 0
        assert (load_image(photo.parent / "out.png") != result).any()


@pytest.mark.parametrize("task", ["denoise", "inpaint"])
def test_half_precision_where_it_is_known_to_be_safe(weights, photo, monkeypatch, task):
    import infer.variants

    monkeypatch.setattr(infer.variants, "half_type", lambda: "bfloat16")
    mask = ["--mask", str(photo.parent / "mask.png")] if task == "inpaint" else []
    results = {}
    for loss_db in (0.001, 0.5):
        write_note(weights / "masked.weights.h5", {"half_loss_db": loss_db})
        for precision in ([], ["--full-precision"]):
            assert run(weights, photo, *mask, *precision, task=task) == 0
            result = load_image(photo.parent / "out.png").astype(int)
            results[loss_db, bool(precision)] = result
    whole = results.pop((0.5, False))
    half = results.pop((0.001, False))
    assert all((result == whole).all() for result in results.values())
    assert 0 < np.abs(half - whole).mean() < 1.5


def test_a_network_with_an_embedding_of_masks_serves_all_tasks(tmp_path, photo):
    model = restormer(**SMALLEST, mask_aware=True, mask_embedding=True)
    model.get_layer("mask_embed").set_weights([np.ones((1, 4), np.float32)])
    model.save_weights(tmp_path / "embedded.weights.h5")
    pictures = np.random.default_rng(3).uniform(0, 255, (1, 13, 17, 3)).astype(np.float32)
    expected = model.traced(pictures, np.ones((1, 13, 17, 1), np.float32))
    np.testing.assert_array_equal(without_masks(model).traced(pictures), expected)
    assert run(tmp_path, photo, task="denoise", network="embedded") == 0
    assert run(tmp_path, photo, "--mask-colour", "#ffffff", network="embedded") == 0


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """Function of names: makes them all that is bundled, each a small network; returns files."""

    def bundle(*names):
        monkeypatch.setattr("weights.load.WEIGHTS_DIR", tmp_path)
        facts = {}
        for seed, name in enumerate(names):
            keras.utils.set_random_seed(seed)
            facts[name] = {"file": f"{name}.weights.h5"}
            restormer(**SMALLEST, mask_aware=True).save_weights(tmp_path / facts[name]["file"])
        (tmp_path / "manifest.json").write_text(json.dumps(facts))

    return bundle


def test_without_a_model_the_bundled_one_of_the_task_is_taken(bundle, photo, capsys):
    out = photo.parent / "out.png"
    command = ["restore", str(photo), "-o", str(out), "--overwrite", "--task"]
    results = {}
    bundle("restormer-small", "restormer-small-deblur")
    for task in ("denoise", "deblur"):
        assert main([*command, task]) == 0
        results[task] = load_image(out)
    for task, name in (("denoise", "restormer-small"), ("deblur", "restormer-small-deblur")):
        assert main([*command, task, "--model", name]) == 0
        np.testing.assert_array_equal(load_image(out), results[task])
    assert (results["denoise"] != results["deblur"]).any()
    bundle()
    assert main([*command, "denoise"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no network to denoise is bundled: give --model a file")
    assert len(error.splitlines()) == 1


def test_a_network_that_enlarges_cannot_restore(photo, capsys):
    edsr(2, 4, 1).save_weights(photo.parent / "edsr.weights.h5")
    assert run(photo.parent, photo, task="denoise", network="edsr") == 2
    assert "restore needs a restormer, but" in capsys.readouterr().err


def test_colour_file_and_alpha_masks_agree(weights, photo):
    results = []
    pixels = load_image(photo)
    alpha = np.where((pixels == 255).all(axis=2), 0, 255).astype(np.uint8)
    with_alpha = photo.parent / "alpha.png"
    save_image(with_alpha, np.dstack([pixels, alpha]))
    inverted = photo.parent / "inverted.png"
    save_image(inverted, 255 - load_image(photo.parent / "mask.png"))
    for source, *options in (
        (photo, "--mask-colour", "#ffffff"),
        (photo, "--mask", str(photo.parent / "mask.png")),
        (photo, "--mask", str(inverted), "--invert-mask"),
        (with_alpha, "--mask", "alpha"),
    ):
        assert run(weights, source, *options) == 0
        results.append(load_image(photo.parent / "out.png"))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("channels", [None, 2, 4])
def test_sixteen_bits_grey_and_alpha_are_kept(weights, channels):
    from weights.load import load_model

    shape = (13, 17) if channels is None else (13, 17, channels)
    image = np.random.default_rng(2).integers(0, 65536, shape, dtype=np.uint16)
    valid = np.ones((13, 17), bool)
    valid[3:6, 2:9] = False
    model = load_model(weights / "masked.weights.h5")
    result = Inpainter(model)(image, valid)
    assert result.shape == shape and result.dtype == np.uint16
    np.testing.assert_array_equal(result[valid], image[valid])
    if channels:
        np.testing.assert_array_equal(result[..., -1], image[..., -1])


def test_folders_with_a_folder_of_masks_skip_what_is_done(weights, photo, capsys):
    sources, mask_dir, out = (photo.parent / name for name in ("in", "masks", "done"))
    for folder in (sources, mask_dir):
        folder.mkdir()
    for name in ("a", "b"):
        save_image(sources / f"{name}.png", load_image(photo))
        save_image(mask_dir / f"{name}.png", load_image(photo.parent / "mask.png"))
    command = ["restore", str(sources), "-o", str(out), "--task", "inpaint"]
    command += ["--model", str(weights / "masked.weights.h5"), "--mask", str(mask_dir)]
    assert main(command) == 0 and "2 done, 0 skipped" in capsys.readouterr().out
    assert main(command) == 0 and "0 done, 2 skipped" in capsys.readouterr().out
    assert {file.name for file in out.glob("*.png")} == {"a.png", "b.png"}
    (mask_dir / "b.png").unlink()
    assert main(command) == 2 and "no mask named as b.png" in capsys.readouterr().err


def test_masks_may_lie_in_the_same_tree_and_a_wrong_one_fails_alone(weights, photo, capsys):
    sources, mask_dir, out = (photo.parent / name for name in ("in", "masks", "done"))
    mask = load_image(photo.parent / "mask.png")
    other = np.roll(mask, 9, axis=0)
    for place, pixels in {"a": mask, "day/a": other, "b": mask[:, :-1]}.items():
        for folder, content in ((sources, load_image(photo)), (mask_dir, pixels)):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            save_image(folder / f"{place}.png", content)
    command = ["restore", str(sources), "-o", str(out), "--task", "inpaint", "--recursive"]
    command += ["--model", str(weights / "masked.weights.h5"), "--mask", str(mask_dir)]
    assert main(command) == 1
    captured = capsys.readouterr()
    assert "2 done, 0 skipped (done before), 1 failed" in captured.out
    assert "b.png is 28×23 px, the picture 29×23 px" in captured.err
    for place, valid in (("a", mask > 0), ("day/a", other > 0)):
        result, before = load_image(out / f"{place}.png"), load_image(photo)
        np.testing.assert_array_equal(result[valid], before[valid])
        assert (result[~valid] != before[~valid]).any()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m[:, :-1], "is 28×23 px, the picture 29×23 px"),
        (lambda m: np.full_like(m, 255), "marks no pixel as damaged"),
        (lambda m: np.zeros_like(m), "marks every pixel as damaged"),
        (lambda m: 255 - m, "of the picture as damaged: is it inverted?"),
    ],
)
def test_refuses_masks_that_cannot_be_meant(weights, photo, capsys, change, sentence):
    mask = photo.parent / "mask.png"
    save_image(mask, change(load_image(mask)))
    assert run(weights, photo, "--mask", str(mask)) == 2
    error = capsys.readouterr().err
    assert sentence in error and len(error.splitlines()) == 1


def test_a_large_mask_can_be_meant(weights, photo):
    mask = photo.parent / "mask.png"
    save_image(mask, 255 - load_image(mask))
    assert run(weights, photo, "--mask", str(mask), "--large-mask") == 0


def test_grey_values_in_a_mask_are_told(photo):
    mask = load_image(photo.parent / "mask.png").copy()
    mask[0, :2] = 127, 128
    save_image(photo.parent / "grey.png", mask)
    sentences = []
    told = f"{photo.parent / 'grey.png'} has 2 grey pixels; 128 and above count as real"
    valid = masks.file_mask(photo.parent / "grey.png", grow_px=0, report=sentences.append)
    assert not valid[0, 0] and valid[0, 1]
    assert not masks.file_mask(photo.parent / "grey.png", report=sentences.append)[0, 1]
    further = ", and damage reaches 1 px further (--grow-mask)"
    assert sentences == [told, told + further]


def test_masks_grow_where_they_are_antialiased(tmp_path):
    """Text drawn with soft edges: its half-covered pixels count as damaged too."""
    hard = np.full((17, 19), 255, np.uint8)
    hard[6:9, 5:12] = 0
    soft = hard.copy()
    soft[5, 5:12] = soft[9, 5:12] = 200  # by themselves real
    save_image(tmp_path / "hard.png", hard)
    save_image(tmp_path / "soft.png", soft)
    silent = {"report": lambda sentence: None}
    valid = masks.file_mask(tmp_path / "soft.png", **silent)
    assert not valid[5:10, 4:13].any() and valid.sum() == 17 * 19 - 5 * 9
    np.testing.assert_array_equal(masks.file_mask(tmp_path / "hard.png"), hard > 0)
    kept = masks.file_mask(tmp_path / "soft.png", grow_px=0, **silent)
    np.testing.assert_array_equal(kept, hard > 0)
    wide = masks.file_mask(tmp_path / "hard.png", grow_px=3)
    assert wide.sum() == 17 * 19 - 9 * 13
    with pytest.raises(ValueError, match="grows by 0 px or more, got -1"):
        masks.grown(hard > 0, -1)


def test_masks_grow_by_the_option(weights, photo):
    before = load_image(photo)
    assert run(weights, photo, "--mask-colour", "#ffffff", "--grow-mask", "2") == 0
    changed = (load_image(photo.parent / "out.png") != before).any(axis=2)
    assert changed[5:12, 2:17].mean() > 0.9 and changed.sum() == changed[5:12, 2:17].sum()


def test_a_hole_deeper_than_scratches_is_told(weights, tmp_path, capsys):
    pixels = np.random.default_rng(1).integers(0, 200, (64, 64, 3), dtype=np.uint8)
    mask = np.full((64, 64), 255, np.uint8)
    mask[10:50, 10:50] = 0
    save_image(tmp_path / "photo.png", pixels)
    save_image(tmp_path / "mask.png", mask)
    assert run(weights, tmp_path / "photo.png", "--mask", str(tmp_path / "mask.png")) == 0
    error = capsys.readouterr().err
    assert f"{tmp_path}/photo.png: a hole is 20 px deep" in error and error.count("\n") == 1
    mask[18:] = 255
    save_image(tmp_path / "mask.png", mask)
    assert run(weights, tmp_path / "photo.png", "--mask", str(tmp_path / "mask.png")) == 0
    assert capsys.readouterr().err == ""


def test_mask_colours_have_a_tolerance():
    image = np.array([[[250, 3, 0], [255, 0, 0]]], np.uint8)
    assert masks.colour_mask(image, "#ff0000").tolist() == [[True, False]]
    assert masks.colour_mask(image, "#ff0000", 5).tolist() == [[False, False]]
    assert masks.colour_mask(image.astype(np.uint16) * 257, "#ff0000").tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ([], {}, "inpaint needs a mask: give --mask or --mask-colour"),
        (["--mask-colour", "white"], {}, "must be written #rrggbb, got 'white'"),
        (["--mask-colour", "#010203"], {}, "marks no pixel as damaged"),
        (["--mask", "alpha"], {}, "has no alpha channel"),
        (["--mask-colour", "#ffffff"], {"network": "plain"}, "is a network without masks"),
        (["--mask-colour", "#ffffff"], {"task": "denoise"}, "belongs to --task inpaint"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(
    weights, photo, capsys, arguments, options, sentence
):
    assert run(weights, photo, *arguments, **options) == 2
    error = capsys.readouterr().err
    assert sentence in error and len(error.splitlines()) == 1


def test_an_unknown_task_lists_the_tasks(weights, photo, capsys):
    with pytest.raises(SystemExit) as stop:
        run(weights, photo, task="sharpen")
    assert stop.value.code == 2
    assert "denoise" in capsys.readouterr().err
