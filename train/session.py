"""One call of `Trainer.train`: from the last checkpoint to the end, an interrupt or an error."""

import contextlib
import dataclasses
import math
import time

import filelock
import numpy as np
import tensorflow as tf

from train.distribute import distributed, several_processes
from train.interrupts import Interrupts
from train.plan import NO_END, constant_until
from train.run_facts import data_facts
from train.run_log import RunLog

_LEAST_RATE_FACTOR = 1 / 64  # a run that still fails with this share of its rate stops
_LOST_PEERS = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)


class Session:
    """Trains, evaluates, logs and keeps checkpoints as planned.

    Args:
        trainer: The `Trainer`, whose networks and checkpoint are changed.
        plan: The `Plan`; of a run of hours, its end is chosen here.
        train_dataset, valid_dataset: As of `Trainer.train`.
    """

    def __init__(self, trainer, plan, train_dataset, valid_dataset):
        self._trainer, self._plan = trainer, plan
        self._train_dataset, self._valid_dataset = train_dataset, valid_dataset
        self._checkpoint, self._checkpoints = trainer.checkpoint, trainer.checkpoints

    def run(self):
        """Train to the end of the plan; raises as `Trainer.train`."""
        trainer = self._trainer
        with self._owned():
            self._begin()
            steps = self._plan.known_steps
            with RunLog(trainer.directory, trainer.step, steps, writes=trainer.is_chief) as log:
                self._log = log
                self._train_to_the_end()

    @contextlib.contextmanager
    def _owned(self):
        """Keep other processes from training in the same folder."""
        directory = self._trainer.directory
        if not self._trainer.is_chief:
            yield
            return
        lock = filelock.FileLock(directory / "run.lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise OSError(
                f"another process is training in {directory}: wait for its end, or give "
                "another checkpoint_dir (--checkpoint-dir)"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _begin(self):
        """Restore, check and note what a session begins with."""
        trainer, resumes = self._trainer, self._checkpoints.restore_last()
        data = data_facts(self._train_dataset)
        changes = trainer.changes + trainer.check_facts("data", data)
        self._plan = self._planned(resumes)
        steps = self._plan.known_steps or 0
        trainer.check_data(self._train_dataset, self._valid_dataset, steps)
        if trainer.is_chief:
            trainer.facts.write(trainer.recipe, data, resumes=resumes, changes=changes)

    def _planned(self, resumes):
        """The plan with the end that run.json has, after going back to before another end."""
        trainer, plan = self._trainer, self._plan
        noted = trainer.facts.read() if resumes else {}
        before = noted.get("plan")
        if (plan.pace or trainer.options.extend) and several_processes(trainer.strategy):
            raise ValueError("hours and extend are for one process; give several workers steps")
        if plan.pace and getattr(trainer.learning_rate, "steps", None):
            raise ValueError(
                "a run of hours chooses its own end: give a constant learning_rate, or "
                "Trapezoid(peak, steps=None)"
            )
        wanted = {"hours": plan.pace.hours} if plan.pace else {}
        if before and before["hours"] != wanted.get("hours") and not trainer.options.extend:
            raise ValueError(
                f"{trainer.directory} is a run of {before['hours']:g} hours, {before['steps']:,} "
                "steps: resume with these hours; or prolong it by extend (--extend)"
            )
        end = noted.get("recipe", {}).get("learning_rate", {})
        if before and before["hours"] == wanted.get("hours"):
            return self._with_end(before)
        if trainer.options.extend and noted:
            self._go_back_before(before or end)
        return plan

    def _go_back_before(self, end):
        """Load a checkpoint from before the cool-down of another end, where it is past that."""
        trainer = self._trainer
        now = trainer.recipe["learning_rate"]
        if constant_until(end) is None or end == now:
            return
        until = min(constant_until(end), constant_until(now) or NO_END)
        if trainer.step <= until:
            return
        if self._checkpoints.go_back_to(until) is None:
            raise ValueError(
                f"{trainer.directory} has no checkpoint from before its cool-down, which began at "
                f"step {until:,}: it cannot be prolonged"
            )
        if not self._checkpoints.has_best():
            self._checkpoint.best_psnr.assign(-np.inf)

    def _with_end(self, noted):
        self._trainer.end[0].assign(noted["steps"])
        self._trainer.end[1].assign(noted["cool_down_steps"])
        return dataclasses.replace(
            self._plan, steps=noted["steps"], pace=None, constant_until=constant_until(noted)
        )

    def _train_to_the_end(self):
        trainer = self._trainer
        try:
            with Interrupts() as self._interrupts:
                self._train()
        except KeyboardInterrupt:
            self._checkpoints.save_last(trainer.step)
            trainer.say(f"interrupted at step {trainer.step}; the same command resumes from there")
            raise
        except tf.errors.InvalidArgumentError as error:
            if "accumulate must divide" not in error.message:
                raise
            raise ValueError(
                f"accumulate must divide every batch, and {trainer.options.accumulate} does not"
            ) from error
        except _LOST_PEERS as error:
            raise OSError(
                f"another worker stopped after step {trainer.step}; start all of them again with "
                f"the same command: they resume from {self._checkpoints.newest()}"
            ) from error

    def _train(self):
        trainer, saved_at = self._trainer, time.monotonic()
        if trainer.step and self._plan.is_due(trainer.step) and not self._log.has(trainer.step):
            self._evaluate_and_log()  # was interrupted there
            self._checkpoints.save_last(trainer.step)
        self._keep_before_cool_down()
        batches = self._batches()
        while trainer.step < self._plan.steps:
            self._interrupts.check()
            count = min(trainer.options.steps_per_call, self._plan.until_event(trainer.step))
            try:
                with self._interrupts.between_graphs():
                    losses = trainer.updates.run(batches, tf.constant(count, tf.int64))
            except (StopIteration, tf.errors.OutOfRangeError):
                self._checkpoints.save_last(trainer.step)
                trainer.say(f"the training data ended at step {trainer.step} of {self._plan.steps}")
                return
            names = trainer.loss_names
            self._log.advance(count, dict(zip(names, losses.numpy().tolist(), strict=True)))
            if trainer.number("skipped_in_a_row") >= trainer.options.max_bad_steps:
                self._stop_or_go_back()
                batches = self._batches()
                self._log.go_back_to(trainer.step)
                continue
            due = self._plan.is_due(trainer.step)
            if due:
                self._evaluate_and_log()
            if due or time.monotonic() - saved_at > self._plan.checkpoint_every_s:
                self._checkpoints.save_last(trainer.step)
                saved_at = time.monotonic()
            if self._plan.pace and self._plan.pace.note(count):
                self._fix_end()
            self._keep_before_cool_down()

    def _batches(self):
        """Batches from the next step on."""
        trainer = self._trainer
        return iter(distributed(self._train_dataset, trainer.step, trainer.strategy))

    def _keep_before_cool_down(self):
        """Keep what a trapezoid can be prolonged from, at the step where it begins to fall."""
        if self._trainer.step == self._plan.constant_until:
            self._checkpoints.save_before_cool_down(self._trainer.step)

    def _fix_end(self):
        """Choose and note the steps of a run that was given hours."""
        trainer, plan = self._trainer, self._plan
        save_s = _seconds(lambda: self._checkpoints.save_last(trainer.step))
        evaluation_s = 0.0
        if self._valid_dataset is not None:
            trainer.scores(self._valid_dataset)  # the first time takes longer: it is traced
            evaluation_s = _seconds(lambda: trainer.scores(self._valid_dataset))
        noted = plan.pace.plan(
            trainer.step,
            evaluation_s + save_s,
            plan.evaluate_every,
            save_s,
            plan.checkpoint_every_s,
        )
        trainer.facts.add(plan=noted)
        trainer.say(
            f"a step takes {noted['step_s']:.3g} s, an evaluation {noted['evaluation_s']:.3g} s: "
            f"{noted['steps']:,} steps in {noted['hours']:g} hours, the last "
            f"{noted['cool_down_steps']:,} of them with a falling learning rate"
        )
        self._log.set_steps(noted["steps"])
        self._plan = self._with_end(noted)

    def _stop_or_go_back(self):
        """Stop after too many bad steps, or load the last checkpoint and halve the rate."""
        trainer = self._trainer
        bad, step = trainer.number("skipped_in_a_row"), trainer.step
        sentence = f"{bad} steps in a row up to step {step} had losses or gradients not finite"
        last = self._checkpoints.newest()
        if trainer.options.after_bad_steps == "stop":
            raise FloatingPointError(
                f"{sentence}; the last good checkpoint is {last}: resume from it with a lower "
                "learning rate, or with after_bad_steps='rollback'"
            )
        if not self._checkpoints.restore_last():
            raise FloatingPointError(f"{sentence}, and there is no checkpoint to go back to")
        factor = trainer.number("rate_factor") / 2
        self._checkpoint.rate_factor.assign(factor)
        self._checkpoint.skipped_in_a_row.assign(0)
        if factor < _LEAST_RATE_FACTOR:
            raise FloatingPointError(f"{sentence}, at 1/64 of the learning rate too")
        self._checkpoints.save_last(trainer.step)
        trainer.say(
            f"{sentence}: back at step {trainer.step}, with {factor:g} of the learning rate"
        )

    def _evaluate_and_log(self):
        """Score, then change what a checkpoint holds: a run killed before evaluates once more."""
        trainer, step, state = self._trainer, self._trainer.step, self._checkpoint
        values = self._mean_losses()
        values["learning_rate"] = float(np.asarray(state.optimizer.learning_rate))
        values["skipped_steps"] = trainer.number("skipped_steps")
        if self._valid_dataset is not None:
            with self._interrupts.at_once():
                values |= trainer.scores(self._valid_dataset)
                picture = trainer.validation_picture(self._valid_dataset)
            self._log.picture(step, picture)
        if step % self._plan.evaluate_every == 0:
            state.loss_sums.assign(tf.zeros_like(state.loss_sums))
            state.loss_count.assign(0)
        if self._plan.save_best_only and self._is_best(values.get("psnr_rgb_db")):
            state.best_psnr.assign(values["psnr_rgb_db"])
            self._checkpoints.save_best(step)
        self._log.numbers(step, values)
        trainer.say(f"step {step}: " + ", ".join(f"{k} {v:.5g}" for k, v in values.items()))

    def _is_best(self, psnr_db):
        best = self._trainer.number("best_psnr")
        return psnr_db is not None and (psnr_db > best or best == math.inf)

    def _mean_losses(self):
        """Mean of each loss since the last evaluation."""
        state = self._checkpoint
        means = tf.math.divide_no_nan(state.loss_sums, state.loss_count)
        return dict(zip(self._trainer.loss_names, means.numpy().tolist(), strict=True))


def _seconds(function):
    begun_at = time.monotonic()
    function()
    return time.monotonic() - begun_at
