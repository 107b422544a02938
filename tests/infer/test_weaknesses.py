"""Where a network is weak: regions from all layouts, what they are compared with, and refusals."""

import json

import numpy as np
import pytest

from data.pictures.read import load_image
from data.pictures.write import save_image
from infer.__main__ import main
from infer.regions import read_regions
from infer.weaknesses import findings, lines, summary
from model.edsr import edsr

HEIGHT, WIDTH = 122, 166
FACE, HOUSE = [20, 10, 31, 37], [100, 60, 40, 23]  # left, top, width, height


def texture():
    """Noise of one contrast everywhere."""
    return np.random.default_rng(3).integers(60, 190, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def coco(categories=((1, "face"), (2, "house")), boxes=((1, FACE), (2, HOUSE)), name="a.png"):
    return {
        "images": [{"id": 7, "file_name": f"train/{name}"}],
        "annotations": [{"image_id": 7, "category_id": c, "bbox": box} for c, box in boxes],
        "categories": [{"id": number, "name": label} for number, label in categories],
    }


def dlib(box=FACE):
    sides = dict(zip(("left", "top", "width", "height"), box, strict=True))
    attributes = " ".join(f"{side}='{value}'" for side, value in sides.items())
    return (
        f"<dataset><images><image file='x/a.png'><box {attributes}><label>face</label></box>"
        f"<box {attributes} ignore='1'/><box left='5' top='70' width='30' height='30'/>"
        "</image></images></dataset>"
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hr").mkdir()
    save_image(tmp_path / "hr" / "a.png", texture())
    (tmp_path / "coco.json").write_text(json.dumps(coco()))
    (tmp_path / "dlib.xml").write_text(dlib())
    (tmp_path / "masks").mkdir()
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:47, 20:51], mask[60:83, 100:140] = 1, 2
    mask[60:63, 100:103] = 0
    save_image(tmp_path / "masks" / "a.png", mask)
    return tmp_path


@pytest.mark.parametrize(
    ("place", "labels"),
    [
        ("coco.json", ["face", "house"]),
        ("dlib.xml", ["face", "object"]),
        ("masks", ["class 1", "class 2"]),
    ],
)
def test_every_layout_gives_the_same_face(folder, place, labels):
    regions = read_regions(folder / place)("a.png", texture())
    assert [region.label for region in regions] == labels
    face = regions[0]
    assert (face.y0, face.y1, face.x0, face.x1) == (10, 47, 20, 51) and face.mask.all()
    assert read_regions(folder / place)("another.png", texture()) == []


def test_masks_are_the_pixels_of_the_class(folder):
    house = read_regions(folder / "masks")("a.png", texture())[1]
    assert house.mask.shape == (23, 40) and house.mask.sum() == 23 * 40 - 9


def test_a_region_that_is_drawn_worse_is_told_and_its_equals_are_not(folder):
    hr = texture()
    sr = hr.astype(int) + 2
    sr[10:47, 20:51] += 8  # the face: an error of 10 grey levels in place of 2
    hr, sr = hr, sr.astype(np.uint8)
    regions = read_regions(folder / "coco.json")("a.png", hr)
    found, left_out = findings("a.png", sr, hr, regions)
    face, house = summary(found)
    assert left_out == 0 and (face["class"], house["class"]) == ("face", "house")
    decibels = [20 * np.log10(255 / error) for error in (10, 2)]
    assert face["psnr_db"] == pytest.approx(decibels, abs=1e-3)
    assert house["psnr_db"] == pytest.approx((decibels[1],) * 2, abs=1e-3)
    assert (face["worse_share"], house["worse_share"]) == (1, 0)
    table = list(lines([face, house]))
    assert table[1].split() == ["face", "1", "1", "28.13", "42.11", "-", "-", "100", "%"]


def test_a_region_is_compared_with_windows_of_its_contrast():
    """The right half is flat and exact: no equal of the face, which lies in noise."""
    hr = texture()
    hr[:, 83:] = 125  # the mean of the noise
    sr = hr.copy()
    sr[:, :83] += 3
    regions = read_regions_of_one(FACE)(hr)
    ((one,), left_out) = findings("a.png", sr, hr, regions)
    assert left_out == 0 and one.psnr_db[0] == pytest.approx(one.psnr_db[1], abs=1e-3)
    hr[:, 52:], hr[50:] = 125, 125  # now nothing else has noise
    assert findings("a.png", hr, hr, regions) == ([], 1)


def read_regions_of_one(box):
    from infer.detect import Detection
    from infer.regions import detected

    return lambda picture: detected(lambda _: [Detection(*box)], "face")("a.png", picture)


def test_lpips_is_measured_on_regions_that_are_large_enough():
    hr = texture()
    regions = read_regions_of_one([0, 0, 70, 64])(hr) + read_regions_of_one([90, 80, 30, 30])(hr)
    seen = []

    def distance(a, b):
        seen.append(a.shape)
        return np.abs(a - b).mean(axis=(1, 2, 3))

    found, _ = findings("a.png", hr, hr, regions, distance)
    assert [one.lpips is None for one in found] == [False, True]
    assert set(seen) == {(1, 64, 70, 3)}


def run(folder, *arguments):
    words = ["weaknesses", "--model", folder / "net.weights.h5", "--hr", folder / "hr", *arguments]
    return main([str(word) for word in words])


def test_command_prints_writes_crops_and_json(folder, capsys):
    edsr(2, 4, 1).save_weights(folder / "net.weights.h5")
    more = ["--regions", folder / "coco.json", "--crops", folder / "worst"]
    assert not run(folder, *more, "--json", folder / "a.json")
    out = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in out[2:]} == {"face", "house"}
    crop = load_image(folder / "worst" / "face-1.png")
    assert crop.shape == (37, 3 * 31, 3)
    np.testing.assert_array_equal(crop[:, 62:], texture()[10:47, 20:51])
    content = json.loads((folder / "a.json").read_text())
    assert len(content["regions"]) == 2 and {c["class"] for c in content["classes"]} == {
        "face",
        "house",
    }


BAD = {
    "outside.json": (coco(boxes=((1, [400, 5, 30, 30]),)), "face of a.png lies outside of its"),
    "unknown.json": (coco(boxes=((9, FACE),)), "annotation 0 has an unknown category_id, 9"),
    "half.json": ({"images": []}, "is no file of regions: KeyError 'categories'"),
    "other.json": (coco(name="b.png"), "no region to measure in the pictures of"),
    "small.json": (coco(boxes=((1, [5, 5, 9, 30]),)), "1 are smaller than 12 px or have nothing"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_regions_are_told_in_one_line(folder, capsys, name):
    edsr(2, 4, 1).save_weights(folder / "net.weights.h5")
    content, message = BAD[name]
    (folder / name).write_text(json.dumps(content))
    assert run(folder, "--regions", folder / name) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_what_is_no_place_of_regions_is_told(folder, capsys):
    edsr(2, 4, 1).save_weights(folder / "net.weights.h5")
    (folder / "a.txt").write_text("x")
    (folder / "bad.xml").write_text("<dataset>")
    (folder / "empty").mkdir()
    for place, message in (
        ("nowhere.json", "no file or folder of regions"),
        ("a.txt", "regions are a .json or .xml file or a folder of masks"),
        ("bad.xml", "is no file of regions: ParseError"),
        ("empty", "no label masks in"),
    ):
        assert run(folder, "--regions", folder / place) == 2
        assert message in capsys.readouterr().err
    save_image(folder / "masks" / "a.png", np.zeros((30, 30), np.uint8))
    assert run(folder, "--regions", folder / "masks") == 2
    assert f"a.png must be {WIDTH} × {HEIGHT} px, got (30, 30)" in capsys.readouterr().err
