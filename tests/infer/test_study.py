"""A study with people: what is planned, what a mistake costs, and what the report says."""

import collections
import csv
import json
import re
import shutil
import sqlite3
import sys

import numpy as np
import pytest

from data.pictures.read import load_image
from data.pictures.write import save_image
from infer.__main__ import main
from infer.study.database import Database
from infer.study.make import make
from infer.study.plan import RATING, REPEAT, TRAINING, plan
from infer.study.report import report
from infer.study.schema import PICTURES
from tests.infer.study_folder import SIZES, VARIANTS, made, rate_all, write_pictures


@pytest.mark.parametrize("people", [1, 7, 50])
def test_each_scene_is_rated_equally_often_by_different_people(people):
    sets = ["general"] * 30 + ["faces"] * 30
    items = plan(sets, 6, people, seed=3)
    assert len(items) == people
    counts = collections.Counter()
    for own in items:
        rated = [item.scene for item in own if item.kind == RATING]
        assert len(set(rated)) == len(rated) == 30
        assert sum(sets[scene] == "faces" for scene in rated) == 15
        counts.update(rated)
    assert max(counts.values()) - min(counts[scene] for scene in range(60)) <= 1


def test_orders_are_random_and_no_scene_comes_twice_in_a_row():
    items = plan(["set"] * 6, 5, 40, share=0.5, repeats=2, training=5)
    for own in items:
        kinds = [item.kind for item in own]
        assert kinds[:5] == [TRAINING] * 5 and kinds.count(REPEAT) == 2 and len(own) == 10
        scenes = [item.scene for item in own]
        assert all(a != b for a, b in zip(scenes, scenes[1:], strict=False))
        before = [scenes[n] in scenes[5:n] for n in range(5, 10)]
        assert before == [kind == REPEAT for kind in kinds[5:]]
        assert all(sorted(item.order) == [0, 1, 2, 3, 4] for item in own)
        assert not {s for s, k in zip(scenes, kinds, strict=True) if k == RATING} & set(scenes[:3])
    assert len({tuple(item.scene for item in own) for own in items}) > 30
    assert len({item.order for own in items for item in own}) > 50
    assert items == plan(["set"] * 6, 5, 40, share=0.5, repeats=2, training=5)


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"share": 0}, "must be in 0..1, got 0"),
        ({"people": 0}, "number of people must be 1 or more, got 0"),
        ({"repeats": -1}, "repeated scenes must be 0 or more, got -1"),
        ({"repeats": 2}, "with 2 repeated scenes a person needs at least 3, got 2 of 4"),
        ({"scale": 1}, "2 times smaller or more, got 1"),
    ],
)
def test_numbers_out_of_range(tmp_path, options, sentence):
    variants = write_pictures(tmp_path)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make(tmp_path / "study", tmp_path / "hr", variants, **options)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hr", "v0", "v1"]


def test_what_is_shown_has_names_that_tell_nothing(tmp_path):
    study = Database(made(tmp_path))
    files = sorted((study.folder / PICTURES).iterdir())
    assert len(files) == len(SIZES) * (len(VARIANTS) + 3)
    assert all(re.fullmatch(r"[0-9a-f]{16}\.png", file.name) for file in files)
    shown = study.state(0)
    text = json.dumps(shown)
    assert not any(name in text for name in ("scene", *VARIANTS, "original"))
    low, reference, *results = (
        load_image(study.folder / PICTURES / f"{name}.png") for name in shown["item"]["pictures"]
    )
    assert {p.shape[:2] for p in (low, reference, *results)} == {reference.shape[:2]}
    same = [np.array_equal(reference, p) for p in results]
    assert sum(same) == 1 and not np.array_equal(low, reference), "the original hides among them"
    study.close()


def test_small_pictures_can_be_given(tmp_path):
    variants = write_pictures(tmp_path)
    for number, (height, width) in enumerate(SIZES):
        hr = np.full((height // 2 * 2, width // 2 * 2, 3), 40 * number, np.uint8)
        for folder, pixels in (("hr", hr), ("v0", hr), ("v1", hr), ("lr", hr[::2, ::2])):
            (tmp_path / folder).mkdir(exist_ok=True)
            save_image(tmp_path / folder / f"scene{number}.png", pixels)
    save_image(tmp_path / "v0" / "extra.png", hr)
    given = {"lr": tmp_path / "lr", "people": 2, "repeats": 1}
    remarks = make(tmp_path / "a", tmp_path / "hr", variants, **given)
    assert remarks == ["bicubic: 1 pictures without an original are left out"]
    save_image(tmp_path / "lr" / "scene1.png", hr[:, ::2])
    with pytest.raises(ValueError, match="scene1.png must be a whole number of times smaller"):
        make(tmp_path / "b", tmp_path / "hr", variants, **given)
    (tmp_path / "lr" / "scene1.png").unlink()
    with pytest.raises(ValueError, match=r"lr has no picture of .*scene1.png; --lr needs them all"):
        make(tmp_path / "b", tmp_path / "hr", variants, **given)
    assert not (tmp_path / "b").exists()


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Arguments of ``study make`` in a folder with pictures, run from there."""
    write_pictures(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = "study make --originals hr --variant a=v0 --variant b=v1 --people 3 --repeats 1"
    return [*words.split(), "-o", "study"]


def refused(words, capsys):
    assert main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_other_sizes_and_missing_pictures_are_named(command, capsys):
    save_image("v1/scene2.png", np.zeros((53, 70, 3), np.uint8))
    sentence = "v1/scene2.png must have the size of hr/scene2.png, 71 × 53 px, got 70 × 53"
    assert sentence in refused(command, capsys)
    for number in (1, 2):
        shutil.os.unlink(f"v1/scene{number}.png")
    sentence = "v1 has no picture of hr/scene1.png and of 1 more; b needs them all"
    assert sentence in refused(command, capsys)
    shutil.rmtree("v1")
    assert "no folder v1" in refused(command, capsys)
    shutil.os.mkdir("v1")
    assert "no pictures" in refused(command, capsys)
    assert sorted(shutil.os.listdir()) == ["hr", "v0", "v1"], "nothing half-made"


def test_two_files_of_one_name_and_broken_files(command, capsys):
    save_image("hr/scene1.bmp", np.zeros((47, 67, 3), np.uint8))
    assert "have one name" in refused(command, capsys)
    shutil.os.unlink("hr/scene1.bmp")
    with open("v0/scene3.png", "r+b") as file:
        file.truncate(60)
    assert "v0/scene3.png" in refused(command, capsys)
    assert sorted(shutil.os.listdir()) == ["hr", "v0", "v1"]


@pytest.mark.parametrize("variant", ["a", "=v1", "b="])
def test_a_variant_needs_name_and_folder(command, capsys, variant):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--variant", variant])
    assert ended.value.code == 2 and "must be NAME=DIR" in capsys.readouterr().err


def test_names_are_given_once(command, capsys):
    assert "a name of its own, got a, b, a" in refused([*command, "--variant", "a=v1"], capsys)
    assert main(command) == 0
    assert "is there already" in refused(command, capsys)


def test_a_study_that_is_none(tmp_path, capsys):
    assert "is no study" in refused(["study", "report", str(tmp_path)], capsys)
    assert "is no study" in refused(["study", "serve", str(tmp_path / "nowhere")], capsys)
    (tmp_path / "study.db").write_text("not a database, but long enough to be looked at" * 9)
    assert "is not the file of a study" in refused(["study", "report", str(tmp_path)], capsys)
    (tmp_path / "study.db").unlink()
    sqlite3.connect(tmp_path / "study.db").execute("CREATE TABLE other (x)").connection.close()
    assert main(["study", "report", str(tmp_path)]) in (1, 2)
    assert "study.db" in capsys.readouterr().err


def test_serving_needs_a_package_and_says_which(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "infer.study.serve", raising=False)
    line = refused(["study", "serve", str(made(tmp_path))], capsys)
    assert "needs uvicorn: pip install 'whole-pictures[study]'" in line


@pytest.fixture
def rated(tmp_path):
    """A study that four people rated, and what they gave: (person, {result: score})."""
    folder = made(tmp_path)
    study = Database(folder)
    given = [(p, scores) for p in range(4) for scores in rate_all(study, p)]
    study.close()
    return folder, given


def rows(text, header):
    """Cells of the table below a header, by first cell."""
    table = text.split(f"{header}\n")[1].strip().splitlines()
    lines = [line for line in table[: table.index("")] if line.startswith("|")][2:]
    return {
        cells[0]: cells[1:] for cells in ([c.strip() for c in x.split("|")[1:-1]] for x in lines)
    }


def test_the_report_says_what_people_gave(rated, tmp_path):
    folder, _ = rated
    moved = shutil.move(folder, tmp_path / "elsewhere")  # a study can be moved
    report(moved, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    with open(tmp_path / "report" / "ratings.csv", newline="") as file:
        ratings = [row for row in csv.DictReader(file) if row["repeat"] == "0"]
    table = rows(text, "### all scenes: 4 people, 4 scenes")
    assert list(table) == ["bicubic", "&lt;b&gt;net&#124;work&lt;/b&gt;", "original (hidden)"]
    assert "<b>" not in text
    for name, cells in zip((*VARIANTS, "original (hidden)"), table.values(), strict=True):
        scores = [int(row["score"]) for row in ratings if row["variant"] == name]
        assert cells[0] == str(len(scores)) == "8"
        assert cells[1] == f"{np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}"
    assert "4 links; 4 people rated, 4 of them to the end: 12 screens, 36 scores" in text
    assert "Of 12 pictures that were rated twice by one person" in text
    assert "the median is 14 s" in text
    for name in ("mos", "people", "times"):
        assert load_image(tmp_path / "report" / f"{name}.png").shape[1] > 400


def test_ratings_are_attached_to_what_was_shown(rated, tmp_path):
    """Training does not count; all else is in the CSV, by the variant and not by the place."""
    folder, given = rated
    report(folder, tmp_path / "report")
    with open(tmp_path / "report" / "ratings.csv", newline="") as file:
        found = collections.Counter(
            (int(row["person"]) - 1, row["variant"], int(row["score"]))
            for row in csv.DictReader(file)
        )
    names = (*VARIANTS, "original (hidden)")
    expected = collections.Counter()
    for person in range(4):
        screens = [scores for who, scores in given if who == person][1:]  # the first is training
        expected.update((person, names[r], s) for scores in screens for r, s in scores.items())
    assert found == expected


def test_a_report_before_the_first_rating(tmp_path, capsys):
    assert "no ratings yet" in refused(["study", "report", str(made(tmp_path))], capsys)


def test_a_report_of_one_person(tmp_path, capsys):
    folder = made(tmp_path, people=1)
    study = Database(folder)
    rate_all(study, 0)
    study.close()
    assert main(["study", "report", str(folder)]) == 0
    assert "| – | – |" in capsys.readouterr().out
    assert main(["study", "report", str(folder)]) == 0, "a report replaces the one before"


def test_sets_are_told_apart(tmp_path):
    variants = write_pictures(tmp_path, sets=("faces", "general"))
    make(tmp_path / "study", tmp_path / "hr", variants, people=3, repeats=1, training=0)
    study = Database(tmp_path / "study")
    for person in range(3):
        rate_all(study, person)
    study.close()
    text = report(tmp_path / "study", tmp_path / "report")
    heads = re.findall(r"^### (\w[\w ]*): 3 people, (\d) scenes", text, re.MULTILINE)
    assert heads == [("faces", "4"), ("general", "4"), ("all scenes", "8")]


def test_sureal_reads_the_export_and_agrees(rated, tmp_path):
    sureal = pytest.importorskip("sureal", reason="needs the package sureal")
    from sureal.dataset_reader import RawDatasetReader
    from sureal.tools.misc import import_json_file

    folder, _ = rated
    report(folder, tmp_path / "report")
    reader = RawDatasetReader(import_json_file(tmp_path / "report" / "sureal.json"))
    theirs = sureal.P910AnnexEModel(reader).run_modeling()
    names = [video["path"].rpartition("/")[2] for video in reader.dis_videos]
    table = rows(
        (tmp_path / "report" / "report.md").read_text(), "### all scenes: 4 people, 4 scenes"
    )
    means = [cells[4].split(" ± ")[0] for cells in table.values()]
    for name, mean in zip(("bicubic", "b>", "original (hidden)"), means, strict=True):
        own = [q for n, q in zip(names, theirs["quality_scores"], strict=True) if n == name]
        assert mean == f"{np.mean(own):.3f}"
