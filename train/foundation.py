"""Foundation training: one restoration network on several kinds of damage in turn, then fine-tuned.

The turns and the growing crops belong to the data set (`data.tasks.rotation`), which is a function
of the step; so is the learning rate. The trainer therefore resumes exactly in the middle of a turn.
Every task is validated for itself, so that interference between tasks is seen.
"""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

from model.metrics import finite_psnr, ssim
from model.restoration import has_mask, restored
from train.losses import l1_loss
from train.options import TrainerOptions
from train.run_log import to_uint8
from train.schedules import cosine
from train.trainer import Trainer

ROTATE_EVERY = 250
STEPS = 50_000
CLIP_NORM = 0.01

PATCHES = (
    (0, 128, 64),
    (92, 160, 40),
    (156, 192, 32),
    (204, 256, 16),
    (240, 320, 8),
    (276, 384, 8),
)
"""Progressive patches: from step (of 300 thousand), side in px, batch size. arXiv:2111.09881,
section 4, implementation details."""

METRICS = {"psnr_rgb_db": finite_psnr, "ssim_rgb": ssim}
"""Name → function (clean, restored) → (B,), as validation shows them: RGB, no border cut."""

_EVALUATE_EVERY = 1000  # steps, of runs whose end is not known
_ONLY_TASK = ""  # of validation batches that are not given by task

_PICTURE_PX = 192  # side of the validation crops drawn at each evaluation


def progressive_stages(steps, *, px_factor=1.0, batch_factor=1.0):
    """Return the paper's stages for another number of steps, or for a smaller machine.

    Args:
        steps: Updates in all, in place of 300,000.
        px_factor: Factor on the crops' sides, which stay multiples of 8.
        batch_factor: Factor on the batch sizes, which stay at least 1.

    Returns:
        ``(first_step, crop_px, batch_size)`` a stage, for `data.tasks.rotation`.
    """
    return [
        (
            start * steps // 300,
            max(8, round(px * px_factor / 8) * 8),
            max(1, round(batch * batch_factor)),
        )
        for start, px, batch in PATCHES
    ]


def adamw(learning_rate):
    """Return AdamW with weight decay 1e-4. Reference: arXiv:2111.09881, section 4."""
    return keras.optimizers.AdamW(learning_rate, weight_decay=1e-4, epsilon=1e-8)


def mean_scores(answer, dataset, metrics):
    """Mean of each metric over all pictures of a data set.

    Args:
        answer: Function (damaged, valid_mask) → restored, uint8 batches.
        dataset: Batches (damaged, clean, valid_mask) in 0..255; without a mask all pixels are real.
        metrics: Name → function (clean, restored) → (B,).

    Returns:
        Name → float.

    Raises:
        ValueError: The data set is empty.
    """
    values = []
    for batch in dataset:
        damaged, clean, valid_mask = _pictures(batch)
        result = answer(damaged, valid_mask)
        values.append([metric(clean, result) for metric in metrics.values()])
    if not values:
        raise ValueError("nothing to evaluate: the data set is empty")
    means = [float(np.mean(np.concatenate(column))) for column in zip(*values, strict=True)]
    return dict(zip(metrics, means, strict=True))


def _pictures(batch):
    """Damaged, clean (uint8) and valid_mask of a validation batch, with or without a mask."""
    damaged, clean, *mask = batch
    damaged, clean = to_uint8(damaged), to_uint8(clean)
    return damaged, clean, mask[0] if mask else tf.ones_like(clean[..., :1])


class FoundationTrainer(Trainer):
    """Trains a restoration network on batches (damaged, clean, valid_mask) with L1 loss.

    Batches (damaged, clean) will do where no pixel is missing. The loss is that of pictures in
    0..1. Real pixels of a validation picture that also has damaged ones are kept as they are, with
    any network. `train` takes validation batches, or a dict of them by task.

    Args:
        model: `restormer(…)`, mask-aware or not; without masks it sees the damaged picture only.
        checkpoint_dir: Folder of the run. If it holds checkpoints, training resumes from the last.
        learning_rate: Number or schedule; by default 3e-4 to 1e-6 by cosine over `steps`.
        steps: Updates the default learning rate is made for.
        loss: Function ``(clean, restored) → scalar`` of pictures in 0..255, a mean; it is divided
            by 255.
        metrics: Name → function (clean, restored) → (B,), of uint8 batches; must include
            ``psnr_rgb_db``.
        options: `TrainerOptions`; without a `clip_norm`, the gradient's norm is clipped to 0.01.
        report: Called with one sentence an event.

    Then ``train(train_dataset, valid_dataset=None, steps=None, evaluate_every=1000, …)``, see
    `Trainer.train`; 50,000 steps by default.

    Reference: arXiv:2111.09881, section 4; the clipping is that of its published training.
    """

    STEPS = STEPS
    batch_sizes = (2, 3)
    optimizer = staticmethod(adamw)

    def __init__(
        self,
        model,
        checkpoint_dir=".ckpt/foundation",
        learning_rate=None,
        *,
        steps=STEPS,
        loss=l1_loss,
        metrics=None,
        options=None,
        report=print,
    ):
        rate = cosine(3e-4, 1e-6, steps) if learning_rate is None else learning_rate
        self.metrics = dict(metrics or METRICS)
        options = options or TrainerOptions()
        if options.clip_norm is None:
            options = dataclasses.replace(options, clip_norm=CLIP_NORM)
        super().__init__(model, loss, rate, checkpoint_dir, options=options, report=report)

    def losses(self, damaged, clean, valid_mask=None):
        """L1 loss of pictures in 0..1. Takes pictures in 0..255 and a mask, 1 = a real pixel.

        Of pictures with damaged pixels only these count: `restore` keeps the others.
        """
        if valid_mask is None:
            valid_mask = tf.ones_like(damaged[..., :1])
        inputs = [damaged, valid_mask] if has_mask(self.model) else damaged
        result = self.model(inputs, training=True)
        whole = tf.reduce_all(valid_mask > 0, axis=[1, 2, 3], keepdims=True)
        counts = whole | (valid_mask == 0)
        share = tf.reduce_mean(tf.cast(counts, tf.float32))  # never 0
        return (self.loss(clean, tf.where(counts, result, clean)) / share / 255,)

    def evaluate(self, dataset):
        """Mean of each metric over all pictures of one task; see `mean_scores`."""
        return mean_scores(functools.partial(restored, self.evaluated), dataset, self.metrics)

    def scores(self, valid_dataset):
        """Each metric of each task, ``task/metric``, and the mean PSNR of the tasks."""
        if not isinstance(valid_dataset, dict):
            return self.evaluate(valid_dataset)
        by_task = {task: self.evaluate(dataset) for task, dataset in valid_dataset.items()}
        numbers = {
            f"{task}/{name}": value
            for task, scores in by_task.items()
            for name, value in scores.items()
        }
        mean = np.mean([scores["psnr_rgb_db"] for scores in by_task.values()])
        return {"psnr_rgb_db": float(mean)} | numbers

    def check_data(self, train_dataset, valid_dataset, steps):
        """As `Trainer.check_data`, of each task."""
        super().check_data(train_dataset, None, steps)
        for dataset in _by_task(valid_dataset).values():
            super().check_data(train_dataset, dataset, steps)

    def validation_picture(self, valid_dataset):
        """Damaged, restored and clean crop of the first picture of each task, a row a task."""
        rows = []
        for dataset in _by_task(valid_dataset).values():
            parts = _pictures(next(iter(dataset)))
            damaged, clean, valid = (part[:1, :_PICTURE_PX, :_PICTURE_PX] for part in parts)
            row = tf.concat([damaged, restored(self.evaluated, damaged, valid), clean], axis=2)[0]
            missing = [
                [0, max(n - m, 0)]
                for n, m in zip((_PICTURE_PX, 3 * _PICTURE_PX), row.shape[:2], strict=True)
            ]
            rows.append(tf.pad(row, [*missing, [0, 0]]))
        return tf.concat(rows, axis=0)


def _by_task(valid_dataset):
    if valid_dataset is None or isinstance(valid_dataset, dict):
        return valid_dataset or {}
    return {_ONLY_TASK: valid_dataset}


def fine_tune(
    model,
    task,
    train_size,
    steps,
    *,
    datasets,
    checkpoint_dir,
    valid_size=8,
    learning_rate=None,
    evaluate_every=None,
    metrics=None,
    options=None,
    hours=None,
    report=print,
):
    """Train a foundation model further on one task and few pictures.

    Args:
        model: The foundation model; trained in place.
        task: Its task.
        train_size: Number of training pictures.
        steps: Updates; None where there are `hours`.
        datasets: Function (task, train_size, valid_size) → (training batches, validation batches
            or None).
        checkpoint_dir: Folder of the run; it resumes.
        valid_size: Number of validation pictures.
        learning_rate: Number or schedule; by default 1e-4 to 1e-6 by cosine.
        evaluate_every: Updates between evaluations; only at the end by default.
        metrics: As in `FoundationTrainer`.
        options: As in `FoundationTrainer`.
        hours: As in `Trainer.train`; needs a learning rate without an end.
        report: Called with one sentence an event.

    Returns:
        The trainer, at the last step.

    Raises:
        ValueError: There are fewer pictures than asked for, or `steps` is below 1.
    """
    if hours is None and steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    train_dataset, valid_dataset = datasets(task, train_size, valid_size)
    trainer = FoundationTrainer(
        model,
        checkpoint_dir,
        cosine(1e-4, 1e-6, steps) if learning_rate is None else learning_rate,
        metrics=metrics,
        options=options,
        report=report,
    )
    valid_datasets = None if valid_dataset is None else {task: valid_dataset}
    every = evaluate_every or steps or _EVALUATE_EVERY
    trainer.train(train_dataset, valid_datasets, steps, every, hours=hours)
    return trainer
