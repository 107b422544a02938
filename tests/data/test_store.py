"""Stores of decoded pictures: built in parallel, continued, small in memory."""

import os
import resource
import shutil
import threading
import tracemalloc

import numpy as np
import psutil
import pytest
import tifffile
from filelock import FileLock
from PIL import Image

from data import ImageFolder
from data import store as store_module
from data.pictures.folder import Paths, picture_files
from data.pictures.write import save_image
from data.sources import Source, files_source
from data.store import PictureStore, open_store


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def read(path):
    return np.asarray(Image.open(path))


def painted(count, height, width, **changes):
    """A source of `count` pictures, each of one grey: its number modulo 251."""
    facts = {
        "names": Paths(f"{number:06}.png" for number in range(count)),
        "digest": f"{count:012}{height:012}",
        "size": lambda i: (height, width),
        "read": lambda i: np.full((height, width, 3), i % 251, np.uint8),
    }
    return Source(**(facts | changes))


def build(source, tmp_path, **options):
    return open_store(tmp_path, "painted", source, report=str, **options)


def peak_bytes(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_store_gives_the_pictures_back(hr_dir, tmp_path):
    files = picture_files(hr_dir)
    store = open_store(tmp_path / "caches", "hr", files_source(files))
    assert len(store) == 3
    for number, file in enumerate(files):
        np.testing.assert_array_equal(store[number], read(file))
    assert list(store.names()) == list(files)


def test_store_turns_pictures_upright(tmp_path):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png", exif=exif)
    store = open_store(tmp_path, "in", files_source(picture_files(tmp_path / "in")))
    assert store[0].shape == (32, 16, 3) and store[0][:16].min() == 255 and store[0][16:].max() == 0


def test_unreadable_pictures_are_named_and_left_out(hr_dir, tmp_path):
    whole = (hr_dir / "picture0.png").read_bytes()
    (hr_dir / "cut.png").write_bytes(whole[: len(whole) // 2])
    (hr_dir / "empty.jpg").write_bytes(b"")
    (hr_dir / "text.png").write_bytes(b"hello")
    said = []
    folder = ImageFolder(hr_dir, scale=4, caches_dir=tmp_path / "caches", report=said.append)
    assert len(folder) == 3
    text = "\n".join(said)
    assert all(name in text for name in ("cut.png", "empty.jpg", "text.png"))
    assert "3 of 6 pictures were left out" in text
    assert len({lr.shape for lr, _ in folder.pairs}) == 3


def test_16_bits_are_rounded_to_8(tmp_path):
    deep = np.random.default_rng(5).integers(0, 65536, (31, 37, 3)).astype(np.uint16)
    for name, pixels in (("rgb.png", deep), ("grey.png", deep[..., 0]), ("rgb.tif", deep)):
        save_image(tmp_path / name, pixels)
        expected = np.rint(pixels.reshape(31, 37, -1) / 257)
        source = files_source([tmp_path / name])
        assert source.size(0) == (31, 37)
        np.testing.assert_array_equal(source.read(0), np.broadcast_to(expected, (31, 37, 3)))


@pytest.mark.parametrize("finished", [False, True])
def test_strict_stops_at_an_unreadable_picture(hr_dir, tmp_path, finished):
    (hr_dir / "empty.jpg").write_bytes(b"")
    caches = tmp_path / "caches"
    if finished:
        assert len(ImageFolder(hr_dir, scale=4, caches_dir=caches, report=str)) == 3
    folder = ImageFolder(hr_dir, scale=4, caches_dir=caches, strict=True, report=str)
    with pytest.raises(ValueError, match=r"unreadable picture .*empty\.jpg"):
        folder.dataset(2)


def test_a_finished_store_tells_what_it_lacks(hr_dir, tmp_path):
    (hr_dir / "empty.jpg").write_bytes(b"")
    said = []
    for _ in range(2):
        said.append([])
        open_store(tmp_path, "hr", files_source(picture_files(hr_dir)), report=said[-1].append)
    assert said[0] == said[1] and len(said[0]) == 2
    assert "left out: unreadable picture" in said[0][0] and "empty.jpg" in said[0][0]
    assert "1 of 4 pictures were left out of hr-" in said[0][1]


def test_of_many_pictures_left_out_the_first_are_named(tmp_path):
    def read(i):
        raise ValueError("broken") if i else OSError("cut short")

    def size(i):
        return (7, 11) if i == 40 else read(i)

    said = []
    open_store(tmp_path, "x", painted(41, 7, 11, size=size), report=said.append)
    assert len(said) == 22 and said[0] == "left out: unreadable picture 000000.png: cut short"
    assert said[20].startswith("left out: 20 more; ") and "left_out.txt" in said[20]
    assert "40 of 41 pictures were left out of x-" in said[21]


def test_deep_and_grey_pictures_are_rounded_to_rgb_of_8_bits(tmp_path):
    random = np.random.default_rng(1)
    grey, deep = (random.integers(0, 65536, (5, 7, *c), dtype=np.uint16) for c in ((), (3,)))
    (tmp_path / "in").mkdir()
    Image.fromarray(grey).save(tmp_path / "in" / "a.png")
    tifffile.imwrite(tmp_path / "in" / "b.tif", deep, photometric="rgb")
    store = open_store(tmp_path, "in", files_source(picture_files(tmp_path / "in")))
    np.testing.assert_array_equal(store[0], np.rint(grey / 257)[..., None].repeat(3, axis=2))
    np.testing.assert_array_equal(store[1], np.rint(deep / 257))


def test_links_to_nowhere_pipes_and_folders_are_left_out(hr_dir, tmp_path):
    (hr_dir / "link.png").symlink_to("/nowhere.png")
    os.mkfifo(hr_dir / "pipe.png")
    (hr_dir / "folder.png").mkdir()
    said = []
    folder = ImageFolder(hr_dir, scale=4, caches_dir=tmp_path / "caches", report=said.append)
    assert len(folder) == 3
    for name in ("link.png", "pipe.png", "folder.png"):
        assert any(f"left out: unreadable picture {hr_dir / name}: " in line for line in said)


def test_names_that_are_not_utf8_can_be_printed(hr_dir, tmp_path):
    (hr_dir / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    said = []
    open_store(tmp_path, "hr", files_source(picture_files(hr_dir)), report=said.append)
    assert said and all(line.encode() for line in said)
    assert r"caf\xe9.png" in said[0]


def test_an_interrupted_store_is_continued(hr_dir, tmp_path):
    source = files_source(picture_files(hr_dir))
    read_numbers = []

    def dies_at_the_second(number):
        if number == 1:
            raise KeyboardInterrupt
        return source.read(number)

    def counted(number):
        read_numbers.append(number)
        return source.read(number)

    broken = source.__class__(source.names, source.digest, source.size, dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        open_store(tmp_path, "hr", broken, workers=1)
    counting = source.__class__(source.names, source.digest, source.size, counted)
    store = open_store(tmp_path, "hr", counting, workers=1)
    np.testing.assert_array_equal(store[1], read(hr_dir / "picture1.png"))
    assert 0 not in read_numbers and {1, 2} <= set(read_numbers)
    open_store(tmp_path, "hr", broken)  # finished: nothing is read again


def test_changed_pictures_make_a_new_store(hr_dir, tmp_path):
    before = ImageFolder(hr_dir, scale=2, caches_dir=tmp_path / "caches").pairs[0][1].copy()
    save(hr_dir / "picture0.png", 255 - read(hr_dir / "picture0.png")[::-1].copy())
    after = ImageFolder(hr_dir, scale=2, caches_dir=tmp_path / "caches").pairs[0][1]
    assert not np.array_equal(before, after)


def test_equal_names_sizes_and_times_do_not_make_equal_stores(tmp_path):
    """As where two archives are unpacked, each into its folder, or one after the other."""
    for place, level in (("A", 30), ("B", 200), ("A", 90)):
        file = tmp_path / place / "HR" / "1.bmp"
        save(file, np.full((96, 96, 3), level, np.uint8))
        os.utime(file, (0, 0))
        folder = ImageFolder(file.parent, scale=4, caches_dir=tmp_path / "caches")
        assert folder.pairs[0][1].mean() == level


def test_the_digest_is_of_the_pixels(hr_dir, tmp_path):
    """Moved or copied pictures are still those that a run was begun with."""
    first, moved = (tmp_path / name for name in ("hr", "moved"))
    digests = []
    for caches in ("a", "b"):
        store = open_store(tmp_path / caches, "x", files_source(picture_files(first)))
        digests.append(store.digest)
        shutil.copytree(first, moved)
        first.rename(tmp_path / f"before-{caches}")
        moved.rename(first)
    assert digests[0] == digests[1] and len(digests[0]) == 64
    save(first / "picture1.png", 255 - read(first / "picture1.png"))
    changed = open_store(tmp_path / "b", "x", files_source(picture_files(first)))
    assert changed.digest != digests[0]


# --- memory ------------------------------------------------------------------------------------


def test_paths_are_a_sequence(tmp_path):
    names = ["a/b.png", "ü.png", os.fsdecode(b"not \xff utf-8.png"), "c.png"]
    paths = Paths(names)
    assert [str(path) for path in paths] == names and len(paths) == 4
    assert paths[-1].name == "c.png" and list(paths[1:3]) == list(paths)[1:3]
    assert len(Paths([])) == 0
    with pytest.raises(IndexError):
        paths[4]


def test_thousands_of_pictures_are_built_in_little_memory(tmp_path):
    """Kept as strings, the names take 0.5 MB, as paths 3.2."""
    source = painted(5_000, 8, 8)
    assert peak_bytes(lambda: Paths(f"{n:040}.png" for n in range(5_000))) < 0.4e6
    assert peak_bytes(lambda: build(source, tmp_path, workers=2)) < 1e6
    store = build(source, tmp_path)
    assert [int(store[i][7, 7, 2]) for i in (0, 1, 4_999)] == [0, 1, 4_999 % 251]


def test_decoded_pictures_do_not_wait_in_memory(tmp_path):
    source = painted(64, 512, 683)  # 1 MB each
    assert peak_bytes(lambda: build(source, tmp_path, workers=2)) < 12e6


def test_windows_of_a_large_store_leave_no_pages_in_the_process(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_MAPPED_BYTES", 1 << 20)
    store = build(painted(120, 683, 1021), tmp_path)  # 250 MB
    store.window(0, 0, 0, 683, 1021).sum()
    before = psutil.Process().memory_info().rss
    for number in range(120):
        assert store.window(number, 0, 0, 683, 1021)[-1, -1, 0] == number
    assert psutil.Process().memory_info().rss - before < 30e6


@pytest.mark.parametrize("mapped_bytes", [0, 1 << 30])
def test_windows_are_parts_of_the_pictures(hr_dir, tmp_path, monkeypatch, mapped_bytes):
    monkeypatch.setattr(store_module, "_MAPPED_BYTES", mapped_bytes)
    files = picture_files(hr_dir)
    store = open_store(tmp_path, "hr", files_source(files))
    for number, file in enumerate(files):
        np.testing.assert_array_equal(store[number], read(file))
        window = store.window(np.int64(number), np.int64(7), 11, 13, 17)
        np.testing.assert_array_equal(window, read(file)[7:20, 11:28])


# --- bad input ---------------------------------------------------------------------------------


def test_a_pixel_file_of_another_length_is_refused(tmp_path):
    build(painted(5, 7, 11), tmp_path)
    (pixels,) = tmp_path.glob("*/pixels.u8")
    os.truncate(pixels, 1000)
    with pytest.raises(ValueError, match="has 1000 bytes, not the 1155 it was finished with: remo"):
        build(painted(5, 7, 11), tmp_path)


@pytest.mark.parametrize("content", ["", "{"])
def test_a_description_cut_short_is_named(tmp_path, content):
    build(painted(5, 7, 11), tmp_path)
    (facts,) = tmp_path.glob("*/store.json")
    facts.write_text(content)
    with pytest.raises(
        ValueError, match=r"store\.json is damaged .*remove the folder .*built again"
    ):
        build(painted(5, 7, 11), tmp_path)


def test_a_pixel_file_cut_while_it_is_read_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_MAPPED_BYTES", 0)
    store = build(painted(5, 7, 11), tmp_path)
    (pixels,) = tmp_path.glob("*/pixels.u8")
    os.truncate(pixels, 1000)
    assert store[3].shape == (7, 11, 3)
    with pytest.raises(OSError, match=r"pixels\.u8 ends before byte 1155: it was cut short"):
        store[4]


def test_a_full_disk_stops_the_build_and_leaves_no_picture_out(tmp_path):
    """A limit on the size of files, set once the file is laid out, stands for the full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    said, source = [], painted(5, 7, 11)  # 231 bytes each

    def read_on_a_full_disk(number):
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
        return source.read(number)

    full = painted(5, 7, 11, read=read_on_a_full_disk)
    try:
        with pytest.raises(OSError, match="no space left for the pixels"):
            open_store(tmp_path, "a", full, workers=1, report=said.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    store = open_store(tmp_path, "a", source, report=said.append)
    assert store.sizes.all() and [int(store[i][6, 10, 2]) for i in range(5)] == list(range(5))
    assert not said


def test_a_picture_that_changes_its_size_during_the_build_is_left_out(tmp_path):
    """Written as it is, it would lie over its neighbour."""
    source = painted(3, 7, 11, read=lambda i: np.full((7 + (i == 1), 11, 3), i, np.uint8))
    store = build(source, tmp_path)
    assert store.sizes.tolist() == [[7, 11], [0, 0], [7, 11]]
    assert np.unique(store[2]) == [2]


def test_one_process_builds_and_the_others_wait(tmp_path):
    """Two locks of one file exclude each other, so that a thread stands for a process."""
    directory = tmp_path / f"painted-{painted(5, 7, 11).digest[:12]}"
    directory.mkdir()
    said, stores, waiting = [], [], threading.Event()

    def report(sentence):
        said.append(sentence)
        waiting.set()

    def wait_and_open():
        stores.append(open_store(tmp_path, "painted", painted(5, 7, 11), report=report))

    with FileLock(directory / "lock"):
        thread = threading.Thread(target=wait_and_open)
        thread.start()
        assert waiting.wait(10) and not stores
    thread.join(10)
    assert said == [f"waiting for another process, which builds {directory}"]
    assert isinstance(stores[0], PictureStore) and stores[0][4][0, 0, 0] == 4
