"""One training loop for every network: exact resume, evaluation, checkpoints, logs.

All that a run needs to resume lives in one `tf.train.Checkpoint`: step, best value, networks,
averages and optimisers. Batches are found by step number (`data.batches.SeekableDataset`), so a run
killed at any moment and started again ends with the same weights, bit for bit, as one never
interrupted. ``last/`` is what training resumes from; ``best/`` is what scored highest;
``before-cool-down/`` is what a trapezoid schedule is prolonged from.
"""

import contextlib
import dataclasses
import math
import time
from pathlib import Path

import filelock
import keras
import numpy as np
import tensorflow as tf

from model import evaluate
from train.checkpoints import Checkpoints
from train.checks import check_networks, check_rate, check_training_data, check_validation_data
from train.descriptions import describe_loss
from train.distribute import check_scope, distributed, is_chief, several_processes
from train.interrupts import Interrupts
from train.losses import l1_loss
from train.options import TrainerOptions
from train.pace import Pace
from train.plan import NO_END, Plan, constant_until
from train.run_facts import RunFacts, data_facts, recipe_facts
from train.run_log import RunLog, side_by_side
from train.schedules import Controlled
from train.updates import Updates, copy_of, counter

_LEAST_RATE_FACTOR = 1 / 64  # a run that still fails with this share of its rate stops
_LOST_PEERS = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)


class Trainer:
    """Trains one network from LR to HR with a pixel loss and Adam.

    Args:
        model: The network; its weights are trained in place.
        loss: Function ``(hr, sr) → scalar``, both float32 in 0..255, a mean over the batch; of
            TensorFlow operations only, as it is not rewritten by autograph.
        learning_rate: Number, or Keras schedule of the step.
        checkpoint_dir: Folder of the run. If it holds checkpoints, training resumes from the last.
        options: `TrainerOptions`: averages, clipping, precision, machines, …
        report: Called with one sentence at each evaluation and event.

    Raises:
        ValueError: The folder holds checkpoints of another network or recipe, or the network
            cannot be trained so.
        OSError: The folder cannot be written to.
    """

    STEPS = 300_000
    """Updates in all, where `train` is not told otherwise."""

    SAVE_BEST_ONLY = False
    """Whether `train` keeps the best checkpoint, where it is not told otherwise."""

    loss_names = ("loss",)
    """What `losses` returns; the first is minimised by the first network, and so on."""

    batch_sizes = (2,)
    """How many tensors a batch may have: LR and HR."""

    @staticmethod
    def optimizer(learning_rate):
        """Return the Keras optimiser of one network: Adam with its usual numbers."""
        return keras.optimizers.Adam(learning_rate)

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

    def loss_facts(self):
        """What the losses are made of, for ``run.json``: compared when a run resumes."""
        return {"loss": describe_loss(self.loss)}

    def _open_run(self, networks, learning_rate, checkpoint_dir, options, report):
        """Put networks, optimisers and counters in one checkpoint, and restore the last one.

        The first network makes pictures; the optimiser of "model" is called "optimizer", that of
        any other one NAME_optimizer.
        """
        self.directory, self.report = Path(checkpoint_dir), report
        self.options = options or TrainerOptions()
        self.strategy = self.options.strategy or tf.distribute.get_strategy()
        check_networks(networks.values(), self.options)
        check_rate(learning_rate)
        check_scope(self.strategy, networks)
        self.is_chief = is_chief(self.strategy)
        self._learning_rate, self._changes = learning_rate, []
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
        self._end = counter(0, tf.int64), counter(0, tf.int64)  # kept in run.json
        rate = Controlled(learning_rate, self._rate_factor, self._end)
        optimizers = {}
        for name, network in networks.items():
            optimizer = self.optimizer(rate)
            optimizer.build(network.trainable_variables)
            optimizers["optimizer" if name == "model" else f"{name}_optimizer"] = optimizer
        model = networks["model"]
        average = {"average": copy_of(model)} if self.options.ema_decay else {}
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
        steps=None,
        evaluate_every=1000,
        save_best_only=None,
        *,
        checkpoint_every_s=300,
        hours=None,
    ):
        """Train until `steps` updates have been made in all, those of earlier sessions included.

        Args:
            train_dataset: Endless batches ``(lr, hr)``, RGB in 0..255, global ones where there are
                several replicas. A `SeekableDataset` begins at the right batch at once, and each
                replica loads its own rows of it; any other `tf.data.Dataset` is skipped forward
                and cut.
            valid_dataset: Batches to evaluate on, or None.
            steps: Updates in all; by default `STEPS` of the class.
            evaluate_every: Updates between evaluations; each is followed by a checkpoint.
            save_best_only: Keep the checkpoint with the highest PSNR in ``best/``, for `restore`.
                By default `SAVE_BEST_ONLY` of the class.
            checkpoint_every_s: Most seconds between checkpoints in ``last/``.
            hours: Time in place of `steps`: the first steps are measured, then steps and cool-down
                are chosen so that training ends on time, and noted in ``run.json``: a run that
                resumes keeps them.

        Raises:
            FloatingPointError: Too many steps in a row were not finite.
            ValueError: The data do not fit the network, or are not those the run was begun with.
            OSError: There is no room for a checkpoint, another process trains in this folder, or
                another worker has stopped.
        """
        if steps is not None and hours is not None:
            raise ValueError("a run has steps or hours, not both")
        plan = Plan(
            NO_END if hours else self.STEPS if steps is None else steps,
            evaluate_every,
            self.SAVE_BEST_ONLY if save_best_only is None else save_best_only,
            checkpoint_every_s,
            pace=None if hours is None else Pace(hours),
            constant_until=constant_until(self._recipe["learning_rate"]),
        )
        with self._owned():
            plan = self._begin(train_dataset, valid_dataset, plan)
            with RunLog(self.directory, self.step, plan.known_steps, writes=self.is_chief) as log:
                self._train_to_the_end(log, train_dataset, valid_dataset, plan)

    @contextlib.contextmanager
    def _owned(self):
        """Keep other processes from training in the same folder."""
        if not self.is_chief:
            yield
            return
        lock = filelock.FileLock(self.directory / "run.lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise OSError(
                f"another process is training in {self.directory}: wait for its end, or give "
                "another checkpoint_dir (--checkpoint-dir)"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _begin(self, train_dataset, valid_dataset, plan):
        """Restore, check and note what a session begins with; returns its plan."""
        resumes = self._checkpoints.restore_last()
        data = data_facts(train_dataset)
        changes = self._changes + self._check_facts("data", data)
        plan = self._planned(plan, resumes)
        self._check_data(train_dataset, valid_dataset, plan.known_steps or 0)
        if self.is_chief:
            self._facts.write(self._recipe, data, resumes=resumes, changes=changes)
        return plan

    def _check_data(self, train_dataset, valid_dataset, steps):
        """Raise `ValueError` if the network cannot be trained or evaluated with these data."""
        check_training_data(train_dataset, self.model, steps, self.batch_sizes)
        if valid_dataset is not None:
            check_validation_data(valid_dataset, self.model, self.batch_sizes)

    def _planned(self, plan, resumes):
        """The plan with the end that run.json has, after going back to before another end."""
        noted = self._facts.read() if resumes else {}
        before = noted.get("plan")
        if (plan.pace or self.options.extend) and several_processes(self.strategy):
            raise ValueError("hours and extend are for one process; give several workers steps")
        if plan.pace and getattr(self._learning_rate, "steps", None):
            raise ValueError(
                "a run of hours chooses its own end: give a constant learning_rate, or "
                "Trapezoid(peak, steps=None)"
            )
        wanted = {"hours": plan.pace.hours} if plan.pace else {}
        if before and before["hours"] != wanted.get("hours") and not self.options.extend:
            raise ValueError(
                f"{self.directory} is a run of {before['hours']:g} hours, {before['steps']:,} "
                "steps: resume with these hours; or prolong it by extend (--extend)"
            )
        end = noted.get("recipe", {}).get("learning_rate", {})
        if before and before["hours"] == wanted.get("hours"):
            return self._with_end(plan, before)
        if self.options.extend and noted:
            self._go_back_before(before or end)
        return plan

    def _go_back_before(self, end):
        """Load a checkpoint from before the cool-down of another end, where it is past that."""
        now = self._recipe["learning_rate"]
        if constant_until(end) is None or end == now:
            return
        until = min(constant_until(end), constant_until(now) or NO_END)
        if self.step <= until:
            return
        if self._checkpoints.go_back_to(until) is None:
            raise ValueError(
                f"{self.directory} has no checkpoint from before its cool-down, which began at "
                f"step {until:,}: it cannot be prolonged"
            )
        if not self._checkpoints.has_best():
            self.checkpoint.best_psnr.assign(-np.inf)

    def _with_end(self, plan, noted):
        self._end[0].assign(noted["steps"])
        self._end[1].assign(noted["cool_down_steps"])
        return dataclasses.replace(
            plan, steps=noted["steps"], pace=None, constant_until=constant_until(noted)
        )

    def _train_to_the_end(self, log, train_dataset, valid_dataset, plan):
        try:
            with Interrupts() as interrupts:
                self._train(log, train_dataset, valid_dataset, plan, interrupts)
        except KeyboardInterrupt:
            self._checkpoints.save_last(self.step)
            self._say(f"interrupted at step {self.step}; the same command resumes from there")
            raise
        except tf.errors.InvalidArgumentError as error:
            if "accumulate must divide" not in error.message:
                raise
            raise ValueError(
                f"accumulate must divide every batch, and {self.options.accumulate} does not"
            ) from error
        except _LOST_PEERS as error:
            raise OSError(
                f"another worker stopped after step {self.step}; start all of them again with "
                f"the same command: they resume from {self._checkpoints.newest()}"
            ) from error

    def _train(self, log, train_dataset, valid_dataset, plan, interrupts):
        saved_at = time.monotonic()
        if self.step and plan.is_due(self.step) and not log.has(self.step):
            self._evaluate_and_log(log, valid_dataset, plan, interrupts)  # was interrupted there
            self._checkpoints.save_last(self.step)
        self._keep_before_cool_down(plan)
        batches = iter(distributed(train_dataset, self.step, self.strategy))
        while self.step < plan.steps:
            interrupts.check()
            count = min(self.options.steps_per_call, plan.until_event(self.step))
            try:
                with interrupts.between_graphs():
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
            due = plan.is_due(self.step)
            if due:
                self._evaluate_and_log(log, valid_dataset, plan, interrupts)
            if due or time.monotonic() - saved_at > plan.checkpoint_every_s:
                self._checkpoints.save_last(self.step)
                saved_at = time.monotonic()
            if plan.pace and plan.pace.note(count):
                plan = self._fix_end(log, valid_dataset, plan)
            self._keep_before_cool_down(plan)

    def _keep_before_cool_down(self, plan):
        """Keep what a trapezoid can be prolonged from, at the step where it begins to fall."""
        if self.step == plan.constant_until:
            self._checkpoints.save_before_cool_down(self.step)

    def _fix_end(self, log, valid_dataset, plan):
        """Choose and note the steps of a run that was given hours."""
        save_s = _seconds(lambda: self._checkpoints.save_last(self.step))
        evaluation_s = 0.0
        if valid_dataset is not None:
            self._scores(valid_dataset)  # the first time takes longer: it is traced
            evaluation_s = _seconds(lambda: self._scores(valid_dataset))
        noted = plan.pace.plan(
            self.step, evaluation_s + save_s, plan.evaluate_every, save_s, plan.checkpoint_every_s
        )
        self._facts.add(plan=noted)
        self._say(
            f"a step takes {noted['step_s']:.3g} s, an evaluation {noted['evaluation_s']:.3g} s: "
            f"{noted['steps']:,} steps in {noted['hours']:g} hours, the last "
            f"{noted['cool_down_steps']:,} of them with a falling learning rate"
        )
        log.set_steps(noted["steps"])
        return self._with_end(plan, noted)

    def train_step(self, *batch):
        """Make one update with one batch. Returns one loss for each of `loss_names`."""
        return tuple(self._updates.update(batch))

    def evaluate(self, dataset):
        """Mean PSNR of the network, scalar tensor in dB; see `model.evaluate`."""
        return evaluate(self.evaluated, dataset)

    def restore(self):
        """Load the best checkpoint if `train` kept one, else the last.

        Where an average of the weights is kept, `model` then has the average.
        """
        self._checkpoints.restore_best()
        if self.evaluated is not self.model:
            self.model.set_weights(self.evaluated.get_weights())

    def sessions(self):
        """Return what ``run.json`` notes of each session, a list of dicts."""
        return self._facts.read().get("sessions", [])

    def _number(self, name):
        """Value of a counter in the checkpoint."""
        return getattr(self.checkpoint, name).numpy().item()

    def _say(self, sentence):
        if self.is_chief:
            self.report(sentence)

    def _check_facts(self, name, now):
        changes = self._facts.check(
            name,
            now,
            resumes=self._checkpoints.newest() is not None,
            options=self.options,
            report=self._say,
        )
        if name == "recipe":
            self._changes = changes
        return changes

    def _stop_or_go_back(self):
        """Stop after too many bad steps, or load the last checkpoint and halve the rate."""
        bad, step = self._number("skipped_in_a_row"), self.step
        sentence = f"{bad} steps in a row up to step {step} had losses or gradients not finite"
        last = self._checkpoints.newest()
        if self.options.after_bad_steps == "stop":
            raise FloatingPointError(
                f"{sentence}; the last good checkpoint is {last}: resume from it with a lower "
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

    def _evaluate_and_log(self, log, valid_dataset, plan, interrupts):
        """Score, then change what a checkpoint holds: a run killed before evaluates once more."""
        values = self._mean_losses()
        values["learning_rate"] = float(np.asarray(self.checkpoint.optimizer.learning_rate))
        values["skipped_steps"] = self._number("skipped_steps")
        if valid_dataset is not None:
            with interrupts.at_once():
                values |= self._scores(valid_dataset)
                picture = self._validation_picture(valid_dataset)
            log.picture(self.step, picture)
        if self.step % plan.evaluate_every == 0:
            self.checkpoint.loss_sums.assign(tf.zeros_like(self.checkpoint.loss_sums))
            self.checkpoint.loss_count.assign(0)
        if plan.save_best_only and self._is_best(values.get("psnr_rgb_db")):
            self.checkpoint.best_psnr.assign(values["psnr_rgb_db"])
            self._checkpoints.save_best(self.step)
        log.numbers(self.step, values)
        self._say(f"step {self.step}: " + ", ".join(f"{k} {v:.5g}" for k, v in values.items()))

    def _is_best(self, psnr_db):
        best = self._number("best_psnr")
        return psnr_db is not None and (psnr_db > best or best == math.inf)

    def _mean_losses(self):
        """Mean of each loss since the last evaluation."""
        means = tf.math.divide_no_nan(self.checkpoint.loss_sums, self.checkpoint.loss_count)
        return dict(zip(self.loss_names, means.numpy().tolist(), strict=True))

    def _scores(self, valid_dataset):
        """Numbers to log at an evaluation; the highest ``psnr_rgb_db`` is the best."""
        return {"psnr_rgb_db": float(self.evaluate(valid_dataset))}

    def _validation_picture(self, dataset):
        lr, hr = next((lr[0], hr[0]) for lr, hr in dataset)
        return side_by_side(self.evaluated, lr, hr)


def _seconds(function):
    begun_at = time.monotonic()
    function()
    return time.monotonic() - begun_at
