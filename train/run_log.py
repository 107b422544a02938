"""What a run leaves for people: a progress bar, metrics.jsonl, TensorBoard, pictures, curves."""

import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from model import resolve_single
from train.atomic_write import write_text
from train.curves import draw_run, read_metrics

_DRAW_EVERY_S = 60
_PICTURE_PX = 96  # LR side of the validation crop drawn at each evaluation


class RunLog:
    """Writes the numbers and pictures of one run; a context manager.

    Lines of ``metrics.jsonl`` later than `step` are dropped first: they were written by a session
    that was killed before its next checkpoint, and will be written again.

    Args:
        directory: Folder of the run.
        step: Step the session begins at.
        steps: Step it ends at; None: not known yet.
        writes: False: everything goes to a folder that is thrown away, and no bar is shown.
    """

    def __init__(self, directory, step, steps, *, writes=True):
        self._thrown_away = None if writes else tempfile.TemporaryDirectory()
        self._logged = {line["step"] for line in read_metrics(directory)}
        self._directory = directory = directory if writes else Path(self._thrown_away.name)
        (directory / "pictures").mkdir(parents=True, exist_ok=True)
        _drop_lines_after(directory, step)
        self._bar = tqdm(
            total=steps,
            initial=step,
            unit="step",
            disable=None if writes else True,  # None: shown on a terminal only
            dynamic_ncols=True,
        )
        self._board = tf.summary.create_file_writer(str(directory / "tensorboard"))
        self._started_at = self._drawn_at = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        draw_run(self._directory)
        self._bar.close()
        self._board.close()
        if self._thrown_away:
            self._thrown_away.cleanup()

    def advance(self, count, losses):
        """Move the bar by `count` steps and show the losses, a dict of numbers."""
        self._bar.set_postfix(
            {name: f"{value:.4g}" for name, value in losses.items()}, refresh=False
        )
        self._bar.update(count)

    def has(self, step):
        """Whether an earlier session has logged a step."""
        return step in self._logged

    def set_steps(self, steps):
        """Show another end."""
        self._bar.total = steps

    def go_back_to(self, step):
        """Forget what came after a step."""
        self._bar.n = step
        _drop_lines_after(self._directory, step)

    def numbers(self, step, numbers):
        """Write numbers, a dict, to TensorBoard and metrics.jsonl (null where not finite)."""
        line = {"step": step, "session_s": round(time.monotonic() - self._started_at, 1)}
        line |= {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        _append(self._directory / "metrics.jsonl", json.dumps(line, allow_nan=False) + "\n")
        with self._board.as_default(step):
            for name, value in numbers.items():
                tf.summary.scalar(name, value)
        if time.monotonic() - self._drawn_at > _DRAW_EVERY_S:
            draw_run(self._directory)
            self._drawn_at = time.monotonic()

    def picture(self, step, picture):
        """Write an (H, W, 3) uint8 picture to pictures/ and TensorBoard."""
        file = self._directory / "pictures" / f"step-{step:07}.png"
        file.write_bytes(tf.io.encode_png(picture).numpy())
        with self._board.as_default(step):
            tf.summary.image("LR, SR, HR", np.asarray(picture)[None])


def _append(file, text):
    try:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:  # writing does not name the file
        raise OSError(error.errno, error.strerror, str(file)) from error


def _drop_lines_after(directory, step):
    file = directory / "metrics.jsonl"
    if file.exists():
        kept = [line for line in read_metrics(directory) if line["step"] <= step]
        write_text(file, "".join(json.dumps(line) + "\n" for line in kept))


def side_by_side(model, lr, hr):
    """Return LR (enlarged, nearest), SR and HR of the middle of a pair, side by side, uint8."""
    scale = hr.shape[0] // lr.shape[0]
    lr = _middle(lr, _PICTURE_PX)
    enlarged = tf.repeat(tf.repeat(lr, scale, axis=0), scale, axis=1)
    row = [enlarged, resolve_single(model, lr), _middle(hr, _PICTURE_PX * scale)]
    return tf.concat([to_uint8(picture) for picture in row], axis=1)


def to_uint8(pictures):
    """Pictures of any number type in 0..255 as uint8, rounded."""
    if pictures.dtype == tf.uint8:
        return pictures
    return tf.cast(tf.round(tf.clip_by_value(tf.cast(pictures, tf.float32), 0, 255)), tf.uint8)


def _middle(picture, px):
    height, width = (min(px, n) for n in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]
