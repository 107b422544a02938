"""Ratings for other programs: long CSV, and the table and data set that Netflix's sureal reads."""

import csv
import io
import json

import numpy as np


def files(ratings):
    """``{name: bytes}`` of ``ratings.csv``, ``sureal.csv`` and ``sureal.json``.

    `ratings` is an `infer.study.ratings.Ratings`. ``sureal.json`` is what ``sureal --dataset``
    reads, with repeated ratings. ``sureal.csv`` has a row an item and a column a person, first
    ratings only, empty where a person did not rate it: the layout of that project's
    ``mos_to_sureal.py``, which takes no empty cells.
    """
    return {
        "ratings.csv": _csv(_long(ratings)),
        "sureal.csv": _csv(_wide(ratings)),
        "sureal.json": json.dumps(_data_set(ratings), indent=1).encode(),
    }


def _long(ratings):
    yield "person", "position", "set", "scene", "variant", "repeat", "score", "seconds_of_screen"
    for n, person in enumerate(ratings.person):
        scene = ratings.scene[n]
        for name, score in zip(ratings.results, ratings.scores[n], strict=True):
            yield (
                *(person + 1, ratings.position[n], ratings.sets[scene], ratings.scenes[scene]),
                *(name, int(ratings.repeat[n]), int(score), round(ratings.seconds[n], 3)),
            )


def _wide(ratings):
    first = ratings.first()
    people, item_scores = np.unique(first.person), _by_item(first)
    yield "PVS_ID", *(f"S{person + 1}" for person in people)
    for (scene, result), scores in item_scores.items():
        cells = (scores.get(person, [""])[0] for person in people)
        yield f"STUDY_SRC{scene:03}_HRC{result:02}", *cells


def _data_set(ratings):
    scenes = sorted(set(ratings.scene.tolist()))
    content = {scene: number for number, scene in enumerate(scenes)}
    names = [f"{ratings.sets[scene]}/{ratings.scenes[scene]}".lstrip("/") for scene in scenes]
    last = len(ratings.results) - 1

    def path(scene, result):
        return f"{names[content[scene]]}/{ratings.results[result]}"

    return {
        "dataset_name": "study",
        "ref_score": 5,
        "ref_videos": [
            {"content_id": n, "content_name": name, "path": path(scene, last)}
            for n, (scene, name) in enumerate(zip(scenes, names, strict=True))
        ],
        "dis_videos": [
            {
                "content_id": content[scene],
                "asset_id": number,
                "path": path(scene, result),
                "os": {f"S{p + 1}": s if len(s) > 1 else s[0] for p, s in scores.items()},
            }
            for number, ((scene, result), scores) in enumerate(_by_item(ratings).items())
        ],
    }


def _by_item(ratings):
    """(scene, result) → person → scores, in the order in which they were given."""
    items = {}
    for n in np.lexsort((ratings.position, ratings.person, ratings.scene)):
        scene, person = int(ratings.scene[n]), int(ratings.person[n])
        for result, score in enumerate(ratings.scores[n]):
            items.setdefault((scene, result), {}).setdefault(person, []).append(int(score))
    return items


def _csv(rows):
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().encode()
