"""A small study of noise pictures, served, and people who click through it."""

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np

from data.pictures.write import save_image
from infer.study.make import make

ROOT = Path(__file__).parents[2]
SCREEN = {"ratio": 1, "zoom": 100, "width": 1280, "height": 800}
SIZES = [(61, 83), (47, 67), (53, 71), (59, 79)]
VARIANTS = ("bicubic", "<b>net|work</b>")


def write_pictures(folder, sets=("",), variants=VARIANTS):
    """Originals in ``hr`` and a folder a variant, with their names in return."""
    random = np.random.default_rng(11)
    folders = {name: folder / f"v{number}" for number, name in enumerate(variants)}
    for set_name in sets:
        for number, size in enumerate(SIZES):
            hr = random.integers(0, 256, (*size, 3), dtype=np.uint8)
            for where, pixels in ((folder / "hr", hr), *((f, hr // 2) for f in folders.values())):
                (where / set_name).mkdir(parents=True, exist_ok=True)
                save_image(where / set_name / f"scene{number}.png", pixels)
    return {name: str(where) for name, where in folders.items()}


def made(tmp_path, people=4, **options):
    """Folder of a new study of four scenes in one set."""
    variants = write_pictures(tmp_path)
    options = {"repeats": 1, "training": 1} | options
    make(tmp_path / "study", tmp_path / "hr", variants, people=people, **options)
    return tmp_path / "study"


def rate_all(study, person, quality=(2, 3, 5), seed=0):
    """Let a person rate everything in an open `Database`; returns their scores by result."""
    random, given = np.random.default_rng((seed, person)), []
    window = study.open_window(person)["window"]
    study.agree(person, window)
    study.check_screen(person, window, SCREEN)
    orders = orders_of(study, person)
    while item := study.state(person)["item"]:
        order = orders[item["position"]]
        scores = [int(np.clip(quality[r] + random.integers(-1, 2), 1, 5)) for r in order]
        if len(set(scores)) == 1:
            continue
        for slot, score in enumerate(scores):
            study.rate(person, window, item["position"], slot, score, 1000 * slot)
        study.finish(person, window, item["position"], 12_000 + 1000 * person)
        given.append({result: score for result, score in zip(order, scores, strict=True)})
    return given


def orders_of(study, person):
    """The planned orders of results, read from the file of the study as nobody with a link can."""
    with contextlib.closing(sqlite3.connect(study.file)) as sql:
        query = "SELECT shown_order FROM items WHERE person = ? ORDER BY position"
        return [json.loads(text) for (text,) in sql.execute(query, (person,))]


def stored(folder):
    """(person, position, slot) → score of all ratings in the file."""
    with contextlib.closing(sqlite3.connect(Path(folder, "study.db"))) as sql:
        rows = sql.execute("SELECT person, position, slot, score FROM ratings").fetchall()
    assert len({row[:3] for row in rows}) == len(rows)
    return {row[:3]: row[3] for row in rows}


@contextlib.contextmanager
def server(folder, port):
    """``study serve`` as a process; yields it and the links that it prints."""
    words = ["study", "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "infer", *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        count = int(process.stdout.readline().split()[0])
        links = [process.stdout.readline().split()[1] for _ in range(count)]
        yield process, links
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]
