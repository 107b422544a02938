"""One training loop for every network: exact resume, evaluation, checkpoints, logs.

All that a run needs to go on lives in one `tf.train.Checkpoint`: step, best value, networks,
averages and optimisers. Batches are found by step number (`data.batches.SeekableDataset`), so a run
killed at any moment and started again ends with the same weights, bit for bit, as one never
interrupted. ``last/`` is what training goes on from; ``best/`` is what scored highest.
"""

import dataclasses
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model import evaluate
from train.checkpoints import Checkpoints
from train.distribute import check_scope, distributed, is_chief
from train.losses import l1_loss
from train.options import TrainerOptions
from train.run_facts import RunFacts, data_facts, recipe_facts
from train.run_log import RunLog, side_by_side
from train.schedules import Reduced
from train.updates import Updates, counter

_LEAST_RATE_FACTOR = 1 / 64  # a run that still fails with this share of its rate stops
_LOST_PEERS = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)


class Trainer:
    """Trains one network from LR to HR with a pixel loss and Adam.

    Args:
        model: The network; its weights are trained in place.
        loss: Function ``(hr, sr) → scalar``, both float32 in 0..255, a mean over the batch; of
            TensorFlow operations only, as it is not rewritten by autograph.
        learning_rate: Number, or Keras schedule of the step.
        checkpoint_dir: Folder of the run. If it holds checkpoints, training goes on from the last.
        options: `TrainerOptions`: averages, clipping, precision, machines, …
        report: Called with one sentence at each evaluation and event.

    Raises:
        ValueError: The folder holds checkpoints of another network or recipe.
        OSError: The folder cannot be written to.
    """

    loss_names = ("loss",)
    """What `losses` returns; the first is minimised by the first network, and so on."""

    optimizer = staticmethod(keras.optimizers.Adam)
    """Function of a learning rate → Keras optimiser."""

    def __init__(
        self,
        model,
        loss=l1_loss,
        learning_rate=1e-4,
        checkpoint_dir=".ckpt/edsr",
        *,
        options=None,
        report=print,
    ):
        self.loss = loss
        self._open_run({"model": model}, learning_rate, checkpoint_dir, options, report)

    def losses(self, lr, hr):
        """The losses of one batch, float32 in 0..255: one scalar for each of `loss_names`."""
        return (self.loss(hr, self.model(lr, training=True)),)

    def _open_run(self, networks, learning_rate, checkpoint_dir, options, report):
        """Put networks, optimisers and counters in one checkpoint, and go on from the last one.

        The first network makes pictures; the optimiser of "model" is called "optimizer", that of
        any other one NAME_optimizer.
        """
        self.directory, self.report = Path(checkpoint_dir), report
        self.options = options or TrainerOptions()
        self.strategy = self.options.strategy or tf.distribute.get_strategy()
        check_scope(self.strategy, networks)
        self.is_chief = is_chief(self.strategy)
        with self.strategy.scope():
            optimizers = self._make(networks, learning_rate)
        self._recipe = recipe_facts(self, networks.values(), learning_rate)
        self._facts = RunFacts(self.directory)
        self._checkpoints = Checkpoints(
            self.checkpoint, optimizers, self.directory, self._say, writes=self.is_chief
        )
        self._check_facts("recipe", self._recipe)
        self._checkpoints.restore_last()

    def _make(self, networks, learning_rate):
        """Make the checkpoint and what is in it; returns name of optimiser → network."""
        self._rate_factor = counter(1.0)
        rate = Reduced(learning_rate, self._rate_factor)
        optimizers = {}
        for name, network in networks.items():
            optimizer = self.optimizer(rate)
            optimizer.build(network.trainable_variables)
            optimizers["optimizer" if name == "model" else f"{name}_optimizer"] = optimizer
        model = networks["model"]
        average = {"average": _copy_of(model)} if self.options.ema_decay else {}
        self._updates = Updates(
            lambda *batch: self.losses(*batch),
            len(self.loss_names),
            list(zip(networks.values(), optimizers.values(), strict=True)),
            average.get("average"),
            self.options,
            self.strategy,
        )
        self.checkpoint = tf.train.Checkpoint(
            best_psnr=counter(-np.inf),
            rate_factor=self._rate_factor,
            **networks,
            **optimizers,
            **average,
            **self._updates.state,
        )
        return dict(zip(optimizers, networks.values(), strict=True))

    @property
    def model(self):
        """The network; of a GAN the generator."""
        return self.checkpoint.model

    @property
    def evaluated(self):
        """The network that is evaluated: the average of the weights, where there is one."""
        return getattr(self.checkpoint, "average", self.model)

    @property
    def step(self):
        """Number of updates made so far, those skipped included."""
        return self._number("step")

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
            train_dataset: Endless batches ``(lr, hr)``, global ones where there are several
                replicas. A `SeekableDataset` begins at the right batch at once, and each replica
                loads its own rows of it; any other data set is skipped forward and cut.
            valid_dataset: Batches to evaluate on, or None.
            steps: Updates in all.
            evaluate_every: Updates between evaluations; each is followed by a checkpoint.
            save_best_only: Keep the checkpoint with the highest PSNR in ``best/``, for `restore`.
            checkpoint_every_s: Most seconds between checkpoints in ``last/``.

        Raises:
            FloatingPointError: Too many steps in a row were not finite.
            ValueError: The data are not those the run was begun with.
            OSError: A checkpoint cannot be written, or another worker has stopped.
        """
        goes_on = self._checkpoints.restore_last()
        data = data_facts(train_dataset)
        self._check_facts("data", data)
        if self.is_chief:
            self._facts.write(self._recipe, data, goes_on=goes_on)
        plan = _Plan(steps, evaluate_every, save_best_only, checkpoint_every_s)
        with RunLog(self.directory, self.step, steps, writes=self.is_chief) as log:
            try:
                self._train(log, train_dataset, valid_dataset, plan)
            except KeyboardInterrupt:
                self._checkpoints.save_last(self.step)
                self._say(f"interrupted at step {self.step}; the same command goes on from there")
                raise
            except _LOST_PEERS as error:
                raise OSError(
                    f"another worker stopped after step {self.step}; start all of them again with "
                    f"the same command: they go on from {self._checkpoints.newest()}"
                ) from error

    def _train(self, log, train_dataset, valid_dataset, plan):
        saved_at = time.monotonic()
        batches = iter(distributed(train_dataset, self.step, self.strategy))
        while self.step < plan.steps:
            count = min(self.options.steps_per_call, plan.until_event(self.step))
            try:
                losses = self._updates.run(batches, tf.constant(count, tf.int64))
            except (StopIteration, tf.errors.OutOfRangeError):
                self._checkpoints.save_last(self.step)
                self._say(f"the training data ended at step {self.step} of {plan.steps}")
                return
            log.advance(count, dict(zip(self.loss_names, losses.numpy().tolist(), strict=True)))
            if self._number("skipped_in_a_row") >= self.options.max_bad_steps:
                self._stop_or_go_back()
                batches = iter(distributed(train_dataset, self.step, self.strategy))
                log.go_back_to(self.step)
                continue
            due = plan.until_event(self.step - 1) == 1
            if due:
                self._evaluate_and_log(log, valid_dataset, plan)
            if due or time.monotonic() - saved_at > plan.checkpoint_every_s:
                self._checkpoints.save_last(self.step)
                saved_at = time.monotonic()

    def train_step(self, *batch):
        """Make one update with one batch. Returns one loss for each of `loss_names`."""
        return tuple(self._updates.update(batch))

    def evaluate(self, dataset):
        """Mean PSNR of the network, scalar tensor in dB: RGB, rounded pictures, no border cut."""
        return evaluate(self.evaluated, dataset)

    def restore(self):
        """Load the best checkpoint if `train` kept one, else the last.

        Where an average of the weights is kept, `model` then has the average.
        """
        self._checkpoints.restore_best()
        if self.evaluated is not self.model:
            self.model.set_weights(self.evaluated.get_weights())

    def _number(self, name):
        """Value of a counter in the checkpoint."""
        return getattr(self.checkpoint, name).numpy().item()

    def _say(self, sentence):
        if self.is_chief:
            self.report(sentence)

    def _check_facts(self, name, now):
        self._facts.check(
            name,
            now,
            goes_on=self._checkpoints.newest() is not None,
            allow_changes=self.options.allow_changes,
            report=self._say,
        )

    def _stop_or_go_back(self):
        """Stop after too many bad steps, or load the last checkpoint and halve the rate."""
        bad, step = self._number("skipped_in_a_row"), self.step
        sentence = f"{bad} steps in a row up to step {step} had losses or gradients not finite"
        last = self._checkpoints.newest()
        if self.options.after_bad_steps == "stop":
            raise FloatingPointError(
                f"{sentence}; the last good checkpoint is {last}: go on from it with a lower "
                "learning rate, or with after_bad_steps='rollback'"
            )
        if not self._checkpoints.restore_last():
            raise FloatingPointError(f"{sentence}, and there is no checkpoint to go back to")
        factor = self._number("rate_factor") / 2
        self._rate_factor.assign(factor)
        self.checkpoint.skipped_in_a_row.assign(0)
        if factor < _LEAST_RATE_FACTOR:
            raise FloatingPointError(f"{sentence}, at 1/64 of the learning rate too")
        self._checkpoints.save_last(self.step)
        self._say(f"{sentence}: back at step {self.step}, with {factor:g} of the learning rate")

    def _evaluate_and_log(self, log, valid_dataset, plan):
        numbers = self._mean_losses(plan)
        numbers["learning_rate"] = float(np.asarray(self.checkpoint.optimizer.learning_rate))
        numbers["skipped_steps"] = self._number("skipped_steps")
        if valid_dataset is not None:
            numbers |= self._scores(valid_dataset)
            log.picture(self.step, self._validation_picture(valid_dataset))
            if plan.save_best_only and numbers["psnr_rgb_db"] > self._number("best_psnr"):
                self.checkpoint.best_psnr.assign(numbers["psnr_rgb_db"])
                self._checkpoints.save_best(self.step)
        log.numbers(self.step, numbers)
        self._say(f"step {self.step}: " + ", ".join(f"{k} {v:.5g}" for k, v in numbers.items()))

    def _mean_losses(self, plan):
        """Mean of each loss since the last evaluation; begun anew if this is a regular one."""
        sums, count = self.checkpoint.loss_sums, self.checkpoint.loss_count
        means = tf.math.divide_no_nan(sums, count).numpy().tolist()
        if self.step % plan.evaluate_every == 0:
            sums.assign(tf.zeros_like(sums))
            count.assign(0)
        return dict(zip(self.loss_names, means, strict=True))

    def _scores(self, valid_dataset):
        """Numbers to log at an evaluation; the highest ``psnr_rgb_db`` is the best."""
        return {"psnr_rgb_db": float(self.evaluate(valid_dataset))}

    def _validation_picture(self, dataset):
        lr, hr = next((lr[0], hr[0]) for lr, hr in dataset)
        return side_by_side(self.evaluated, lr, hr)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """When what happens in one call of `Trainer.train`; see there."""

    steps: int
    evaluate_every: int
    save_best_only: bool
    checkpoint_every_s: float

    def until_event(self, step):
        """Updates from `step` to the next evaluation or the end."""
        return min(self.evaluate_every - step % self.evaluate_every, self.steps - step)


def _copy_of(model):
    copy = model.__class__.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy
