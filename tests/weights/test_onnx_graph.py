"""ONNX graphs in TensorFlow: the same numbers as onnxruntime, slopes, and what is refused."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from weights.onnx_graph import OnnxGraph, text_recogniser


@pytest.fixture
def lines():
    small = np.random.default_rng(3).uniform(-1, 1, (2, 12, 28, 3)).astype(np.float32)
    return tf.image.resize(small, (48, 112))


def test_reads_as_onnxruntime_does(lines):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    pytest.importorskip("rapidocr_onnxruntime")
    read = text_recogniser()
    logits = tf.function(read)(lines)
    session = runtime.InferenceSession(read.path)
    (probabilities,) = session.run(None, {"x": lines.numpy().transpose(0, 3, 1, 2)})
    assert probabilities.shape == (2, 14, 6625)
    np.testing.assert_allclose(tf.nn.softmax(logits), probabilities, atol=1e-4)
    np.testing.assert_allclose(OnnxGraph(read.path)(lines), probabilities, atol=1e-4)
    with tf.GradientTape() as tape:
        tape.watch(lines)
        sure = tf.reduce_mean(tf.reduce_logsumexp(read(lines), axis=2))
    slope = tape.gradient(sure, lines)
    step = 2e-3 * slope / tf.norm(slope)
    above, below = (
        tf.reduce_mean(tf.reduce_logsumexp(read(lines + s), axis=2)) for s in (step, -step)
    )
    assert float((above - below) / 4e-3) == pytest.approx(float(tf.norm(slope)), rel=0.05)


def test_refuses_operations_that_it_does_not_know(tmp_path):
    onnx = pytest.importorskip("onnx")
    kind = onnx.TensorProto.FLOAT
    ends = [onnx.helper.make_tensor_value_info(name, kind, [1, 3, 5, 7]) for name in "xy"]
    node = onnx.helper.make_node("Erf", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "one", ends[:1], ends[1:])
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "a.onnx"))
    with pytest.raises(ValueError, match="a.onnx has operations that are not known: Erf"):
        OnnxGraph(tmp_path / "a.onnx")


def test_a_missing_package_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(ImportError, match=r"pip install 'whole-pictures\[text\]'"):
        OnnxGraph(tmp_path / "a.onnx")
