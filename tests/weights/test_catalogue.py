"""Published weights fetched from a local server: whole, broken, resumed, changed, not there."""

import hashlib
import io
import json
import re
import tarfile
import threading

import numpy as np
import pytest
from filelock import FileLock

from infer.__main__ import main
from model import weight_file
from tests.file_server import serving
from weights import catalogue
from weights.catalogue import CATALOGUE, Outside, Source, cached, get
from weights.download import fetch
from weights.load import load_model


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with serving() as server:
        yield server


def offer(server, monkeypatch, *sources, name="test-x4"):
    """Put an entry of files on the server in the catalogue."""
    sources = tuple(Source(server.url + path, *rest) for path, *rest in sources)
    monkeypatch.setitem(CATALOGUE, name, Outside("A test's weights", 1.5, "Apache-2.0", sources))
    return name


# --- one file ----------------------------------------------------------------------------------

BODY = np.random.default_rng(0).bytes(3_000_017)
SHA256 = hashlib.sha256(BODY).hexdigest()


def test_a_file_is_fetched_once(server, tmp_path):
    server.files["/a"] = BODY
    said = []
    for _ in range(2):
        assert fetch(f"{server.url}/a", tmp_path / "new/a", SHA256[:8], said.append) == SHA256
    assert (tmp_path / "new/a").read_bytes() == BODY
    assert server.requests == [None]
    assert said == [f"fetching {server.url}/a"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_goes_on_where_it_ended(server, tmp_path, ranges):
    server.files["/a"], server.break_after, server.ranges = BODY, 1_234_567, ranges
    with pytest.raises(OSError, match="broke after 1,234,567 of 3,000,017 bytes .* goes on from"):
        fetch(f"{server.url}/a", tmp_path / "a", SHA256)
    assert not (tmp_path / "a").exists()
    assert fetch(f"{server.url}/a", tmp_path / "a", SHA256) == SHA256
    assert server.requests == [None, "bytes=1234567-"]
    assert (tmp_path / "a").read_bytes() == BODY
    assert [file.name for file in tmp_path.glob("a*")] == ["a"]


def test_a_part_that_was_whole_is_not_fetched_again(server, tmp_path):
    server.files["/a"] = BODY
    (tmp_path / "a.part").write_bytes(BODY)
    assert fetch(f"{server.url}/a", tmp_path / "a", SHA256) == SHA256


def test_a_wrong_checksum_removes_the_file(server, tmp_path):
    server.files["/a"] = BODY
    with pytest.raises(OSError, match=f"sha256 {SHA256}, not 0123…; it was removed"):
        fetch(f"{server.url}/a", tmp_path / "a", "0123")
    assert not list(tmp_path.glob("a*"))


def test_what_is_not_there(server, tmp_path):
    with pytest.raises(OSError, match=r"/b: the server answers 404 Not Found"):
        fetch(f"{server.url}/b", tmp_path / "b")
    with pytest.raises(OSError, match=r"could not fetch http://127\.0\.0\.1:1/"):
        fetch("http://127.0.0.1:1/", tmp_path / "b")
    assert not list(tmp_path.glob("b*"))


# --- entries -----------------------------------------------------------------------------------


@pytest.fixture
def published(golden):
    return (golden / "torch" / "rrdbnet-x1-nf8-nb1-gc4.pth").read_bytes()


def test_get_fetches_converts_and_keeps(server, monkeypatch, tmp_path, published, capfd):
    server.files["/models/net.pth"] = published
    name = offer(server, monkeypatch, ("/models/net.pth",))
    with pytest.raises(FileNotFoundError, match=f"weights get {name}` fetches it .1.5 MB; Apache"):
        load_model(name)
    assert main(["weights", "get", name]) == 0
    out = capfd.readouterr().out
    assert "rrdb_net(scale=1, num_filters=8, num_blocks=1, num_growth=4, unshuffle=True)" in out
    assert out.rstrip().endswith(str(cached(name)))
    assert load_model(name).built_by.name == "rrdb_net"
    note = weight_file.read_note(cached(name))
    sha256 = hashlib.sha256(published).hexdigest()
    assert note["url"] == [f"{server.url}/models/net.pth"]
    assert note["licence"] == "Apache-2.0"
    assert note["source_sha256"] == [sha256]
    folder = tmp_path / "keras" / "models" / "whole-pictures"
    kept = sorted(f.name for f in folder.iterdir() if f.suffix != ".lock")
    assert kept == ["sha256.json", "test-x4.weights.h5"]
    assert json.loads((folder / "sha256.json").read_text()) == {note["url"][0]: sha256}
    assert main(["weights", "get", name]) == 0
    assert "is there already" in capfd.readouterr().out
    assert len(server.requests) == 1


def test_a_recorded_checksum_finds_a_changed_file(server, monkeypatch, published):
    server.files["/net.pth"] = published
    name = offer(server, monkeypatch, ("/net.pth",))
    get(name).unlink()
    server.files["/net.pth"] = published + b"changed"
    with pytest.raises(OSError, match="The file has changed at its origin"):
        get(name)
    server.files["/net.pth"] = published
    assert get(name).exists()


def test_of_two_at_once_the_second_waits_and_finds_the_file(server, monkeypatch, published):
    """A lock of another thread stands for one of another process."""
    server.files["/net.pth"] = published
    name, said = offer(server, monkeypatch, ("/net.pth",)), []
    cached(name).parent.mkdir(parents=True)
    with FileLock(cached(name).parent / f"{name}.lock"):
        second = threading.Thread(target=get, args=(name,), kwargs={"report": said.append})
        second.start()
        second.join(0.3)
        assert second.is_alive() and not server.requests
        cached(name).write_bytes(b"as the first would have left it")
    second.join(10)
    assert said == [f"{cached(name)} is there already"] and not server.requests


def test_a_record_of_checksums_cut_short_is_named(server, monkeypatch, published, capfd):
    server.files["/net.pth"] = published
    name = offer(server, monkeypatch, ("/net.pth",))
    record = cached(name).parent / "sha256.json"
    record.parent.mkdir(parents=True)
    record.write_text("{")
    assert main(["weights", "get", name]) == 1
    assert f"{record}, the checksums of earlier downloads, is damaged" in capfd.readouterr().err


def test_get_resumes_after_a_broken_connection(server, monkeypatch, published, capfd):
    server.files["/net.pth"], server.break_after = published, 50_000
    name = offer(server, monkeypatch, ("/net.pth",))
    assert main(["weights", "get", name]) == 1
    assert "broke after 50,000 of 83,893 bytes" in capfd.readouterr().err
    assert main(["weights", "get", name]) == 0
    assert server.requests == [None, "bytes=50000-"]


def test_an_archive_and_what_is_wanted_of_it(server, monkeypatch, golden):
    weights = (golden / "krasserm" / "edsr-x2.h5").read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for member, data in {
            "weights/edsr/notes.txt": b"hello",
            "weights/edsr/w.h5": weights,
        }.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    server.files["/w.tar.gz"] = packed.getvalue()
    assert get(offer(server, monkeypatch, ("/w.tar.gz", None, "edsr/w.h5"))).exists()
    absent = offer(server, monkeypatch, ("/w.tar.gz", None, "wdsr/w.h5"), name="absent")
    with pytest.raises(ValueError, match=r"has no wdsr/w\.h5 in it"):
        get(absent)
    server.files["/page.tar.gz"] = b"<html>"
    page = offer(server, monkeypatch, ("/page.tar.gz", None, "w.h5"), name="page")
    with pytest.raises(ValueError, match="is not a whole tar archive"):
        get(page)


def test_two_files_of_one_network(server, monkeypatch, golden):
    linear = np.load(golden / "lpips" / "lin_weights_v01.npz")
    random = np.random.default_rng(0)
    shapes = json.loads((golden / "lpips" / "backbone_check.json").read_text())["alex"]
    trunk = {n: random.normal(size=f["shape_oihw"]).astype("f2") for n, f in shapes.items()}
    for path, tensors in {
        "/trunk.npz": trunk,
        "/linear.npz": {n[5:]: linear[n] for n in linear if n.startswith("alex.")},
    }.items():
        packed = io.BytesIO()
        np.savez(packed, **tensors)
        server.files[path] = packed.getvalue()
    get(offer(server, monkeypatch, ("/trunk.npz",), ("/linear.npz",), name="lpips-test"))
    assert load_model("lpips-test").built_by.arguments == {"net": "alex"}


@pytest.mark.parametrize(
    ("files", "message", "status"),
    [
        ({}, "the server answers 404", 1),
        ({"/net.pth": b"<html>sign in first</html>"}, "is a web page, not a weight file", 2),
    ],
)
def test_failures_at_the_command_line(server, monkeypatch, capfd, files, message, status):
    server.files = files
    name = offer(server, monkeypatch, ("/net.pth",))
    assert main(["weights", "get", name]) == status
    error = capfd.readouterr().err
    assert message in error
    assert error.startswith("error: ") and error.count("\n") == 1


def test_after_an_error_page_the_file_itself_is_fetched(server, monkeypatch, published):
    server.files["/net.pth"] = b"<html>come back later</html>"
    name = offer(server, monkeypatch, ("/net.pth",))
    with pytest.raises(ValueError, match="is a web page"):
        get(name)
    server.files["/net.pth"] = published
    assert get(name).exists()


@pytest.mark.parametrize("arguments", [["get"], ["list", "esrgan-x4"], ["get", "nothing"]])
def test_mistakes_at_the_command_line(server, capfd, arguments):
    assert main(["weights", *arguments]) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


def test_the_catalogue_has_what_is_promised():
    text = catalogue.table()
    for name in ("blog-edsr-16-x4", "blog-wdsr-b-32-x4", "blog-srgan", "rrdb-psnr-x4", "esrgan-x4"):
        assert f"{name}: " in text
    assert sum(name.startswith("restormer-") for name in CATALOGUE) >= 6
    assert {"lpips-squeeze", "lpips-alex", "lpips-vgg"} <= CATALOGUE.keys()
    assert {"vggface2-senet50", "vggface2-resnet50", "vggface2-senet50-pytorch"} <= CATALOGUE.keys()
    for outside in CATALOGUE.values():
        assert outside.licence
        for source in outside.sources:
            assert source.url.startswith("https://") and source.url in text
            assert re.fullmatch(r"[0-9a-f]{8,64}", source.sha256 or "0" * 8)
