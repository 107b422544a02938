"""What a run leaves for people: a progress bar, metrics.jsonl, TensorBoard, pictures, curves."""

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from model import resolve_single
from train.curves import draw_run

_DRAW_EVERY_S = 60
_PICTURE_PX = 96  # LR side of the validation crop drawn at each evaluation


class RunLog:
    """Writes the numbers and pictures of one run; a context manager.

    Lines of ``metrics.jsonl`` later than `step` are dropped first: they were written by a session
    that was killed before its next checkpoint, and will be written again.

    Args:
        directory: Folder of the run.
        step: Step the session begins at.
        steps: Step it ends at.
        writes: False: everything goes to a folder that is thrown away, and no bar is shown.
    """

    def __init__(self, directory, step, steps, *, writes=True):
        self._thrown_away = None if writes else tempfile.TemporaryDirectory()
        self._directory = directory = directory if writes else Path(self._thrown_away.name)
        (directory / "pictures").mkdir(parents=True, exist_ok=True)
        _drop_lines_after(directory / "metrics.jsonl", step)
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

    def go_back_to(self, step):
        """Forget what came after a step."""
        self._bar.n = step
        _drop_lines_after(self._directory / "metrics.jsonl", step)

    def numbers(self, step, numbers):
        """Write a dict of numbers to metrics.jsonl and TensorBoard."""
        line = {"step": step, "session_s": round(time.monotonic() - self._started_at, 1)} | numbers
        with (self._directory / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        with self._board.as_default(step):
            for name, value in numbers.items():
                tf.summary.scalar(name, value)
        if time.monotonic() - self._drawn_at > _DRAW_EVERY_S:
            draw_run(self._directory)
            self._drawn_at = time.monotonic()

    def picture(self, step, picture):
        """Write an (H, W, 3) uint8 picture to pictures/ and TensorBoard."""
        file = self._directory / "pictures" / f"step-{step:07}.png"
        tf.io.write_file(str(file), tf.io.encode_png(picture))
        with self._board.as_default(step):
            tf.summary.image("LR, SR, HR", np.asarray(picture)[None])


def _drop_lines_after(file, step):
    if file.exists():
        lines = [line for line in file.read_text().splitlines(True) if line.endswith("\n")]
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        file.write_text("".join(kept))


def side_by_side(model, lr, hr):
    """Return LR (enlarged, nearest), SR and HR of the middle of a pair, side by side, uint8."""
    scale = hr.shape[0] // lr.shape[0]
    lr = _middle(lr, _PICTURE_PX)
    enlarged = tf.repeat(tf.repeat(lr, scale, axis=0), scale, axis=1)
    row = [enlarged, resolve_single(model, lr), _middle(hr, _PICTURE_PX * scale)]
    return tf.concat([tf.cast(picture, tf.uint8) for picture in row], axis=1)


def _middle(picture, px):
    height, width = (min(px, n) for n in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]
