"""Files from elsewhere: converted, or refused with what is wrong."""

import re

import h5py
import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from infer.__main__ import main
from model import weight_file
from model.edsr import edsr
from model.wdsr import wdsr_b
from tests.conftest import RRDB, torch_error
from weights.convert import convert, is_foreign, load_foreign
from weights.load import load_model
from weights.tensor_file import read_tensors


def test_converted_files_are_ours_and_say_where_they_came_from(golden, tmp_path):
    source = golden / "torch" / "edsr-x4-nf16-nb2.pth"
    said = []
    out = convert(
        source,
        tmp_path / "new" / "edsr.weights.h5",
        arguments={"res_block_scaling": 0.1},
        origin={"licence": "Apache-2.0"},
        report=said.append,
    )
    assert not is_foreign(out)
    assert "18 tensors, 31,043 numbers; a random picture comes out the same" in said[1]
    note = weight_file.read_note(out)
    assert note["origin"] == ["edsr-x4-nf16-nb2.pth"]
    assert note["source_sha256"] == [
        "771cbdb288b313ad78b7fb17e8ab05380f0b0fa111be816251ef98b8d9ed4393"
    ]
    assert note["licence"] == "Apache-2.0"
    assert torch_error(load_model(out), golden / "torch" / "edsr-x4-nf16-nb2.npz") < 1e-4


def test_the_command_line(golden, tmp_path, capfd):
    source = tmp_path / "old.h5"
    source.write_bytes((golden / "krasserm" / "edsr-x3.h5").read_bytes())
    assert main(["convert", str(source), "--set", "res_block_scaling=0.2"]) == 0
    out = capfd.readouterr().out
    assert "EDSR, edsr(scale=3, num_filters=16, num_res_blocks=2, res_block_scaling=0.2)" in out
    note = weight_file.read_note(tmp_path / "old.weights.h5")
    assert note["arguments"]["res_block_scaling"] == 0.2
    assert note["licence"] == "not stated; that of the origin applies"


def test_two_files_at_the_command_line(golden, tmp_path, capfd):
    """Any split of a network's tensors over files will do."""
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    names = list(tensors)
    save_file({n: tensors[n] for n in names[:30]}, tmp_path / "a.safetensors")
    save_file({n: tensors[n] for n in names[30:]}, tmp_path / "b.safetensors")
    files = [str(tmp_path / name) for name in ("a.safetensors", "b.safetensors", "ab.h5")]
    assert main(["convert", files[0], files[2], "--with", files[1], "--licence", "mine"]) == 0
    note = weight_file.read_note(files[2])
    assert note["origin"] == ["a.safetensors", "b.safetensors"] and note["licence"] == "mine"
    assert torch_error(load_model(files[2]), golden / "torch" / f"{RRDB}.npz") < 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["malicious-zip.pth"], r"names posix\.system"),
        (["nothing.pth"], "no weight file at .*nothing.pth"),
        ([f"{RRDB}.pth", f"{RRDB}.pth", "--overwrite"], "is the source itself: name another file"),
        ([f"{RRDB}.pth", "OUT.txt"], "a weight file's name must end in .h5"),
        ([f"{RRDB}.pth", "--set", "blocks=3"], "rrdb_net has no argument 'blocks'"),
    ],
)
def test_mistakes_at_the_command_line(golden, tmp_path, capfd, arguments, message):
    paths = [str(golden / "torch" / a) if a.endswith(".pth") else a for a in arguments]
    paths = [str(tmp_path / a) if a == "OUT.txt" else a for a in paths]
    assert main(["convert", *paths]) == 2
    error = capfd.readouterr().err
    assert re.search(message, error)
    assert error.startswith("error: ") and error.count("\n") == 1


# --- what is refused ---------------------------------------------------------------------------


def test_what_is_missing_unexpected_or_of_another_shape_is_named(golden, tmp_path):
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    del tensors["conv_hr.bias"]
    tensors["conv_extra.weight"] = np.zeros((3, 3), "f4")
    tensors["conv_last.weight"] = np.zeros((3, 17, 3, 3), "f4")
    for i in range(12):
        tensors[f"attention.{i}.weight"] = np.zeros(2, "f4")
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="another network") as error:
        load_foreign(tmp_path / "a.safetensors")
    lines = str(error.value).splitlines()
    assert lines[1] == "  missing: conv_hr.bias"
    assert lines[2].startswith("  unexpected: attention.0.weight") and "and 3 more" in lines[2]
    assert lines[3] == "  wrong shape: conv_last.weight is (3, 17, 3, 3), not (3, 16, 3, 3)"


def test_a_file_with_too_many_blocks_asked_of_it(golden):
    with pytest.raises(ValueError, match="another network") as error:
        load_model(golden / "torch" / f"{RRDB}.pth", {"num_blocks": 3})
    assert "missing: body_2_rdb1_conv1.bias" in str(error.value)
    assert "and 20 more" in str(error.value)


def test_a_huge_block_number_builds_no_huge_network(golden, tmp_path):
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    tensors["body.999999999.rdb1.conv1.weight"] = np.zeros((8, 16, 3, 3), "f4")
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"unexpected: body\.999999999\.rdb1"):
        load_foreign(tmp_path / "a.safetensors")


def test_forged_shapes_make_no_giant(golden, tmp_path):
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    np.savez(tmp_path / "a.npz", **tensors | {"conv_first.weight": np.zeros((5000, 3, 1, 1), "f4")})
    with pytest.raises(ValueError, match="with num_filters=5000 is not believable"):
        load_foreign(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **tensors | {"conv_first.weight": np.zeros((4000, 3, 0, 3), "f4")})
    with pytest.raises(ValueError, match=r"tensors without numbers: conv_first\.weight"):
        load_foreign(tmp_path / "a.npz")
    path = tmp_path / "a.h5"
    path.write_bytes((golden / "krasserm/edsr-x2.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        del file["conv2d/conv2d/kernel:0"]
        file.create_dataset("conv2d/conv2d/kernel:0", (3, 3, 3, 10**9), "f4", chunks=True)
    with pytest.raises(ValueError, match="bytes and would unpack to 108000"):
        load_model(path)
    with pytest.raises(ValueError, match="bytes and would unpack to 108000"):
        edsr(2, num_filters=16, num_res_blocks=2).load_weights(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"fc.weight": (2, 3)}, "no network known here: its first tensors are fc.weight"),
        ({"conv_first.weight": (4,), "body.0.rdb1.conv1.weight": (4,)}, "no network known here"),
        ({"patch_embed.proj.weight": (4, 3), "output.weight": (3, 4)}, "no network known here"),
        (
            {"conv_first.weight": (4, 5, 3, 3), "body.0.rdb1.conv1.weight": (2, 4, 3, 3)},
            "must take 3, 12 or 48 channels .* got 5",
        ),
    ],
)
def test_tensors_of_no_network(tmp_path, tensors, message):
    np.savez(tmp_path / "a.npz", **{n: np.ones(shape, "f4") for n, shape in tensors.items()})
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "a.npz")


def test_numbers_that_are_not_finite(golden, tmp_path, capfd):
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    tensors["conv_hr.bias"] = np.full(16, np.nan, "f4")
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="not finite in conv_hr/bias; --allow-nan"):
        load_model(tmp_path / "a.safetensors")
    assert main(["convert", str(tmp_path / "a.safetensors")]) == 2
    assert "conv_hr/bias; --allow-nan" in capfd.readouterr().err
    assert not (tmp_path / "a.weights.h5").exists()
    assert main(["convert", str(tmp_path / "a.safetensors"), "--allow-nan"]) == 0
    with pytest.raises(ValueError, match="not finite in conv_hr/bias"):
        load_model(tmp_path / "a.weights.h5")
    model = load_model(tmp_path / "a.weights.h5", allow_nan=True)
    assert np.isnan(model.get_layer("conv_hr").bias).all()


def test_hdf5_of_no_network(tmp_path, capfd):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["pictures"] = np.zeros((2, 3))
    with pytest.raises(ValueError, match="is HDF5 without a network's weights"):
        load_model(path)
    assert main(["convert", str(path)]) == 2
    assert capfd.readouterr().err == f"error: {path} is HDF5 without a network's weights\n"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = [b"dense/kernel:0"]
        file["dense"]["dense/kernel:0"] = np.zeros((2, 3))
    with pytest.raises(ValueError, match="HDF5 of no network known here: .* are dense"):
        load_model(path)


def test_our_layout_without_a_note(tmp_path):
    path = tmp_path / "a.weights.h5"
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save_weights(path)
    with pytest.raises(ValueError, match="does not say which network it is for; build one"):
        load_model(path)


@pytest.mark.parametrize("kept", [0.2, 0.9])
def test_truncated_hdf5(golden, tmp_path, kept):
    data = (golden / "krasserm" / "edsr-x2.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match="is not a whole HDF5 weight file"):
        load_model(tmp_path / "a.h5")


def test_a_web_page_under_any_name(tmp_path, capfd):
    for name in ("a.pth", "a.h5", "a.safetensors"):
        (tmp_path / name).write_text("<!doctype html><title>Not Found</title>")
        assert main(["convert", str(tmp_path / name)]) == 2
        assert "is a web page, not a weight file" in capfd.readouterr().err


def test_our_own_files_take_other_arguments_too(tmp_path):
    wdsr_b(2, num_filters=8, num_res_blocks=1).save_weights(tmp_path / "a.weights.h5")
    model = load_model(tmp_path / "a.weights.h5", {"res_block_scaling": 0.5})
    assert model.built_by.arguments["res_block_scaling"] == 0.5
    with pytest.raises(ValueError, match="wdsr_b has no argument 'depth'"):
        load_model(tmp_path / "a.weights.h5", {"depth": 0.5})
    edsr(2, num_filters=8, num_res_blocks=1).save_weights(tmp_path / "b.weights.h5")
    with pytest.raises(ValueError, match="another network"):
        load_model(tmp_path / "b.weights.h5", {"num_res_blocks": 2})
