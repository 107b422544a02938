"""Weight files that mean harm or are broken: one sentence, and the process lives."""

import json
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from infer.__main__ import main
from model.edsr import edsr
from model.wdsr import wdsr_b
from tests import torch_writer as tw
from tests.conftest import GOLDEN
from weights import load_model

CASES = sorted((GOLDEN / "cases" / "weights").iterdir())


@pytest.fixture(autouse=True)
def _seeded():
    """Instead of conftest's: nothing here needs Keras' names reset."""


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_every_input_that_ever_failed_is_refused(path):
    with pytest.raises((ValueError, OSError)) as error:
        load_model(path)
    assert str(path) in str(error.value) or "is not believable" in str(error.value)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
from weights import load_model
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        load_model(path)
    except (ValueError, OSError):
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on processes")
def test_together_they_take_little_memory():
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, CASES)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 500  # MB more than TensorFlow itself


@pytest.fixture
def ours(tmp_path):
    """A weight file, and a function that changes it with h5py; the file's first kernel."""
    path = tmp_path / "ours.h5"
    if not (cached := tmp_path.parent / "hostile-ours.h5").exists():
        edsr(2, num_filters=4, num_res_blocks=1).save_weights(cached)
    shutil.copy(cached, path)
    return path


KERNEL = "layers/conv2d/vars/0"
SHAPE = (3, 3, 3, 4)


def _external(file, secret):
    del file[KERNEL]
    file.create_dataset(KERNEL, SHAPE, "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def _virtual(file, secret):
    del file[KERNEL]
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[...] = h5py.VirtualSource(str(secret), "secret", SHAPE)
    file.create_virtual_dataset(KERNEL, layout)


def _external_link(file, secret):
    del file[KERNEL]
    file[KERNEL] = h5py.ExternalLink(str(secret), "/secret")


def _soft_link(file, secret):
    del file[KERNEL]
    file[KERNEL] = h5py.SoftLink("/layers/conv2d_1/vars/0")


def _references(file, secret):
    del file[KERNEL]
    file.create_dataset(KERNEL, SHAPE, h5py.ref_dtype)


def _region(file, secret):
    del file[KERNEL]
    file.create_dataset(KERNEL, SHAPE, h5py.regionref_dtype)


def _null(file, secret):
    del file[KERNEL]
    file.create_dataset(KERNEL, data=h5py.Empty("f4"))


def _nothing_written(file, secret):
    del file[KERNEL]
    file.create_dataset(KERNEL, SHAPE, "f4")


def _foreign_filter(file, secret):
    del file[KERNEL]
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(SHAPE)
    properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)  # zstandard, a plug-in
    space = h5py.h5s.create_simple(SHAPE)
    h5py.h5d.create(file.id, KERNEL.encode(), h5py.h5t.IEEE_F32LE, space, properties).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.zeros(SHAPE, "f4")
    )


def _ring(file, secret):
    file["layers/again"] = file["layers"]
    del file[KERNEL]


def _note_null(file, secret):
    file.attrs["sr"] = h5py.Empty("f4")


def _note_number(file, secret):
    file.attrs["sr"] = 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_external, "keeps its numbers in another file"),
        (_virtual, "is a virtual data set"),
        (_external_link, r"is a link to something else \(ExternalLink\)"),
        (_soft_link, r"is a link to something else \(SoftLink\)"),
        (_references, "is of type object, and not of numbers"),
        (_region, "is of type object, and not of numbers"),
        (_null, "is a null data set"),
        (_nothing_written, "claims 108 numbers and holds none"),
        (_foreign_filter, "packed with filter 32015, which is not HDF5's own"),
        (_ring, "missing: layers/conv2d/vars/0"),
        (_note_null, "attribute sr is null"),
        (_note_number, "attribute sr is not text"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_hdf5_that_is_more_than_numbers(ours, tmp_path, change, message):
    secret = tmp_path / "secret"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.ones(SHAPE, "f4")
    with h5py.File(ours, "r+") as file:
        change(file, secret)
    with pytest.raises(ValueError, match=message):
        load_model(ours)
    with pytest.raises(ValueError, match=message.replace("missing: ", "")):
        edsr(2, num_filters=4, num_res_blocks=1).load_weights(ours)


def test_keras_2_with_a_link_to_another_file(golden, tmp_path):
    path, secret = tmp_path / "a.h5", tmp_path / "secret.h5"
    shutil.copy(golden / "krasserm" / "edsr-x2.h5", path)
    with h5py.File(path, "r+") as file, h5py.File(secret, "w") as other:
        file.copy("conv2d", other)
        del file["conv2d"]
        file["conv2d"] = h5py.ExternalLink(str(secret), "/conv2d")
    with pytest.raises(ValueError, match="conv2d is a link to something else"):
        load_model(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(ours, tmp_path, capfd):
    pipe = tmp_path / "pipe.h5"
    os.mkfifo(pipe)
    with pytest.raises(FileNotFoundError, match="is no regular file"):
        load_model(pipe)
    assert main(["convert", str(pipe)]) == 2
    assert "is no regular file" in capfd.readouterr().err
    with h5py.File(ours, "r+") as file:
        _external(file, pipe)
    with pytest.raises(ValueError, match="keeps its numbers in another file"):
        load_model(ours)


def _note(path, **note):
    with h5py.File(path, "r+") as file:
        file.attrs["sr"] = json.dumps(note)


@pytest.mark.parametrize(
    ("builder", "arguments", "message"),
    [
        ("edsr", {"scale": "2"}, "scale='2' is not believable: it must be a whole number"),
        ("edsr", {"scale": True}, "scale=True is not believable"),
        ("edsr", {}, "edsr needs an argument scale, which is not given"),
        ("edsr", {"scale": 2, "depth": 3}, "edsr has no argument 'depth'; it has scale"),
        ("edsr", {"scale": 2, "num_filters": -1}, "num_filters=-1 is not believable"),
        ("edsr", {"scale": 2, "num_filters": 4.0}, "num_filters=4.0 is not believable"),
        ("edsr", {"scale": 2, "num_res_blocks": 257}, "must be a whole number of at most 256"),
        ("edsr", {"scale": 2, "res_block_scaling": float("inf")}, "must be a number of at most"),
        ("edsr", {"scale": 2, "res_block_scaling": "a"}, "must be a number of at most"),
        (
            "edsr",
            {"scale": 2, "num_res_blocks": 200},
            "12 tensors; edsr with 200 blocks has about 808",
        ),
        ("edsr", {"scale": 2, "num_filters": 4096}, "another network"),
        ("vggface", {"architecture": 3}, "architecture=3 is not believable: it must be text"),
        ("restormer", {"heads": "1248"}, "must be a list of whole numbers"),
        ("restormer", {"heads": []}, "must be a list of whole numbers"),
        ("restormer", {"heads": [1, 2, [4], 8]}, "must be a list of whole numbers"),
        ("restormer", {"mask_aware": 1}, "mask_aware=1 is not believable: it must be true or"),
        ("nosuch", {}, "network named 'nosuch', which is not known here; known are edsr, wdsr_a"),
        (["edsr"], {}, "a note without a builder's name"),
        ("edsr", [2], "a note without a builder's name and its arguments"),
    ],
)
def test_notes_that_ask_for_the_wrong_thing(ours, builder, arguments, message):
    _note(ours, builder=builder, arguments=arguments)
    with pytest.raises(ValueError, match=message):
        load_model(ours)


def test_a_file_is_known_by_its_content_not_by_its_name(tmp_path):
    model = wdsr_b(2, num_filters=4, num_res_blocks=1)
    model.save_weights(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["layers/weight_norm_conv2d/vars/0"]
        file["layers/weight_norm_conv2d/vars/0"] = h5py.SoftLink("/layers")
    with pytest.raises(ValueError, match="is a link to something else"):
        model.load_weights(tmp_path / "a.h5")


# --- pickles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        (b"ctorch._utils\n_rebuild_tensor_v2\n}(X\x01\0\0\0aK\x01ub", "fills something else than"),
        (b"}K\x01K\x02\x86K\x03s", "has a tuple as the key of a dict"),
        (b"}NK\x03s", "has a NoneType as the key of a dict"),
        (b"ccollections\nOrderedDict\n)\x81", "uses NEWOBJ, which no tensors need"),
        (b"\x8f(K\x01\x90", "uses EMPTY_SET"),
        (b"ctorch\nFloatStorage\n)R", "calls something else than what builds tensors"),
        (b"ccollections\nOrderedDict\n]R", "calls a function without arguments"),
        (b"(" + tw.text("storage") + tw.text("x") + b"K\0K\0K\1tQ", "a storage without a kind"),
        (b"\x86", "takes what it has not put"),
        (b"N0" * 200_001, "has over 400000 instructions"),
    ],
)
def test_pickles_of_more_than_tensors(tmp_path, opcodes, message):
    for write in (tw.write_zip, tw.write_legacy):
        path = write(tmp_path / "a.pth", tw.mapping(a=tw.number(1)) + b"0" + opcodes)
        with pytest.raises(ValueError, match=message):
            load_model(path)


def test_storages_and_shapes_of_other_kinds(tmp_path):
    doubled = b"K\1" + b"2\x86" * 0 + b"".join(b"q\0h\0\x86" for _ in range(40))  # 2^40 ones
    storage = b"(" + tw.text("storage") + b"ctorch\nFloatStorage\n" + doubled + tw.text("cpu")
    path = tw.write_zip(tmp_path / "a.pth", tw.mapping(a=storage + b"K\1tQ"))
    with pytest.raises(ValueError, match="a storage without a kind of numbers and a key"):
        load_model(path)
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
    storage = b"(" + tw.text("storage") + b"ctorch\nFloatStorage\n" + tw.text("0") + b"NK\1tQ"
    for shape in (doubled, tw.numbers([1] * 17), b"(" + tw.text("1") + b"t", b"N"):
        opcodes = tw.mapping(a=rebuild + storage + b"K\0" + shape + tw.numbers([1]) + b"tR")
        with pytest.raises(ValueError, match="refused: its pickle has"):
            load_model(tw.write_zip(tmp_path / "a.pth", opcodes, {"0": bytes(4)}))


# --- others ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ([{"weights": [], "paths": ["a.bin", "a.bin"]}], "one file of numbers more than once"),
        ([{"weights": [], "paths": ["../a.bin"]}], "is no file of numbers beside it"),
        ([{"weights": [], "paths": ["id_rsa"]}], "'id_rsa', which is no file of numbers beside"),
        ([{"weights": [{"name": 3, "shape": [1], "dtype": "f4"}], "paths": ["a.bin"]}], "no text"),
        ([{"weights": [{"name": "a", "shape": [-1], "dtype": "f4"}], "paths": ["a.bin"]}], "whole"),
        ([3], "damaged"),
        ({}, "no weight file"),
    ],
)
def test_manifests(tmp_path, manifest, message):
    (tmp_path / "a.bin").write_bytes(bytes(8))
    (tmp_path / "id_rsa").write_bytes(bytes(8))
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "manifest.json")


def test_float8_is_named(tmp_path):
    header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(2))
    with pytest.raises(ValueError, match="a has numbers of type F8_E4M3, which are not read here"):
        load_model(path)
