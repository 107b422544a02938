"""Exported networks are checked against Keras before they are kept."""

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf
from skimage import data

import infer.tflite
from infer.__main__ import main
from infer.export import FORMATS, LARGEST_DIFFERENCE, export
from model.edsr import edsr
from model.layers import fold_weight_norm
from model.preupsample import vdsr
from model.restormer import restormer
from model.srgan import discriminator
from model.wdsr import wdsr_b
from weights import load_model

HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "tf2onnx", "onnxruntime"))


def test_savedmodel(tmp_path):
    model = fold_weight_norm(wdsr_b(3, 4, num_res_blocks=1))
    assert export(model, tmp_path / "net", "savedmodel") < 0.01
    lr = np.random.default_rng(0).uniform(0, 255, (2, 7, 11, 3)).astype(np.float32)
    loaded = tf.saved_model.load(str(tmp_path / "net"))
    np.testing.assert_allclose(loaded.serve(lr), model(lr), atol=0.01)
    assert export(model, tmp_path / "net", "savedmodel") < 0.01, "its own result is replaced"
    assert [f.name for f in tmp_path.iterdir()] == ["net"]


def test_tflite(tmp_path):
    model = edsr(2, 4, 1)
    assert export(model, tmp_path / "net.tflite", "tflite") < 0.01
    run = infer.tflite.run(tmp_path / "net.tflite")
    lr = np.random.default_rng(0).uniform(0, 255, (1, 13, 9, 3)).astype(np.float32)
    np.testing.assert_allclose(run(lr), model(lr), atol=0.01)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # Keras asks numpy for np.object
def test_onnx(tmp_path):
    model = edsr(2, 4, 1)
    if HAS_ONNX:
        assert export(model, tmp_path / "net.onnx", "onnx") < 0.01
    else:
        with pytest.raises(ImportError, match=r"pip install 'whole-pictures\[onnx\]'"):
            export(model, tmp_path / "net.onnx", "onnx")
        assert list(tmp_path.iterdir()) == []


def _small_restormer(**arguments):
    return restormer(dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, **arguments)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # Keras asks numpy for np.object
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "arguments",
    [{}, {"unshuffle": 2, "mask_aware": True, "mask_embedding": True}],
    ids=["plain", "mask-aware"],
)
def test_restormers_of_any_size(tmp_path, kind, arguments):
    """Checked on 24×32 and 37×19 px, the latter no multiple of anything."""
    if kind == "onnx" and not HAS_ONNX:
        pytest.skip("needs the extra onnx")
    assert export(_small_restormer(**arguments), tmp_path / "net", kind) < 0.01


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "name", ["edsr-16-x4", "wdsr-b-32-x4", "restormer-small-denoise", "restormer-small-inpaint"]
)
def test_a_bundled_network_of_each_family(tmp_path, name, kind):
    if kind == "onnx" and name.startswith("restormer"):
        pytest.skip("tf2onnx takes over ten minutes; small ones are tested above")
    if kind == "onnx" and not HAS_ONNX:
        pytest.skip("needs the extra onnx")
    assert export(load_model(name), tmp_path / "net", kind) < LARGEST_DIFFERENCE["float32"]


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_a_mask_aware_network_in_tflite(tmp_path):
    """Two inputs by name; what lies under the mask changes nothing."""
    model = _small_restormer(mask_aware=True)
    assert export(model, tmp_path / "net.tflite", "tflite") < 0.01
    interpreter = tf.lite.Interpreter(str(tmp_path / "net.tflite"))
    names = [entry["name"] for entry in interpreter.get_input_details()]
    assert len(names) == 2 and any("valid_mask" in name for name in names)
    run = infer.tflite.run(tmp_path / "net.tflite")
    pictures = np.random.default_rng(0).uniform(0, 255, (1, 13, 9, 3)).astype(np.float32)
    mask = np.ones((1, 13, 9, 1), np.float32)
    mask[:, 4:6, 3:7] = 0
    output = run(pictures, mask)
    pictures[:, 4:6, 3:7] = 99
    np.testing.assert_allclose(run(pictures, mask), output, atol=0.01)


def test_tflite_in_half_precision_and_in_whole_numbers(tmp_path):
    keras.utils.set_random_seed(1)
    model = edsr(2, 16, 4)
    photo = [data.astronaut()[60:156, 180:276].astype(np.float32)]
    sizes = {}
    kinds = [("float32", ()), ("float16", ()), ("int8", ()), ("int8", photo)]
    for precision, calibration in kinds:
        file = tmp_path / f"{precision}.tflite"
        options = {"precision": precision, "calibration": calibration}
        assert export(model, file, "tflite", **options) <= LARGEST_DIFFERENCE[precision]
        sizes[precision] = file.stat().st_size
    assert sizes["float16"] < 0.65 * sizes["float32"] and sizes["int8"] < 0.5 * sizes["float32"]


@pytest.mark.parametrize("kind", ["savedmodel", "tflite"])
def test_range_and_layout(tmp_path, kind):
    """Programs that come from PyTorch feed 0..1, channels first."""
    model = edsr(2, 4, 1)
    lr = np.random.default_rng(0).uniform(0, 255, (1, 7, 11, 3)).astype(np.float32)
    assert export(model, tmp_path / "net", kind, value_range=1, layout="nchw") < 0.01
    fed = (lr / 255).transpose(0, 3, 1, 2)
    if kind == "tflite":
        found = infer.tflite.run(tmp_path / "net")(fed)
    else:
        loaded = tf.saved_model.load(str(tmp_path / "net"))
        found = loaded.serve(fed).numpy()
    np.testing.assert_allclose(255 * found.transpose(0, 2, 3, 1), model(lr), atol=0.01)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # Keras asks numpy for np.object
def test_an_onnx_file_has_the_shapes_that_chainner_asks_for(tmp_path):
    """Channels first, their number fixed at 3, height and width free, one input, one output."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    export(edsr(2, 4, 1), tmp_path / "net.onnx", "onnx", value_range=1, layout="nchw")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    for entry in (taken, given):
        assert len(entry.shape) == 4 and entry.shape[1] == 3 and entry.type == "tensor(float)"
        assert not any(isinstance(side, int) for side in entry.shape[2:])
    output = session.run(None, {taken.name: np.full((1, 3, 5, 9), 0.5, np.float32)})[0]
    assert output.shape == (1, 3, 10, 18)


def test_options_that_do_not_fit_are_refused(tmp_path):
    model, out, lr = edsr(2, 4, 1), tmp_path / "net", np.zeros((8, 8, 3), np.float32)
    for kind, options, sentence in (
        ("tflite", {"precision": "int4"}, "precision must be float32, float16, int8, got int4"),
        (
            "tflite",
            {"calibration": [lr]},
            "belong to precision int8, not to float32",
        ),
        ("onnx", {"precision": "float16"}, "precision float16 is for tflite, not for onnx"),
        ("onnx", {"value_range": 2}, "value_range must be 255, 1, got 2"),
    ):
        with pytest.raises(ValueError, match=sentence):
            export(model, out, kind, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_differs_is_not_kept(tmp_path, monkeypatch):
    other = edsr(2, 4, 1)
    monkeypatch.setattr(infer.tflite, "run", lambda path: lambda picture: other(picture).numpy())
    with pytest.raises(ArithmeticError, match="differs from Keras by .* grey levels; not kept"):
        export(edsr(2, 4, 1), tmp_path / "net.tflite", "tflite")
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path, capsys):
    weights = tmp_path / "edsr.weights.h5"
    edsr(2, 4, 1).save_weights(weights)
    arguments = ["export", str(weights), "--format", "savedmodel", "-o"]
    assert main([*arguments, str(tmp_path / "net")]) == 0
    assert "largest difference from Keras" in capsys.readouterr().out
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("precious")
    assert main([*arguments, str(tmp_path / "net")]) == 2
    assert "net is there already; give another name, or --overwrite" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "folder"), "--overwrite"]) == 2
    assert "is a folder and no exported network" in capsys.readouterr().err
    assert (tmp_path / "folder" / "mine").exists()


@pytest.mark.parametrize(
    ("kind", "build", "sentence"),
    [
        ("html", lambda: vdsr(2, 4, 2), "cannot run in a page: TensorFlow.js has no"),
        ("html", lambda: discriminator(2), "needs a network from RGB to RGB pictures"),
        ("tflite", lambda: discriminator(2), "expected shape=(None, 96, 96, 3)"),
        ("tflite", None, "is no weight file"),
    ],
)
def test_what_cannot_be_exported_is_one_line(tmp_path, capsys, kind, build, sentence):
    weights, out = tmp_path / "net.weights.h5", tmp_path / "out"
    weights.write_bytes(b"no network")
    if build:
        build().save_weights(weights)
    assert main(["export", str(weights), "--format", kind, "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == [weights]
