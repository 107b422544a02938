"""FFHQ's layouts, splits, sizes and face boxes; what is left out."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from data import FFHQ
from data.batches import step_generator
from data.degrade import imresize
from data.faces import mixed
from data.pictures.read import load_image
from infer.detect import Detection, Mtcnn

SIZES = [(307, 311), (211, 199), (157, 181), (173, 167), (223, 227)]


def write(folder, sizes=SIZES):
    folder.mkdir(parents=True)
    random = np.random.default_rng(3)
    for i, size in enumerate(sizes):
        pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:05}.png")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "pictures")


def faces(folder, subset="all", detector=None, **options):
    options = {"caches_dir": folder.parent / "caches", "report": lambda _: None} | options
    return FFHQ(folder, subset, detector, **options)


def middle(picture):
    """A face that is half of the picture, in its middle, and an unlikely larger one."""
    height, width = picture.shape[:2]
    return [
        Detection(width / 4, height / 4, width / 2, height / 2, 0.95),
        Detection(0, 0, width, height, 0.6),
        Detection(0, 0, 20, 20, 0.99),
    ]


def test_whole_pictures_are_shrunk_to_a_drawn_size(folder):
    pairs = faces(folder, px=(80, 120)).pairs
    for i in range(len(SIZES)):
        lr, hr = pairs[i]
        shorter = int(step_generator(0, 0, i).integers(80, 121))
        picture = load_image(folder / f"{i:05}.png")
        height, width = (round(n * shorter / min(SIZES[i])) for n in SIZES[i])
        expected = imresize(picture, size=(height, width))
        np.testing.assert_array_equal(hr, expected[: height // 4 * 4, : width // 4 * 4])
        np.testing.assert_array_equal(lr, imresize(np.asarray(hr), 1 / 4))


def test_the_largest_likely_face_is_cut_out_with_padding(folder):
    pairs = faces(folder, detector=middle, px=(400, 500)).pairs  # larger than all: none is shrunk
    for i, (height, width) in enumerate(SIZES):
        top, bottom = round(height / 4 - 0.15 * height), round(height * 3 / 4 + 0.15 * height)
        left, right = round(width / 4 - 0.15 * width), round(width * 3 / 4 + 0.15 * width)
        expected = load_image(folder / f"{i:05}.png")[top:bottom, left:right]
        rows, columns = (n // 4 * 4 for n in expected.shape[:2])
        np.testing.assert_array_equal(pairs[i][1], expected[:rows, :columns])


def test_copies_are_the_same_pictures_in_other_sizes(folder):
    pairs = faces(folder, detector=middle, copies=3).pairs
    sizes = pairs.lr_sizes.reshape(3, len(SIZES), 2)
    assert len(pairs) == 3 * len(SIZES)
    assert (sizes.min(axis=2) >= 20).all() and (sizes.min(axis=2) <= 37).all()
    assert len({tuple(copy[0]) for copy in sizes}) > 1
    ratio = sizes[..., 0] / sizes[..., 1]
    np.testing.assert_allclose(ratio, ratio[:1].repeat(3, axis=0), atol=0.08)


def test_another_seed_draws_other_sizes_and_the_same_seed_the_same(folder):
    sizes = [faces(folder, seed=seed).pairs.lr_sizes for seed in (0, 0, 1)]
    np.testing.assert_array_equal(sizes[0], sizes[1])
    assert (sizes[0] != sizes[2]).any()


@pytest.mark.parametrize("layout", ["images1024x1024", "thumbnails128x128", "anything"])
def test_layouts(tmp_path, layout):
    root = tmp_path / "ffhq"
    for number in ("00000", "01000"):
        write(root / layout / number, SIZES[:2])
    (root / layout / "LICENSE.txt").write_text("as FFHQ has it")
    assert len(faces(root if layout != "anything" else root / layout).pairs) == 4


def test_full_pictures_are_preferred_to_thumbnails(tmp_path):
    write(tmp_path / "ffhq" / "images1024x1024", SIZES)
    write(tmp_path / "ffhq" / "thumbnails128x128", SIZES[:2])
    assert len(faces(tmp_path / "ffhq").pairs) == len(SIZES)


def test_splits():
    from data.faces import _of_subset

    for count, train, valid in ((70_000, 68_779, 1_200), (69_979, 68_779, 1_200), (1000, 983, 17)):
        files = list(range(count))
        assert _of_subset(files, "train") == files[:train]
        assert _of_subset(files, "valid") == files[-valid:]
        assert _of_subset(files, "all") == files


def upper_half(share):
    """A detector that takes the upper part of every picture for a face."""
    return lambda picture: [Detection(0, 0, picture.shape[1], share * picture.shape[0])]


class Part:
    """The same as an object."""

    def __init__(self, share):
        self.share = share

    def __call__(self, picture):
        return upper_half(self.share)(picture)


@pytest.mark.parametrize("kind", [upper_half, Part, lambda share: partial(lookup, share=share)])
def test_another_detector_makes_another_store(folder, kind):
    heights = [faces(folder, detector=kind(share)).pairs.lr_sizes[:, 0] for share in (0.3, 0.9)]
    assert (heights[0] < heights[1]).any()
    again = faces(folder, detector=kind(0.3))
    np.testing.assert_array_equal(again.pairs.lr_sizes[:, 0], heights[0])
    assert len(list((folder.parent / "caches").glob("*-faces-all-x4-*"))) == 2


def lookup(picture, share):
    return upper_half(share)(picture)


def test_detectors_that_differ_in_few_pictures_make_other_stores(folder):
    """Their settings tell them apart where the pictures looked into first do not."""

    def rare(picture, *, least):
        height, width = picture.shape[:2]
        return [Detection(0, 0, width, height / 2 if height in least else height)]

    pairs = [
        faces(folder, detector=partial(rare, least=least), px=(150, 150)).pairs
        for least in ((), (211,))
    ]
    assert (pairs[0].lr_sizes != pairs[1].lr_sizes).any()


def test_pictures_without_a_face_are_left_out_and_said(folder):
    said = []

    def only_large(picture):
        return middle(picture) if len(picture) > 200 else []

    pairs = faces(folder, detector=only_large, report=said.append).pairs
    assert len(pairs) == 3
    assert any("00002.png: no face was found in it" in sentence for sentence in said)
    with pytest.raises(ValueError, match="no face was found in it"):
        faces(folder, detector=only_large, strict=True, seed=5).stores()


@pytest.mark.slow
def test_with_mtcnn(shared, tmp_path):
    source = faces(shared / "data" / "faces", detector=Mtcnn(), caches_dir=tmp_path)
    pairs = source.pairs
    assert len(pairs) >= 9  # all but the dogs
    lr, hr = next(iter(source.dataset(3, hr_crop_px=64)))
    assert lr.shape == (3, 16, 16, 3) and hr.shape == (3, 64, 64, 3)


def test_mixed_batches_hold_both_and_start_anywhere(folder):
    a, b = faces(folder), faces(folder, detector=middle)
    parts = a.dataset(2, hr_crop_px=64, seed=1), b.dataset(3, hr_crop_px=64, seed=2)
    both = mixed(*parts)
    batches = list(both.take(3))
    for i, pair in enumerate(zip(*(part.take(3) for part in parts), strict=True)):
        for got, first, second in zip(batches[i], *pair, strict=True):
            np.testing.assert_array_equal(got, np.concatenate([first, second]))
    for again, expected in zip(next(iter(both.start_at(2))), batches[2], strict=True):
        np.testing.assert_array_equal(again, expected)
    assert [len(lr) for lr, _ in both.start_at(0, (1, 2)).take(1)] == [3]  # 1 of 2 and 2 of 3
    assert both.facts["mixed"][0] != both.facts["mixed"][1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": "test"}, "subset must be 'train', 'valid' or 'all', got 'test'"),
        ({"scale": 1}, "scale must be a whole number from 2 to 16, got 1"),
        ({"px": (90, 80)}, r"px must be two sizes, the smaller first, got \(90, 80\)"),
        ({"copies": 0}, "copies must be at least 1, got 0"),
        ({"subset": "valid"}, "5 pictures are too few to split; use subset='all'"),
    ],
)
def test_refuses(folder, options, message):
    with pytest.raises(ValueError, match=message):
        faces(folder, **options)


def test_a_missing_folder_says_where_ffhq_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="FFHQ is at https://github.com/NVlabs"):
        faces(tmp_path / "nowhere")
