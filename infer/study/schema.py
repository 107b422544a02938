"""The file of a new study: SQLite with a write-ahead log, and a link for each person."""

import contextlib
import json
import os
import secrets
import sqlite3
import time
from pathlib import Path

FILE, PICTURES = "study.db", "pictures"
LOW, REFERENCE = -2, -1
"""Numbers, in the place of a result's, of the two pictures that are shown for comparison."""

_LINK_LETTERS, _LINK_LENGTH = "23456789abcdefghijkmnpqrstuvwxyz", 12  # 60 bits, easy to type
_SCHEMA = """
CREATE TABLE study (variants TEXT NOT NULL, made_at REAL NOT NULL);
CREATE TABLE scenes (scene INTEGER PRIMARY KEY, set_name TEXT, name TEXT, height INT, width INT);
CREATE TABLE pictures (picture TEXT PRIMARY KEY, scene INT, result INT, UNIQUE (scene, result));
CREATE TABLE people (person INTEGER PRIMARY KEY, link TEXT UNIQUE, browser_window INT DEFAULT 0,
    consent_at REAL, screen TEXT);
CREATE TABLE items (person INT, position INT, kind TEXT, scene INT, shown_order TEXT,
    elapsed_ms INT DEFAULT 0, done_at REAL, PRIMARY KEY (person, position));
CREATE TABLE ratings (person INT, position INT, slot INT,
    score INT NOT NULL CHECK (score BETWEEN 1 AND 5), given_at REAL,
    PRIMARY KEY (person, position, slot)) WITHOUT ROWID;
"""


def create(folder, results, scenes, pictures, plan):
    """Write the file of a new study.

    Args:
        folder: Where.
        results: Names of the variants, and of the hidden reference.
        scenes: Rows ``(set, name, height, width)``.
        pictures: Rows ``(picture, scene, result)``: name of a file, without its ending, number of
            its scene, and of its result (or `LOW`, `REFERENCE`).
        plan: For each person the `infer.study.plan.Item`s.
    """
    with contextlib.closing(connect(Path(folder, FILE), new=True)) as sql:
        sql.executescript(_SCHEMA)
        sql.execute("BEGIN")
        sql.execute("INSERT INTO study VALUES (?, ?)", (json.dumps(results), time.time()))
        sql.executemany("INSERT INTO scenes VALUES (?, ?, ?, ?, ?)", _numbered(scenes))
        sql.executemany("INSERT INTO pictures VALUES (?, ?, ?)", pictures)
        for person, items in enumerate(plan):
            link = "".join(secrets.choice(_LINK_LETTERS) for _ in range(_LINK_LENGTH))
            sql.execute("INSERT INTO people (person, link) VALUES (?, ?)", (person, link))
            rows = ((person, n, i.kind, i.scene, json.dumps(i.order)) for n, i in enumerate(items))
            sql.executemany(
                "INSERT INTO items (person, position, kind, scene, shown_order) "
                "VALUES (?, ?, ?, ?, ?)",
                rows,
            )
        sql.execute("COMMIT")
    os.chmod(Path(folder, FILE), 0o600)  # it holds everybody's links


def _numbered(rows):
    return [(number, *row) for number, row in enumerate(rows)]


def connect(file, new=False):
    """Open a file of SQLite that is there (or is to be made) with durable transactions."""
    mode = "rwc" if new else "rw"
    sql = sqlite3.connect(
        f"{file.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=10
    )
    sql.execute("PRAGMA journal_mode = WAL")
    sql.execute("PRAGMA synchronous = FULL")
    return sql
