"""Pictures from and to other stores: whole or not at all, resumed, and without secrets in print."""

import builtins
import json
import os

import numpy as np
import pytest

from data.pictures.read import load_image, read_picture
from data.pictures.write import save_image
from infer.__main__ import main
from infer.stores import Remote, place

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def tree(tmp_path):
    """in/ with a.png, trip/b.jpg, trip/notes.txt and .hidden.png."""
    folder = tmp_path / "in"
    (folder / "trip").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "trip/b.jpg", ".hidden.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (5, 7, 3)).astype(np.uint8)
        save_image(folder / name, pixels)
    (folder / "trip" / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def memory(tree):
    """memory://in, a copy of the tree."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    for file in tree.rglob("*.*"):
        store.pipe_file(f"/in/{file.relative_to(tree)}", file.read_bytes())
    yield store
    store.store.clear()


def upscale(network, *arguments):
    return main(["upscale", *map(str, arguments), "--model", str(network)])


def stored(store, folder):
    return sorted(name for name in store.find(folder) if "/." not in name)


def test_a_tree_from_a_store_to_a_store_and_again(network, tree, memory, tmp_path, capsys):
    command = ("memory://in", "-o", "memory://out", "--recursive")
    assert upscale(network, *command) == 0
    captured = capsys.readouterr()
    assert "2 done, 0 skipped" in captured.out and "1 .txt" in captured.err
    assert stored(memory, "/out") == ["/out/a.png", "/out/trip/b.jpg"]
    assert upscale(network, tree, "-o", tmp_path / "out", "--recursive") == 0
    for name in ("a.png", "trip/b.jpg"):
        assert memory.cat_file(f"/out/{name}") == (tmp_path / "out" / name).read_bytes()
    capsys.readouterr()
    assert upscale(network, *command) == 0
    assert "0 done, 2 skipped" in capsys.readouterr().out
    memory.rm_file("/out/a.png")
    memory.pipe_file("/in/trip/b.jpg", (tree / "trip" / "b.jpg").read_bytes() + b" ")
    assert upscale(network, *command) == 0
    assert "2 done, 0 skipped" in capsys.readouterr().out


def test_from_a_store_to_the_disk_and_back(network, tree, memory, tmp_path, capsys):
    assert upscale(network, "memory://in/a.png", "-o", tmp_path / "a.png") == 0
    assert load_image(tmp_path / "a.png").shape == (10, 14, 3)
    assert upscale(network, tree / "a.png", "-o", "memory://out/b.png", "--scale", "1.5") == 0
    assert read_picture(Remote("memory://out/b.png")).pixels.shape == (8, 11, 3)
    assert upscale(network, tree / "a.png", "-o", "memory://out/b.png") == 2
    assert "memory://out/b.png is there already" in capsys.readouterr().err
    assert upscale(network, "memory://in/*.png", "-o", tmp_path / "all") == 0
    assert (tmp_path / "all" / "a.png").exists()
    (tmp_path / "list").write_text("memory://in/trip/b.jpg\n")
    assert upscale(network, "--files-from", tmp_path / "list", "-o", tmp_path / "listed") == 0
    assert (tmp_path / "listed" / "in" / "trip" / "b.jpg").exists()


def test_file_addresses_are_the_disk(network, tree, tmp_path, capsys):
    assert place(f"file://{tmp_path}/a%20b.png") == tmp_path / "a b.png"
    command = (f"file://{tree}", "-o", f"file://{tmp_path}/out", "--recursive")
    for outcome in ("2 done, 0 skipped", "0 done, 2 skipped"):
        assert upscale(network, *command) == 0
        assert outcome in capsys.readouterr().out
    lines = (tmp_path / "out" / ".infer.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["target"] for line in lines) == ["a.png", "trip/b.jpg"]


def test_what_others_stored_is_spared(network, memory, capsys):
    memory.pipe_file("/out/a.png", b"precious")
    assert upscale(network, "memory://in", "-o", "memory://out") == 1
    assert "memory://out/a.png is there and was not made by this" in capsys.readouterr().err
    assert memory.cat_file("/out/a.png") == b"precious"
    assert upscale(network, "memory://in", "-o", "memory://in/big", "--recursive") == 0
    assert upscale(network, "memory://in", "-o", "memory://in/big", "--recursive") == 0
    assert "0 done, 2 skipped" in capsys.readouterr().out, "results became sources"


def test_a_broken_upload_leaves_nothing(network, memory, monkeypatch, capsys):
    def broken(store, file, path, **_):
        store.pipe_file(path, b"half")
        raise ConnectionError("gone")

    monkeypatch.setattr(type(memory), "put_file", broken)
    assert upscale(network, "memory://in", "-o", "memory://out") == 1
    captured = capsys.readouterr()
    assert "0 done, 0 skipped (done before), 1 failed" in captured.out
    assert "memory://out/a.png" in captured.err
    assert stored(memory, "/out") == []
    assert not [name for name in memory.find("/out") if name.endswith(".partial")]
    monkeypatch.undo()
    assert upscale(network, "memory://in", "-o", "memory://out") == 0
    assert stored(memory, "/out") == ["/out/a.png"]


class NoCredentialsError(Exception):
    """As of a store's client, which tells too much."""


@pytest.mark.parametrize(
    ("error", "sentence", "status"),
    [
        (PermissionError(13, "Access Denied"), "Access Denied: 'memory://out", 1),
        (NoCredentialsError("key AKIA1234 is wrong"), "no credentials error; see the store's", 1),
    ],
)
def test_a_store_without_rights_is_named_before_the_network_runs(
    network, memory, monkeypatch, capsys, error, sentence, status
):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(type(memory), "pipe_file", refuse)
    monkeypatch.setattr("infer.upscaler.Upscaler.__call__", refuse)
    assert upscale(network, "memory://in", "-o", "memory://out") == status
    said = capsys.readouterr().err
    assert sentence in said and "AKIA" not in said and said.count("\n") == 1


def test_no_password_is_printed(memory):
    remote = Remote("sftp://user:secret@host/folder/a.png")
    assert str(remote) == "sftp://host/folder/a.png" and str(remote.parent) == "sftp://host/folder"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["memory://none", "-o", "out"], "memory://none"),
        (["memory://in/trip/*.tif", "-o", "out"], "no picture memory://in/trip/*.tif"),
        (["memory://in", "-o", "memory://a.png"], "several pictures need a folder to go to"),
        (["strange://in", "-o", "out"], "rotocol not known"),
    ],
)
def test_wrong_addresses_get_a_line(
    network, memory, tmp_path, monkeypatch, capsys, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    assert upscale(network, *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_without_fsspec_a_sentence_says_how_to_get_it(network, tree, tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *arguments):
        if name == "fsspec":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    assert upscale(network, "s3://bucket", "-o", tmp_path / "out") == 2
    assert "pip install 'whole-pictures[stores]'" in capsys.readouterr().err
    assert upscale(network, tree, "-o", tmp_path / "out") == 0


@pytest.fixture
def s3(monkeypatch):
    """A local S3 server with a bucket."""
    server = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    running = server.ThreadedMotoServer(port=0)
    running.start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running._server.port}")
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("bucket")
    yield store
    running.stop()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_tree_goes_to_s3_and_back(network, tree, s3, tmp_path, capsys, monkeypatch):
    command = (tree, "-o", "s3://bucket/big", "--recursive")
    for outcome in ("2 done, 0 skipped", "0 done, 2 skipped"):
        assert upscale(network, *command) == 0
        assert outcome in capsys.readouterr().out
        s3.invalidate_cache()
    assert stored(s3, "bucket/big") == ["bucket/big/a.png", "bucket/big/trip/b.jpg"]
    assert upscale(network, "s3://bucket/big/*.png", "-o", tmp_path / "out") == 0
    assert load_image(tmp_path / "out" / "a.png").shape == (20, 28, 3)
    assert upscale(network, tree, "-o", "s3://no-such-bucket/big") == 2
    assert "s3://no-such-bucket/big" in capsys.readouterr().err
    for name in list(os.environ):
        if name.startswith("AWS_") and "ENDPOINT" not in name:
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    type(s3).clear_instance_cache()
    assert upscale(network, "s3://bucket/big", "-o", tmp_path / "again") in (1, 2)
    said = capsys.readouterr().err
    assert "credentials" in said and "secret" not in said and said.count("\n") == 1


def test_masks_of_pictures_that_go_to_a_store(tree, memory, tmp_path, capsys):
    from model.restormer import restormer

    options = {"dim": 4, "num_blocks": (1, 0, 0, 0), "num_refinement_blocks": 0}
    model = restormer(**options, heads=(1, 1, 1, 2), mask_aware=True)
    model.save_weights(tmp_path / "masked.weights.h5")
    mask = np.full((5, 7), 255, np.uint8)
    mask[2, 3] = 0
    for name in ("masks/a.png", "masks/trip/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save_image(tmp_path / name, mask)
    command = ["restore", "memory://in", "-o", "memory://out", "--recursive", "--task", "inpaint"]
    command += ["--mask", tmp_path / "masks", "--model", tmp_path / "masked.weights.h5"]
    assert main([str(word) for word in command]) == 0
    assert stored(memory, "/out") == ["/out/a.png", "/out/trip/b.jpg"]
