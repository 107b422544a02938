"""Networks of one's own, and the formats of our files."""

import importlib.metadata
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from infer.__main__ import main
from model import weight_file
from model.common import SRModel, builder
from model.edsr import edsr
from model.lpips import lpips
from model.restormer import restormer
from model.wdsr import wdsr_b
from weights import builders, load_model, register
from weights.convert import convert


def mine(scale, num_filters=5, name: str = "mine"):
    pictures = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(num_filters, 3, padding="same")(pictures)
    x = keras.layers.UpSampling2D(scale)(keras.layers.Conv2D(3, 3, padding="same")(x))
    return SRModel(pictures, x, name=name)


@pytest.mark.parametrize("ending", [".h5", ".safetensors"])
def test_a_registered_network_loads_and_runs_in_commands(tmp_path, ending, capfd):
    path = tmp_path / f"a{ending}"
    model = register(mine)(2, num_filters=7)
    model.save_weights(path)
    again = load_model(path)
    assert again.built_by.arguments == {"scale": 2, "num_filters": 7, "name": "mine"}
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    Image.fromarray(np.zeros((5, 7, 3), "u1")).save(tmp_path / "in.png")
    arguments = ["upscale", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png")]
    assert main([*arguments, "--model", str(path)]) == 0, capfd.readouterr().err
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (14, 10)


def test_registering(tmp_path):
    decorated = register(builder(mine))
    assert register(decorated) is decorated
    decorated(2).save_weights(tmp_path / "a.h5")
    weight_file.write_note(tmp_path / "a.h5", {"builder": "theirs"})
    with pytest.raises(ValueError, match=r"network named 'theirs', .* known are edsr, .*, mine"):
        load_model(tmp_path / "a.h5")

    def edsr(scale):
        return mine(scale)

    with pytest.raises(ValueError, match="there is a network named edsr already"):
        register(edsr)


def test_a_network_of_an_installed_package(tmp_path, monkeypatch):
    builder(mine)(2).save_weights(tmp_path / "a.h5")

    class Entry:
        load = staticmethod(lambda: mine)

    known = {("whole_pictures.builders", "mine"): [Entry]}
    monkeypatch.setattr(builders, "entry_points", lambda group, name: known.get((group, name), []))
    assert importlib.metadata.entry_points(group="whole_pictures.builders", name="mine") == ()
    assert load_model(tmp_path / "a.h5").built_by.name == "mine"


# --- safetensors -------------------------------------------------------------------------------


def test_safetensors_holds_the_same_and_the_note(tmp_path):
    model = wdsr_b(3, num_filters=5, num_res_blocks=1)
    path = tmp_path / "new" / "a.safetensors"
    model.save_weights(path)
    with safe_open(path, "np") as file:
        assert '"builder": "wdsr_b"' in file.metadata()["sr"]
        assert len(file.keys()) == len(model.weights)
    for again in (load_model(path), wdsr_b(3, num_filters=5, num_res_blocks=1)):
        again.load_weights(path)
        for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    weight_file.write_note(path, {"licence": "mine"})
    assert weight_file.read_note(path)["licence"] == "mine"
    assert load_model(path).built_by == model.built_by
    with pytest.raises(ValueError, match="another network"):
        edsr(2, num_filters=4, num_res_blocks=1).load_weights(path)
    half = tmp_path / "half.safetensors"
    model.save_weights(half, half=True)
    assert half.stat().st_size < 0.7 * path.stat().st_size
    np.testing.assert_allclose(load_model(half).get_weights()[0], model.get_weights()[0], 0.0045)


def test_our_files_are_converted_to_safetensors_and_back(tmp_path, capfd):
    model = edsr(2, num_filters=4, num_res_blocks=1)
    model.save_weights(tmp_path / "a.h5", half=True)
    weight_file.write_note(tmp_path / "a.h5", {"licence": "CC0", "scores": {"Set5": {}}})
    files = [str(tmp_path / name) for name in ("a.h5", "b.safetensors", "c.h5")]
    assert main(["convert", *files[:2]]) == 0
    assert main(["convert", *files[1:]]) == 0
    assert "a random picture comes out the same" in capfd.readouterr().out
    for file in files[1:]:
        note = weight_file.read_note(file)
        assert note["licence"] == "CC0" and "Set5" in note["scores"]
        assert note["builder"] == "edsr" and note["parameters"] == model.count_params()
        assert {t.dtype.name for t in weight_file.read(file).tensors.values()} == {"float16"}


def test_a_note_is_added_to_a_file_of_another_process(tmp_path):
    """Its HDF5 is not opened here, but written anew; Keras reads it too."""
    model = wdsr_b(2, num_filters=4, num_res_blocks=1)
    model.save_weights(tmp_path / "a.h5")
    data = bytearray((tmp_path / "a.h5").read_bytes())
    (tmp_path / "b.weights.h5").write_bytes(data + b"\0")  # another content than what was written
    weight_file.write_note(tmp_path / "b.weights.h5", {"licence": "mine"})
    assert weight_file.read_note(tmp_path / "b.weights.h5")["licence"] == "mine"
    other = wdsr_b(2, num_filters=4, num_res_blocks=1)
    keras.Model.load_weights(other, tmp_path / "b.weights.h5")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


def test_a_note_is_not_added_to_files_from_elsewhere(golden):
    with pytest.raises(ValueError, match="is not a file of this library: convert it first"):
        weight_file.write_note(golden / "krasserm" / "edsr-x2.h5", {"licence": "mine"})


# --- .keras ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda: restormer(dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, mask_aware=True),
        lambda: lpips("squeeze"),
        lambda: wdsr_b(2, num_filters=4, num_res_blocks=1),
    ],
)
def test_keras_archives_load(tmp_path, build):
    model = build()
    model.save(tmp_path / "a.keras")
    again = load_model(tmp_path / "a.keras")
    assert again.built_by.name == model.built_by.name
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_keras_archives_of_other_networks(tmp_path):
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match=r"does not say which network .* keras.models.load_model"):
        load_model(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="source itself"):
        convert(tmp_path / "a.keras", tmp_path / "a.keras")


KERAS_FILES = """
import sys
import keras, model
for path in sys.argv[1:]:
    print(type(keras.models.load_model(path)).__name__)
"""


@pytest.mark.slow
def test_keras_loads_its_archives_after_import_model(tmp_path):
    restormer(dim=8, num_blocks=(1, 1, 1, 1), mask_aware=True).save(tmp_path / "r.keras")
    lpips("squeeze").save(tmp_path / "l.keras")
    files = [str(tmp_path / name) for name in ("r.keras", "l.keras")]
    done = subprocess.run(
        [sys.executable, "-c", KERAS_FILES, *files], capture_output=True, text=True
    )
    assert done.stdout.split() == ["SRModel", "SRModel"], done.stderr


def test_networks_that_draw_random_numbers_load(tmp_path, monkeypatch):
    """A seed is a variable that no file holds."""
    monkeypatch.setattr(builders, "BUILDERS", dict(builders.BUILDERS))

    @register
    def dropping(width=3):
        pictures = keras.Input((None, None, 3))
        features = keras.layers.Conv2D(width, 3, padding="same")(pictures)
        return SRModel(pictures, keras.layers.Dropout(0.5)(features))

    model = dropping()
    model.save_weights(tmp_path / "x.weights.h5")
    again = load_model(tmp_path / "x.weights.h5")
    lr = np.ones((1, 5, 7, 3), "float32")
    np.testing.assert_array_equal(again(lr), model(lr))
    assert (again(lr, training=True).numpy() == 0).any()
