"""DIV2K: folders used as they are, and archives fetched as users fetch them."""

import hashlib
import io
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from filelock import FileLock
from PIL import Image
from tensorflow_datasets.core.download import checksums

from data import DIV2K, div2k
from data.__main__ import main
from tests.file_server import serving


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


TRACKS = {
    ("bicubic", 2): ("DIV2K_train_LR_bicubic/X2", "0001x2.png"),
    ("unknown", 3): ("DIV2K_train_LR_unknown/X3", "0001x3.png"),
    ("bicubic", 8): ("DIV2K_train_LR_x8", "0001x8.png"),
    ("mild", 4): ("DIV2K_train_LR_mild", "0001x4m.png"),
    ("difficult", 4): ("DIV2K_train_LR_difficult", "0001x4d.png"),
}


@pytest.mark.parametrize("track", TRACKS)
def test_a_folder_in_div2k_layout_is_used_as_it_is(tmp_path, track):
    (downgrade, scale), (lr_folder, lr_name) = track, TRACKS[track]
    save(tmp_path / "DIV2K_train_HR" / "0001.png", np.full((96, 120, 3), 7, np.uint8))
    save(tmp_path / lr_folder / lr_name, np.full((96 // scale, 120 // scale, 3), 5, np.uint8))
    div2k = DIV2K(scale, "train", downgrade, tmp_path, tmp_path / "caches")
    lr, hr = next(iter(div2k.dataset(batch_size=1, random_transform=False, repeat_count=1)))
    assert (lr.shape[2], hr.shape[2], len(div2k)) == (120 // scale, 120, 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"scale": 5}, r"DIV2K has bicubic ×2, ×3, ×4, ×8;.*got downgrade 'bicubic', scale 5"),
        ({"scale": 8, "downgrade": "unknown"}, "got downgrade 'unknown', scale 8"),
        ({"scale": 2, "downgrade": "mild"}, "got downgrade 'mild', scale 2"),
        ({"subset": "test"}, "subset must be 'train' or 'valid', got 'test'"),
    ],
)
def test_div2k_refuses_tracks_it_does_not_have(tmp_path, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        DIV2K(**arguments, images_dir=tmp_path)


# --- fetching ----------------------------------------------------------------------------------

HR, LR = "DIV2K_valid_HR", "DIV2K_valid_LR_bicubic/X4"


def archive_of(folder, name, size):
    """An archive with one picture, as DIV2K's are made."""
    picture, archive = io.BytesIO(), io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture, "PNG")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(f"{folder}/", "")
        file.writestr(f"{folder}/{name}.png", picture.getvalue())
    return archive.getvalue()


@pytest.fixture
def server(monkeypatch):
    """DIV2K's server with two small archives, and their checksums in place of the real ones."""
    with serving() as server:
        monkeypatch.setattr(div2k, "URL", f"{server.url}/")
        for folder, name, size in ((HR, "0801", (240, 300)), (LR, "0801x4", (60, 75))):
            key, body = folder.replace("/", "_"), archive_of(folder, name, size)
            server.files[f"/{key}.zip"] = body
            digest = hashlib.sha256(body).hexdigest()
            monkeypatch.setitem(div2k.SHA256, key.removeprefix("DIV2K_"), digest)
        yield server


def valid_x4(root, **options):
    return DIV2K(4, "valid", "bicubic", root / "images", root / "caches", **options)


def test_archives_are_fetched_once_and_unpacked(server, tmp_path):
    said = []
    for _ in range(2):
        (pair,) = valid_x4(tmp_path, report=said.append).pairs
    assert pair[0].shape == (60, 75, 3) and pair[1].shape == (240, 300, 3)
    url = f"fetching {server.url}/DIV2K_valid_"
    assert said == [f"{url}HR.zip", f"{url}LR_bicubic_X4.zip"]
    files = sorted(f for f in (tmp_path / "images").rglob("*.*") if f.suffix != ".lock")
    assert files == [tmp_path / "images" / f for f in (f"{HR}/0801.png", f"{LR}/0801x4.png")]


def test_the_command_fetches(server, tmp_path, capsys):
    folders = ["--images-dir", str(tmp_path / "images"), "--caches-dir", str(tmp_path / "caches")]
    assert main(["div2k", "--subset", "valid", "--scale", "4", *folders]) == 0
    assert "1 pairs at scale 4" in capsys.readouterr().out


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_is_continued(server, tmp_path, ranges):
    server.break_after, server.ranges, said = 150_000, ranges, []
    with pytest.raises(OSError, match=r"could not fetch .*HR\.zip .*Another try continues"):
        valid_x4(tmp_path, report=said.append)
    assert len(valid_x4(tmp_path, report=said.append)) == 1
    assert server.requests == [None, "bytes=131072-", None]
    assert said[1] == f"fetching {server.url}/DIV2K_valid_HR.zip, from byte 131,072 on"


def test_a_download_that_was_whole_is_not_fetched_again(server, tmp_path):
    part = tmp_path / "images" / "downloads" / "DIV2K_valid_HR.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.files["/DIV2K_valid_HR.zip"])
    assert len(valid_x4(tmp_path, report=str)) == 1


@pytest.mark.parametrize("fault", ["missing", "changed", "unreachable", "no archive", "other"])
def test_what_goes_wrong_says_how_to_fetch_by_hand(server, tmp_path, monkeypatch, capsys, fault):
    path = "/DIV2K_valid_HR.zip"
    if fault == "missing":
        del server.files[path]
    elif fault == "changed":
        server.files[path] = server.files[path][:-1] + b"?"
    elif fault == "unreachable":
        monkeypatch.setattr(div2k, "URL", "http://127.0.0.1:1/")
    else:
        other = archive_of("elsewhere", "0801", (8, 8))
        server.files[path] = b"<html>" if fault == "no archive" else other
        digest = hashlib.sha256(server.files[path]).hexdigest()
        monkeypatch.setitem(div2k.SHA256, "valid_HR", digest)
    images = tmp_path / "images"
    assert main(["div2k", "--subset", "valid", "--images-dir", str(images)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: could not fetch {div2k.URL}DIV2K_valid_HR.zip (")
    assert f"put it into {images / 'downloads'}, or unpack it in {images}" in error
    assert error.count("\n") == 1 and not (images / HR).exists()


def test_an_archive_fetched_by_hand_is_used_and_kept(server, tmp_path):
    downloads = tmp_path / "images" / "downloads"
    downloads.mkdir(parents=True)
    for path, body in server.files.items():
        (downloads / path[1:]).write_bytes(body)
    server.files.clear()
    assert len(valid_x4(tmp_path, report=str)) == 1 and not server.requests
    assert len(list(downloads.glob("*.zip"))) == 2


def test_another_archive_in_its_place_is_refused_and_kept(server, tmp_path):
    archive = tmp_path / "images" / "downloads" / "DIV2K_valid_HR.zip"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"half")
    with pytest.raises(OSError, match=r"HR\.zip has sha256 .*: it is another file or cut short"):
        valid_x4(tmp_path, report=str)
    assert archive.read_bytes() == b"half" and not server.requests


def test_of_two_at_once_one_fetches_and_the_other_waits(server, tmp_path):
    """A lock of another thread stands for one of another process."""
    said, waiting = [], threading.Event()

    def report(sentence):
        said.append(sentence)
        waiting.set()

    lock = tmp_path / "images" / "downloads" / "DIV2K_valid_HR.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        thread = threading.Thread(target=valid_x4, args=(tmp_path,), kwargs={"report": report})
        thread.start()
        assert waiting.wait(10) and not server.requests
    thread.join(10)
    assert said[0] == "waiting for another process, which fetches DIV2K_valid_HR.zip"
    assert len(server.requests) == 2


def test_checksums_are_those_of_tensorflow_datasets_for_all_tracks():
    infos = checksums.load_url_infos(Path(tfds.__file__).parent / "datasets/div2k/checksums.tsv")
    known = {url: info.checksum for url, info in infos.items() if "_wild" not in url}
    ours = {f"{div2k.URL}DIV2K_{name}.zip": digest for name, digest in div2k.SHA256.items()}
    assert ours == known and len(ours) == 20
