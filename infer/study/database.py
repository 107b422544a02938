"""The file of a study: its pictures, links and plan, and every rating from the moment it is given.

SQLite with a write-ahead log: each rating is one transaction that is on the disk before it is
acknowledged, so that neither a killed server nor a power cut loses one, and the key (person,
position, slot) keeps it from being there twice.
"""

import contextlib
import errno
import json
import sqlite3
import time
from pathlib import Path

from infer.study.plan import TRAINING
from infer.study.schema import FILE, LOW, REFERENCE, connect

LOWEST, HIGHEST = 1, 5

_LONGEST_MS = 24 * 3600 * 1000


class ConflictError(ValueError):
    """What a window asks for does not fit what is stored: another window has gone on."""


class Database:
    """An open study.

    Args:
        folder: Of the study.

    Raises:
        FileNotFoundError: There is no study.
        ValueError: Its file is not one of a study.
        OSError: It cannot be opened.
    """

    def __init__(self, folder):
        self.folder, self.file = Path(folder), Path(folder, FILE)
        if not self.file.is_file():
            raise FileNotFoundError(
                f"{folder} is no study: it has no {FILE}; `study make` makes one"
            )
        with self._sentences():
            self._sql = connect(self.file)
            (variants,) = self._sql.execute("SELECT variants FROM study").fetchone()
        self.results = json.loads(variants)

    def close(self):
        """Close the file; the log is written into it."""
        self._sql.close()

    def people(self):
        """Rows ``(person, link, consent_at, screen, screens done, screens)``, by number."""
        return self._all(
            "SELECT person, link, consent_at, screen, SUM(done_at IS NOT NULL), COUNT(*) "
            "FROM people JOIN items USING (person) GROUP BY person ORDER BY person"
        )

    def scenes(self):
        """Rows ``(scene, set, name)``."""
        return self._all("SELECT scene, set_name, name FROM scenes ORDER BY scene")

    def screens(self):
        """Finished screens that count: rows of a dict with person, scene, kind, … and `scores`.

        `scores` has an entry a result, in the order of `results`.
        """
        given = {}
        for person, position, slot, score in self._all(
            "SELECT person, position, slot, score FROM ratings"
        ):
            given.setdefault((person, position), {})[slot] = score
        rows = self._all(
            "SELECT person, position, kind, scene, shown_order, elapsed_ms FROM items WHERE "
            "done_at IS NOT NULL AND kind != ? ORDER BY person, position",
            TRAINING,
        )
        names = ("person", "position", "kind", "scene", "order", "elapsed_ms")
        for values in rows:
            row = dict(zip(names, values, strict=True))
            by_result = dict(enumerate(json.loads(row.pop("order"))))
            slots = {result: slot for slot, result in by_result.items()}
            scores = given[row["person"], row["position"]]
            yield row | {"scores": [scores[slots[r]] for r in range(len(self.results))]}

    def person_of(self, link):
        """Number of the person whose link it is; None: nobody's."""
        found = self._all("SELECT person FROM people WHERE link = ?", link)
        return found[0][0] if found else None

    def may_see(self, person, picture):
        """Whether a picture is one that a person rates or is shown for comparison."""
        return bool(
            self._all(
                "SELECT 1 FROM pictures JOIN items USING (scene) WHERE person = ? AND picture = ?",
                person,
                picture,
            )
        )

    def open_window(self, person):
        """Let a newly opened window take over; returns its `state`."""
        with self._writing():
            self._sql.execute(
                "UPDATE people SET browser_window = browser_window + 1 WHERE person = ?", (person,)
            )
        return self.state(person)

    def state(self, person):
        """What a window needs to go on: number of the window, progress, and the next screens."""
        (window, consent, screen), *_ = self._all(
            "SELECT browser_window, consent_at IS NOT NULL, screen IS NOT NULL FROM people "
            "WHERE person = ?",
            person,
        )
        open_items = self._open_items(person)
        (training, total), *_ = self._all(
            "SELECT SUM(kind = ?), COUNT(*) FROM items WHERE person = ?", TRAINING, person
        )
        items = [self._item(person, *row) for row in open_items[:2]]
        return {
            "window": window,
            "consent": bool(consent),
            "screen": bool(screen),
            "training": training,
            "total": total,
            "done": total - len(open_items),
            "item": items[0] if items else None,
            "next": items[1]["pictures"] if len(items) > 1 else [],
        }

    def agree(self, person, window):
        """Note that a person agrees to take part."""
        with self._writing(person, window):
            self._sql.execute(
                "UPDATE people SET consent_at = ? WHERE person = ?", (time.time(), person)
            )

    def check_screen(self, person, window, screen):
        """Note what a person's screen is like: a dict of a few numbers."""
        allowed = ("ratio", "zoom", "width", "height")
        numbers = [screen.get(name) for name in allowed] if isinstance(screen, dict) else [None]
        if not all(type(n) in (int, float) and 0 < n < 1e5 for n in numbers):
            raise ValueError(f"a screen has {', '.join(allowed)}, each above 0, got {screen!r}")
        text = json.dumps(dict(zip(allowed, numbers, strict=True)))
        with self._writing(person, window):
            self._sql.execute("UPDATE people SET screen = ? WHERE person = ?", (text, person))

    def rate(self, person, window, position, slot, score, elapsed_ms):
        """Keep one rating; a later one of the same picture replaces it while its screen is open.

        Args:
            person: Number.
            window: Number of the window that asks.
            position: Of the screen, which must be the person's first open one.
            slot: Which of its results, from 0.
            score: 1..5.
            elapsed_ms: For how long the screen has been looked at.

        Raises:
            ValueError: A number is out of its range.
            ConflictError: Another window has gone on.
            OSError: It could not be kept.
        """
        _check("a score", score, LOWEST, HIGHEST)
        _check("a slot", slot, 0, len(self.results) - 1)
        with self._writing(person, window):
            self._check_open(person, position)
            if not self._all("SELECT 1 FROM people WHERE person = ? AND consent_at > 0", person):
                raise ConflictError("agree to take part first")
            self._note_time(person, position, elapsed_ms)
            self._sql.execute(
                "INSERT INTO ratings VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "score = excluded.score, given_at = excluded.given_at",
                (person, position, slot, score, time.time()),
            )

    def finish(self, person, window, position, elapsed_ms):
        """Close a screen; closing it once more changes nothing.

        Raises:
            ValueError: A result has no score, or all have the same.
            ConflictError: Another window has gone on.
            OSError: It could not be kept.
        """
        with self._writing(person, window):
            done = "SELECT done_at FROM items WHERE person = ? AND position = ?"
            if self._all(done, person, position)[:1] not in ([(None,)], []):
                return
            self._check_open(person, position)
            scores = self._scores(person, position)
            missing = len(self.results) - len(scores)
            if missing:
                raise ValueError(f"{missing} of {len(self.results)} results have no score yet")
            if len(set(scores.values())) == 1:
                raise ValueError(
                    "you gave all results the same score: look again, at least one must differ"
                )
            self._note_time(person, position, elapsed_ms)
            self._sql.execute(
                "UPDATE items SET done_at = ? WHERE person = ? AND position = ?",
                (time.time(), person, position),
            )

    def _item(self, person, position, kind, scene, order, elapsed_ms):
        height, width = self._all("SELECT height, width FROM scenes WHERE scene = ?", scene)[0]
        pictures = dict(self._all("SELECT result, picture FROM pictures WHERE scene = ?", scene))
        shown = [LOW, REFERENCE, *json.loads(order)]
        return {
            "position": position,
            "training": kind == TRAINING,
            "height": height,
            "width": width,
            "pictures": [pictures[result] for result in shown],
            "scores": self._scores(person, position),
            "elapsed_ms": elapsed_ms,
        }

    def _open_items(self, person):
        return self._all(
            "SELECT position, kind, scene, shown_order, elapsed_ms FROM items "
            "WHERE person = ? AND done_at IS NULL ORDER BY position",
            person,
        )

    def _scores(self, person, position):
        return dict(
            self._all(
                "SELECT slot, score FROM ratings WHERE person = ? AND position = ?",
                person,
                position,
            )
        )

    def _check_window(self, person, window):
        query = "SELECT browser_window FROM people WHERE person = ?"
        if self._all(query, person) != [(window,)]:
            raise ConflictError("the study was opened in another window: go on there, or here")

    def _check_open(self, person, position):
        first = [row[0] for row in self._open_items(person)[:1]]
        if first != [position]:
            raise ConflictError("this screen is not the next one: load the page again to go on")

    def _note_time(self, person, position, elapsed_ms):
        _check("the time in ms", elapsed_ms, 0, _LONGEST_MS)
        self._sql.execute(
            "UPDATE items SET elapsed_ms = MAX(elapsed_ms, ?) WHERE person = ? AND position = ?",
            (elapsed_ms, person, position),
        )

    def _all(self, query, *values):
        with self._sentences():
            return self._sql.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _writing(self, person=None, window=None):
        """One transaction, of a person's newest window if one is named."""
        if not self.file.exists():
            raise FileNotFoundError(
                errno.ENOENT, "was moved or removed while it was in use", str(self.folder)
            )
        with self._sentences():
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                if person is not None:
                    self._check_window(person, window)
                yield
                self._sql.execute("COMMIT")
            finally:
                if self._sql.in_transaction:
                    self._sql.execute("ROLLBACK")

    @contextlib.contextmanager
    def _sentences(self):
        """Turn what SQLite raises into what the rest of the library does."""
        try:
            yield
        except sqlite3.OperationalError as error:
            number = errno.ENOSPC if "full" in str(error) else errno.EIO
            raise OSError(number, f"cannot be used ({error})", str(self.file)) from error
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{self.file} is not the file of a study ({error})") from error


def _check(what, number, least, most):
    if type(number) is not int or not least <= number <= most:
        raise ValueError(f"{what} must be a whole number in {least}..{most}, got {number!r}")
