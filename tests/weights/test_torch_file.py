"""PyTorch, safetensors and NumPy files: both pickle layouts, all types, and everything refused."""

import json
import os
import subprocess
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tests import torch_writer as tw
from weights import torch_file
from weights.tensor_file import read_tensors

NAME = "rrdbnet-x4-nf16-nb2-gc8"


@pytest.fixture(autouse=True)
def _seeded():
    """Instead of conftest's: nothing here needs Keras, whose reset takes half a second."""


def same_tensors(a, b, atol=0):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name].astype("f4"), b[name].astype("f4"), rtol=0, atol=atol)


@pytest.mark.parametrize(("variant", "atol"), [("-legacy", 0), ("-module-half", 1e-3)])
def test_all_layouts_hold_the_same_tensors(golden, variant, atol):
    expected = read_tensors(golden / "torch" / f"{NAME}.pth")
    found = read_tensors(golden / "torch" / f"{NAME}{variant}.pth")
    assert len(expected) == 72
    assert expected["conv_first.weight"].shape == (16, 3, 3, 3)
    same_tensors(found, expected, atol)


def test_strides_and_shared_storages(golden, shared):
    expected = read_tensors(golden / "torch" / f"{NAME}.pth")
    same_tensors(read_tensors(shared / "reference" / "torch" / f"{NAME}-strided.pth"), expected)


def test_a_transposed_view_with_an_offset(tmp_path):
    flat = np.arange(40, dtype="<f4")
    view = tw.tensor("0", "f4", 40, (5, 7), strides=(1, 5), offset=3)
    found = read_tensors(tw.write_zip(tmp_path / "a.pth", tw.mapping(a=view), {"0": flat}))
    np.testing.assert_array_equal(found["a"], flat[3:38].reshape(7, 5).T)


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "bf16", "i8"])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("little_endian", [True, False])
def test_types_and_byte_orders(tmp_path, dtype, legacy, little_endian):
    values = np.array([[-3.0, 0.5, 2.0], [1.0, -0.25, 96.0]])
    order = "<" if little_endian else ">"
    if dtype == "bf16":
        data = (values.astype("f4").view("u4") >> 16).astype(order + "u2").tobytes()
    else:
        values = values.astype(dtype)
        data = values.astype(order + dtype).tobytes()
    opcodes = tw.mapping(a=tw.tensor("7", dtype, 6, (2, 3), legacy=legacy))
    if legacy:
        path = tw.write_legacy(tmp_path / "a.pth", opcodes, {"7": (6, data)}, little_endian)
    else:
        name = b"little" if little_endian else b"big"
        path = tw.write_zip(tmp_path / "a.pth", opcodes, {"7": data}, name)
    found = read_tensors(path)["a"]
    np.testing.assert_array_equal(found, values)
    assert found.dtype == ("f4" if dtype == "bf16" else dtype)
    assert found.dtype.isnative


def test_the_averaged_network_is_taken_and_module_removed(tmp_path):
    plain, ema = (tw.mapping(**{"module.a": tw.tensor(k, "f4", 1, (1,))}) for k in "01")
    opcodes = tw.mapping(params=plain, epoch=tw.number(3), params_ema=ema)
    data = {"0": np.float32(1).tobytes(), "1": np.float32(2).tobytes()}
    path = tw.write_zip(tmp_path / "a.pth", tw.mapping(model=opcodes), data)
    assert read_tensors(path) == {"a": np.float32(2)}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda t: tw.mapping(generator=t),
        lambda t: tw.mapping(net_g=t, epoch=tw.number(3)),
        lambda t: tw.mapping(g_ema=t, g=tw.mapping(a=tw.tensor("1", "f4", 1, (1,)))),
        lambda t: tw.mapping(state=tw.mapping(any=t), optimizer=tw.mapping(a=t)),
        lambda t: b"](" + tw.number(7) + t + b"e",
        lambda t: tw.number(7) + t + b"\x86",
    ],
)
def test_the_only_network_is_unwrapped(tmp_path, wrapped):
    opcodes = wrapped(tw.mapping(a=tw.tensor("0", "f4", 1, (1,))))
    data = {"0": np.float32(2).tobytes(), "1": np.float32(1).tobytes()}
    assert read_tensors(tw.write_zip(tmp_path / "a.pth", opcodes, data)) == {"a": np.float32(2)}


def test_two_networks_are_named(tmp_path):
    tensors = tw.mapping(a=tw.tensor("0", "f4", 1, (1,)))
    again = tw.mapping(a=tw.tensor("0", "f4", 1, (1,)))
    opcodes = tw.mapping(teacher=tensors, student=again)
    path = tw.write_zip(tmp_path / "a.pth", opcodes, {"0": bytes(4)})
    with pytest.raises(ValueError, match=r"holds several networks \(teacher, student\)"):
        read_tensors(path)


def test_a_view_of_a_storage_in_the_old_format(tmp_path):
    """The oldest files name a part of a storage: (key, first, count)."""
    storage = b"(" + tw.text("storage") + b"ctorch\nFloatStorage\n" + tw.text("5") + tw.text("cpu")
    view = b"(" + tw.text("9") + tw.number(2) + tw.number(3) + b"t"
    rebuild = b"ctorch._utils\n_rebuild_tensor\n("
    rebuild += storage + tw.number(5) + view + b"tQ" + tw.number(0) + tw.numbers([3])
    opcodes = tw.mapping(a=rebuild + tw.numbers([1]) + b"tR")
    data = np.arange(5, dtype="<f4").tobytes()
    path = tw.write_legacy(tmp_path / "a.pth", opcodes, {"5": (5, data)})
    np.testing.assert_array_equal(read_tensors(path)["a"], [2, 3, 4])


def test_safetensors_and_npz(tmp_path):
    tensors = {"module.a": np.arange(6, dtype="f4").reshape(2, 3), "module.b": np.float16([1, 2])}
    save_file(tensors, tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", **tensors)
    for name in ("a.safetensors", "a.npz"):
        same_tensors(
            read_tensors(tmp_path / name), {"a": tensors["module.a"], "b": tensors["module.b"]}
        )


def test_bfloat16_safetensors(tmp_path):
    values = np.array([1.5, -2.0, 96.0], "f4")
    data = (values.view("u4") >> 16).astype("<u2").tobytes()
    header = json.dumps({"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    np.testing.assert_array_equal(read_tensors(tmp_path / "a.safetensors")["a"], values)


@pytest.mark.parametrize("name", ["malicious-zip.pth", "malicious-legacy.pth"])
def test_a_command_is_refused_by_name_and_not_run(golden, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"refused: its pickle names posix\.system"):
        read_tensors(golden / "torch" / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", [b"cos\nsystem\n", b"\x8c\x02os\x8c\x06system\x93"])
def test_commands_by_either_opcode_are_not_run(tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", lambda command: pytest.fail(f"ran {command}"))
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("ran a command"))
    opcodes = tw.mapping(a=how + b"(" + tw.text("touch here") + b"tR")
    for path in (
        tw.write_zip(tmp_path / "zip.pth", opcodes),
        tw.write_legacy(tmp_path / "legacy.pth", opcodes),
    ):
        with pytest.raises(ValueError, match=r"names os\.system"):
            read_tensors(path)


def test_a_whole_module_is_refused(tmp_path):
    opcodes = b"(" + tw.text("module") + tw.text("RRDBNet") + tw.text("source") + tw.text("") * 2
    with pytest.raises(ValueError, match="its pickle holds a module: only tensors can be read"):
        read_tensors(tw.write_legacy(tmp_path / "a.pth", tw.mapping(a=opcodes + b"tQ")))


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((5,), (1,), 0), ((4,), (2,), 0), ((1,), (1,), 4), ((2, 2), (-1, 1), 1), ((2,), (1,), -1)],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, shape, strides, offset):
    view = tw.tensor("0", "f4", 4, shape, strides, offset)
    path = tw.write_zip(tmp_path / "a.pth", tw.mapping(a=view), {"0": bytes(16)})
    with pytest.raises(ValueError, match="reaches beyond its storage"):
        read_tensors(path)


def test_a_tensor_of_repeated_numbers_may_not_fill_the_memory(tmp_path):
    bomb = tw.tensor("0", "f4", 1, (10**6, 10**6), strides=(0, 0))
    path = tw.write_zip(tmp_path / "a.pth", tw.mapping(a=bomb), {"0": bytes(4)})
    with pytest.raises(ValueError, match=r"refused: its \d+ bytes would unpack to 4000000000000"):
        read_tensors(path)


def test_a_compressed_storage_may_not_fill_the_memory(tmp_path):
    opcodes = tw.mapping(a=tw.tensor("0", "f4", 2**22, (2**22,)))
    path = tw.write_zip(
        tmp_path / "a.pth", opcodes, {"0": bytes(2**24)}, compression=zipfile.ZIP_DEFLATED
    )
    assert path.stat().st_size < 2**20
    with pytest.raises(ValueError, match="would unpack to 16777"):
        read_tensors(path)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(2**22, "f4"))
    with pytest.raises(ValueError, match="would unpack to"):
        read_tensors(tmp_path / "a.npz")


@pytest.mark.parametrize("write", [tw.write_zip, tw.write_legacy])
def test_a_large_pickle_is_refused(tmp_path, monkeypatch, write):
    monkeypatch.setattr(torch_file, "MAX_PICKLE_BYTES", 1000)
    with pytest.raises(ValueError, match="more than the 1000 allowed"):
        read_tensors(write(tmp_path / "a.pth", tw.mapping(a=tw.text("long" * 1000))))


@pytest.mark.parametrize("write", [tw.write_zip, tw.write_legacy])
def test_a_pickle_that_numbers_objects_into_the_billions_takes_no_room(tmp_path, write):
    opcodes = tw.mapping(a=b"Nr" + (2**31 - 1).to_bytes(4, "little"))
    with pytest.raises(ValueError, match="holds no tensors by name"):
        read_tensors(write(tmp_path / "a.pth", opcodes))


@pytest.mark.parametrize("name", [f"{NAME}.pth", f"{NAME}-legacy.pth"])
@pytest.mark.parametrize("kept", [0.001, 0.3, 0.99])
def test_truncated_files_are_said_to_be(golden, tmp_path, name, kept):
    data = (golden / "torch" / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match="is truncated or damaged"):
        read_tensors(path)


def test_a_damaged_storage_is_found(golden, tmp_path):
    path = tmp_path / "a.pth"
    data = bytearray((golden / "torch" / f"{NAME}.pth").read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged: Bad CRC-32"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html><title>404</title>", "is a web page, not a weight file"),
        (b"\n <html>Virus scan warning", "is a web page, not a weight file"),
        (b"", "is no weight file"),
        (b"GIF89a", "is no weight file"),
        (tw.pickled(tw.mapping(a=tw.text("b"))), "a pickle, but not one of PyTorch's"),
    ],
)
def test_what_is_no_weight_file(tmp_path, content, message):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_tensors(tmp_path / "a.pth")


def test_files_without_tensors(tmp_path):
    for content in (tw.mapping(a=tw.number(1)), tw.number(1), b"]"):
        with pytest.raises(ValueError, match="holds no tensors by name"):
            read_tensors(tw.write_zip(tmp_path / "a.pth", content))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(ValueError, match=r"zip archive without PyTorch's data\.pkl"):
        read_tensors(tmp_path / "other.zip")
    np.savez(tmp_path / "a.npz", a=np.array([None]))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_tensors(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError, match="no weight file at"):
        read_tensors(tmp_path / "nothing.pth")


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoilt")
    opcodes = tw.mapping(a=tw.tensor("0", "f4", 3, (3,), legacy=True))
    legacy = tw.write_legacy(folder / "a.pth", opcodes, {"0": (3, bytes(12))}).read_bytes()
    header = b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}'
    tensors = len(header).to_bytes(8, "little") + header + bytes(12)
    return folder / "spoilt.pth", (legacy, tensors)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1), st.integers(0, 10**6), st.integers(0, 255), st.booleans())
def test_any_spoilt_byte_is_read_or_refused(spoilt, which, place, byte, cut):
    """Never another exception than the one with a sentence."""
    path, contents = spoilt
    data = bytearray(contents[which])
    place %= len(data)
    data[place] = byte
    path.write_bytes(data[:place] if cut else data)
    try:
        tensors = read_tensors(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert sum(array.size for array in tensors.values()) <= len(data)
