"""The first look: what kind a picture is, which network it gets, and restoring before enlarging."""

import numpy as np
import pytest
import skimage.data
from PIL import Image

from data.degrade import compress, gaussian_noise, imresize, to_uint8
from data.pictures.read import load_image
from infer.__main__ import main
from infer.chain import Chain
from infer.first_look import FIRST, NETWORKS, choose, encoder_of, look, look_at, noise
from infer.upscaler import Upscaler, upscale
from model.edsr import edsr
from model.restormer import restormer
from weights.load import manifest

NAMES = ("astronaut", "chelsea", "coffee")
PICTURES = {name: getattr(skimage.data, name)()[:400, :480] for name in NAMES}
"""Rocket is left out: it was a JPEG once, and is found to be."""


@pytest.mark.parametrize("name", NAMES)
def test_clean_pictures_look_clean(name):
    whole = PICTURES[name]
    for picture in (whole, imresize(whole, 0.5), whole[..., 1], np.dstack([whole, whole[..., :1]])):
        assert look(picture).kind == "clean"
    assert look(whole.astype(np.uint16) * 257).kind == "clean"
    assert look(whole.astype(np.float32)).kind == "clean"


@pytest.mark.parametrize("quality", [40, 60, 75])
@pytest.mark.parametrize("name", NAMES)
def test_blocks_are_seen_without_the_file(name, quality):
    found = look(compress(PICTURES[name], quality, offset=(3, 5)))
    assert found.kind == "lossy" and str(found) == "traces of a lossy file"


@pytest.mark.parametrize("quality", [40, 75, 90, 95, 97, 100])
def test_a_jpeg_tells_its_quality(tmp_path, quality):
    Image.fromarray(PICTURES["coffee"]).save(tmp_path / "a.jpg", quality=quality)
    found = look_at(tmp_path / "a.jpg")
    assert found.quality == pytest.approx(quality, abs=1)
    assert found.kind == ("lossy" if quality < 96 else "clean")
    assert quality >= 96 or str(found) == f"JPEG of quality {found.quality}"


@pytest.mark.parametrize("sigma", [8, 25])
@pytest.mark.parametrize("name", NAMES)
def test_noise_is_measured(name, sigma):
    noisy = to_uint8(gaussian_noise(PICTURES[name], sigma, np.random.default_rng(1)))
    assert look(noisy).noise == pytest.approx(sigma, rel=0.15)
    assert look(noisy).kind == "noisy" and f"noise of about {sigma:.0f}"[:-1] in str(look(noisy))


def test_pictures_of_nothing_have_no_kind():
    for shape in ((1, 1, 3), (7, 90), (24, 24, 3), (8, 8, 4)):
        assert look(np.full(shape, 255, np.uint8)).kind == "clean"
    assert noise(np.zeros((64, 64), np.float32)) == 0


def test_formats(tmp_path):
    picture = Image.fromarray(PICTURES["chelsea"])
    for name, options, lossy in (
        ("a.png", {}, False),
        ("a.webp", {"lossless": True}, False),
        ("b.webp", {"quality": 60}, True),
        ("a.jpg", {}, True),
        ("a.tif", {}, False),
    ):
        picture.save(tmp_path / name, **options)
        assert encoder_of(tmp_path / name)[0] is lossy
    (tmp_path / "b.png").write_bytes(b"nothing")
    assert encoder_of(tmp_path / "b.png") == (False, None)


def test_the_first_bundled_network_is_chosen():
    everything = {name for kinds in NETWORKS.values() for names in kinds.values() for name in names}
    assert choose("upscale", "lossy", everything) == "wdsr-b-32-x4-photo"
    assert choose("upscale", "clean", everything) == "wdsr-b-32-x4"
    assert choose("upscale", "noisy", everything - {"wdsr-b-32-x4-photo"}) == "wdsr-b-32-x4"
    for command, kinds in NETWORKS.items():
        for kind in kinds:
            assert choose(command, kind, manifest()) in manifest()
    with pytest.raises(FileNotFoundError, match="wdsr-b-32-x4-photo, wdsr-b-32-x4 is bundled"):
        choose("upscale", "lossy", {})


@pytest.fixture
def loaded(monkeypatch):
    """Names of networks that commands load; all are the same small one."""
    names, network = [], edsr(2, 3, 1)

    def load(name):
        names.append(name)
        return network

    monkeypatch.setattr("infer.commands.options.load", load)
    return names


@pytest.fixture
def files(tmp_path):
    """A clean picture and a JPEG."""
    picture = Image.fromarray(PICTURES["coffee"][100:180, 100:200])
    picture.save(tmp_path / "clean.png")
    picture.save(tmp_path / "photo.jpg", quality=60)
    return [str(tmp_path / "clean.png"), str(tmp_path / "photo.jpg")]


def test_each_picture_of_a_folder_gets_its_network(loaded, files, tmp_path, capsys, monkeypatch):
    bundled = manifest() | {"wdsr-b-32-x4-photo": {"training": {"damage": "mild"}}}
    monkeypatch.setattr("weights.load.manifest", lambda: bundled)
    assert main(["upscale", *files, "-o", str(tmp_path / "out")]) == 0
    assert sorted(loaded) == ["wdsr-b-32-x4", "wdsr-b-32-x4-photo"]
    clean, photo = capsys.readouterr().err.splitlines()
    assert clean == f"wdsr-b-32-x4 for {files[0]} (no sign of JPEG or noise)"
    assert photo == f"wdsr-b-32-x4-photo for {files[1]} (JPEG of quality 60)"


def test_what_becomes_at_most_twice_as_large_gets_a_network_of_that_scale(
    loaded, files, tmp_path, monkeypatch
):
    everything = {name for kinds in NETWORKS.values() for names in kinds.values() for name in names}
    monkeypatch.setattr("weights.load.manifest", lambda: dict.fromkeys(everything, {}))
    command = ["upscale", *files, "-o", str(tmp_path / "out"), "--overwrite"]
    assert main([*command, "--scale", "2"]) == 0
    assert sorted(loaded) == ["wdsr-b-32-x2", "wdsr-b-32-x2-photo"]
    assert load_image(tmp_path / "out" / "clean.png").shape == (160, 200, 3)
    loaded.clear()
    assert main([*command, "--width", "201"]) == 0  # of 100
    assert sorted(loaded) == ["wdsr-b-32-x4", "wdsr-b-32-x4-photo"]


def test_a_network_of_clean_pictures_is_not_silent_about_a_jpeg(
    loaded, files, tmp_path, capsys, monkeypatch
):
    bundled = {"wdsr-b-32-x4": {"training": {"steps": 1}}}
    monkeypatch.setattr("weights.load.manifest", lambda: bundled)
    advice = "but it learned from clean pictures: `upscale --first jpeg` mends them before"
    for arguments in ([], ["--model", "wdsr-b-32-x4"]):
        command = ["upscale", files[1], "-o", str(tmp_path / "out.png"), "--overwrite"]
        assert main([*command, *arguments]) == 0
        line = f"wdsr-b-32-x4 for {files[1]} (JPEG of quality 60); {advice}\n"
        assert capsys.readouterr().err == line
    command = ["upscale", files[0], "-o", str(tmp_path / "out.png"), "--overwrite"]
    assert main([*command, "--model", "wdsr-b-32-x4"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("scale", [2, 4])
def test_the_network_of_the_same_scale_for_photographs_is_named(
    scale, loaded, files, tmp_path, capsys, monkeypatch
):
    name = f"wdsr-b-32-x{scale}"
    clean, photo = {"training": {"steps": 1}}, {"training": {"damage": "mild"}}
    monkeypatch.setattr("weights.load.manifest", lambda: {name: clean, f"{name}-photo": photo})
    assert main(["upscale", files[1], "-o", str(tmp_path / "out.png"), "--model", name]) == 0
    assert f"mends them before; {name}-photo learned from such ones" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_first_restores_and_then_enlarges(loaded, tmp_path, monkeypatch, mode):
    restorer = restormer(
        dim=2, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, heads=(1, 1, 1, 1)
    )
    restorer.set_weights([w + 0.01 for w in restorer.get_weights()])
    monkeypatch.setattr("weights.load.load_model", lambda name: restorer)
    Image.fromarray(PICTURES["coffee"][:41, :53]).convert(mode).save(tmp_path / "a.png")
    command = ["upscale", tmp_path / "a.png", "-o", tmp_path / "out.png", "--first", "denoise"]
    assert main([str(word) for word in command]) == 0
    expected = upscale(edsr_of(loaded), upscale(restorer, load_image(tmp_path / "a.png")))
    np.testing.assert_array_equal(load_image(tmp_path / "out.png"), expected)


def edsr_of(loaded):
    from infer.commands import options

    return options.load(loaded[0])


def test_a_chain_begins_with_a_network_of_the_same_size():
    network = Upscaler(edsr(2, 3, 1))
    with pytest.raises(ValueError, match="the first network must not enlarge, got ×2"):
        Chain(network, network)
    assert set(FIRST.values()) == {"jpeg", "denoise"}
