"""What a run leaves for people: a progress bar, metrics.jsonl, TensorBoard, pictures."""

import json
import time

import numpy as np
import tensorflow as tf
from tqdm import tqdm


class RunLog:
    """Writes the numbers and pictures of one run; a context manager.

    Lines of ``metrics.jsonl`` later than `step` are dropped first: they were written by a session
    that was killed before its next checkpoint, and will be written again.

    Args:
        directory: Folder of the run.
        step: Step the session begins at.
        steps: Step it ends at.
    """

    def __init__(self, directory, step, steps):
        self._directory = directory
        (directory / "pictures").mkdir(parents=True, exist_ok=True)
        _drop_lines_after(directory / "metrics.jsonl", step)
        self._bar = tqdm(total=steps, initial=step, unit="step", disable=None, dynamic_ncols=True)
        self._board = tf.summary.create_file_writer(str(directory / "tensorboard"))
        self._started_at = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()
        self._board.close()

    def advance(self, losses):
        """Move the bar by one step and show its losses, a dict of numbers."""
        self._bar.set_postfix(
            {name: f"{value:.4g}" for name, value in losses.items()}, refresh=False
        )
        self._bar.update()

    def numbers(self, step, numbers):
        """Write a dict of numbers to metrics.jsonl and TensorBoard."""
        line = {"step": step, "session_s": round(time.monotonic() - self._started_at, 1)} | numbers
        with (self._directory / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        with self._board.as_default(step):
            for name, value in numbers.items():
                tf.summary.scalar(name, value)

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
