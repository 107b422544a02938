"""One training loop for every network: exact resume, evaluation, checkpoints, logs.

All that a run needs to go on lives in one `tf.train.Checkpoint`: step, best value, networks and
optimisers. Batches are found by step number (`data.pairs.SeekableDataset`), so a run killed at any
moment and started again ends with the same weights, bit for bit, as one never interrupted.
``last/`` is what training goes on from; ``best/`` is what scored highest.
"""

import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model import evaluate, resolve_single
from train.losses import l1_loss
from train.run_log import RunLog

_PICTURE_PX = 96  # LR side of the validation crop drawn at each evaluation


class Trainer:
    """Trains one network from LR to HR with a pixel loss and Adam.

    Args:
        model: The network; its weights are trained in place.
        loss: Function ``(hr, sr) → scalar``, both float32 in 0..255.
        learning_rate: Number, or Keras schedule of the step.
        checkpoint_dir: Folder of the run. If it holds checkpoints, training goes on from the last.
        report: Called with one sentence at each evaluation and event.

    Raises:
        ValueError: The folder holds checkpoints of another network.
    """

    loss_names = ("loss",)

    def __init__(
        self, model, loss=l1_loss, learning_rate=1e-4, checkpoint_dir=".ckpt/edsr", *, report=print
    ):
        self.loss = loss
        optimizer = adam(learning_rate, model)
        self._open_run(checkpoint_dir, report, model=model, optimizer=optimizer)

    def _open_run(self, checkpoint_dir, report, **state):
        """Put `state`, step and best value in one checkpoint, and go on from the last one."""
        self.directory = Path(checkpoint_dir)
        self.report = report
        self.checkpoint = tf.train.Checkpoint(
            step=tf.Variable(0, dtype=tf.int64),
            best_psnr=tf.Variable(-np.inf),
            loss_sums=tf.Variable(tf.zeros(len(self.loss_names))),  # since the last evaluation
            **state,
        )
        self._last = tf.train.CheckpointManager(self.checkpoint, self.directory / "last", 2)
        self._best = tf.train.CheckpointManager(self.checkpoint, self.directory / "best", 1)
        self._compiled_step = tf.function(self._counted_step, reduce_retracing=True)
        self._load(self._last.latest_checkpoint)

    @property
    def model(self):
        """The network; of a GAN the generator."""
        return self.checkpoint.model

    @property
    def step(self):
        """Number of updates made so far."""
        return int(self.checkpoint.step.numpy())

    def train(
        self,
        train_dataset,
        valid_dataset=None,
        steps=300_000,
        evaluate_every=1000,
        save_best_only=False,
        *,
        checkpoint_every_s=300,
    ):
        """Train until `steps` updates have been made in all, those of earlier sessions included.

        Args:
            train_dataset: Endless batches ``(lr, hr)``. A `SeekableDataset` begins at the right
                batch at once; any other data set is skipped forward, which takes its time.
            valid_dataset: Batches to evaluate on, or None.
            steps: Updates in all.
            evaluate_every: Updates between evaluations; each is followed by a checkpoint.
            save_best_only: Keep the checkpoint with the highest PSNR in ``best/``, for `restore`.
            checkpoint_every_s: Most seconds between checkpoints in ``last/``.

        Raises:
            FloatingPointError: The loss is not finite; the last checkpoint is from before.
        """
        self._load(self._last.latest_checkpoint)
        saved_at = time.monotonic()
        with RunLog(self.directory, self.step, steps) as log:
            try:
                for batch in _remaining(train_dataset, self.step, steps):
                    log.advance(self._update(*batch))
                    due = self.step % evaluate_every == 0 or self.step == steps
                    if due:
                        self._evaluate_and_log(log, valid_dataset, evaluate_every, save_best_only)
                    if due or time.monotonic() - saved_at > checkpoint_every_s:
                        self._last.save(self.step)
                        saved_at = time.monotonic()
            except KeyboardInterrupt:
                self._last.save(self.step)
                self.report(f"interrupted at step {self.step}; the same command goes on from there")
                raise
        if self.step < steps:
            self._last.save(self.step)
            self.report(f"the training data ended at step {self.step} of {steps}")

    def train_step(self, lr, hr):
        """Make one update. Takes float32 batches in 0..255, returns one loss per `loss_names`."""
        with tf.GradientTape() as tape:
            loss = self.loss(hr, self.model(lr, training=True))
        update(self.checkpoint.optimizer, tape, loss, self.model)
        return (loss,)

    def evaluate(self, dataset):
        """Mean PSNR of the network, scalar tensor in dB: RGB, rounded pictures, no border cut."""
        return evaluate(self.model, dataset)

    def restore(self):
        """Load the best checkpoint if `train` kept one, else the last."""
        self._load(self._best.latest_checkpoint or self._last.latest_checkpoint)

    def _load(self, path):
        if not path:
            return
        try:
            self.checkpoint.restore(path).assert_consumed()
        except (AssertionError, ValueError) as error:
            raise ValueError(
                f"{path} was written by a run with another network or optimiser; give another "
                f"checkpoint_dir, or remove {self.directory} to begin anew"
            ) from error
        self.report(f"restored {path}, step {self.step}")

    def _counted_step(self, *batch):
        losses = tf.stack(self.train_step(*(tf.cast(part, tf.float32) for part in batch)))
        self.checkpoint.step.assign_add(1)
        self.checkpoint.loss_sums.assign_add(losses)
        return losses

    def _update(self, *batch):
        losses = self._compiled_step(*batch).numpy()
        if not np.isfinite(losses).all():
            raise FloatingPointError(
                f"loss is {losses} at step {self.step}; the last good checkpoint is "
                f"{self._last.latest_checkpoint}: go on from it with a lower learning rate"
            )
        return dict(zip(self.loss_names, losses.tolist(), strict=True))

    def _evaluate_and_log(self, log, valid_dataset, evaluate_every, save_best_only):
        count = (self.step - 1) % evaluate_every + 1
        means = (self.checkpoint.loss_sums / count).numpy().tolist()
        if count == evaluate_every:
            self.checkpoint.loss_sums.assign(tf.zeros_like(self.checkpoint.loss_sums))
        numbers = dict(zip(self.loss_names, means, strict=True))
        numbers["learning_rate"] = float(self.checkpoint.optimizer.learning_rate)
        if valid_dataset is not None:
            numbers |= self._scores(valid_dataset)
            log.picture(self.step, self._validation_picture(valid_dataset))
            if save_best_only and numbers["psnr_rgb_db"] > self.checkpoint.best_psnr:
                self.checkpoint.best_psnr.assign(numbers["psnr_rgb_db"])
                self._best.save(self.step)
        log.numbers(self.step, numbers)
        self.report(f"step {self.step}: " + ", ".join(f"{k} {v:.5g}" for k, v in numbers.items()))

    def _scores(self, valid_dataset):
        """Numbers to log at an evaluation; the highest ``psnr_rgb_db`` is the best."""
        return {"psnr_rgb_db": float(self.evaluate(valid_dataset))}

    def _validation_picture(self, dataset):
        """LR (enlarged, nearest), SR and HR of the middle of the first validation picture."""
        lr, hr = next((lr[0], hr[0]) for lr, hr in dataset)
        scale = hr.shape[0] // lr.shape[0]
        lr = _middle(lr, _PICTURE_PX)
        enlarged = tf.repeat(tf.repeat(lr, scale, axis=0), scale, axis=1)
        sr = resolve_single(self.model, lr)
        return tf.concat(
            [tf.cast(enlarged, tf.uint8), sr, _middle(hr, _PICTURE_PX * scale)], axis=1
        )


def adam(learning_rate, model, **moments):
    """Return a built Adam, so that a checkpoint can hold its slots before the first step."""
    optimizer = keras.optimizers.Adam(learning_rate, **moments)
    optimizer.build(model.trainable_variables)
    return optimizer


def update(optimizer, tape, loss, model):
    """Move `model` one step down the gradient of `loss`."""
    variables = model.trainable_variables
    optimizer.apply(tape.gradient(loss, variables), variables)


def _remaining(dataset, step, steps):
    """The batches of steps `step` to `steps`."""
    start_at = getattr(dataset, "start_at", dataset.skip)
    return start_at(step).take(max(steps - step, 0))


def _middle(picture, px):
    height, width = (min(px, n) for n in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]
