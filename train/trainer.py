"""What every training has: networks, optimisers and counters in one checkpoint, and its loop.

All that a run needs to resume lives in one `tf.train.Checkpoint`: step, best value, networks,
averages and optimisers. Batches are found by step number (`data.batches.SeekableDataset`), so a run
killed at any moment and started again ends with the same weights, bit for bit, as one never
interrupted. ``last/`` is what training resumes from; ``best/`` is what scored highest;
``before-cool-down/`` is what a trapezoid schedule is prolonged from.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model import evaluate
from train.checkpoints import Checkpoints
from train.checks import check_networks, check_rate, check_training_data, check_validation_data
from train.descriptions import describe_loss
from train.distribute import check_scope, is_chief
from train.losses import l1_loss
from train.optimizers import Muon
from train.options import TrainerOptions
from train.pace import Pace
from train.plan import NO_END, Plan, constant_until
from train.run_facts import RunFacts, recipe_facts
from train.run_log import side_by_side
from train.schedules import Controlled
from train.session import Session
from train.updates import Updates, copy_of, counter


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
        self.learning_rate, self.changes = learning_rate, []
        with self.strategy.scope():
            optimizers = self._make(networks, learning_rate)
        self.recipe = recipe_facts(self, networks.values(), learning_rate)
        self.facts = RunFacts(self.directory)
        self.checkpoints = Checkpoints(
            self.checkpoint, optimizers, self.directory, self.say, writes=self.is_chief
        )
        self.check_facts("recipe", self.recipe)
        self.checkpoints.restore_last()

    def _make(self, networks, learning_rate):
        """Make the checkpoint and what is in it; returns name of optimiser → network."""
        rate_factor = counter(1.0)
        self.end = counter(0, tf.int64), counter(0, tf.int64)  # kept in run.json
        rate = Controlled(learning_rate, rate_factor, self.end)
        optimizers = {}
        for name, network in networks.items():
            optimizer = self.optimizer(rate)
            if self.options.optimizer == "muon":
                optimizer = Muon.in_place_of(optimizer, rate)
            optimizer.build(network.trainable_variables)
            optimizers["optimizer" if name == "model" else f"{name}_optimizer"] = optimizer
        model = networks["model"]
        average = {"average": copy_of(model)} if self.options.ema_decay else {}
        self.updates = Updates(
            lambda *batch: self.losses(*batch),
            len(self.loss_names),
            list(zip(networks.values(), optimizers.values(), strict=True)),
            average.get("average"),
            self.options,
            self.strategy,
        )
        self.checkpoint = tf.train.Checkpoint(
            best_psnr=counter(-np.inf),
            rate_factor=rate_factor,
            **networks,
            **optimizers,
            **average,
            **self.updates.state,
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
        return self.number("step")

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
            constant_until=constant_until(self.recipe["learning_rate"]),
        )
        Session(self, plan, train_dataset, valid_dataset).run()

    def check_data(self, train_dataset, valid_dataset, steps):
        """Raise `ValueError` if the network cannot be trained or evaluated with these data."""
        check_training_data(train_dataset, self.model, steps, self.batch_sizes)
        if valid_dataset is not None:
            check_validation_data(valid_dataset, self.model, self.batch_sizes)

    def train_step(self, *batch):
        """Make one update with one batch. Returns one loss for each of `loss_names`."""
        return tuple(self.updates.update(batch))

    def evaluate(self, dataset):
        """Mean PSNR of the network, scalar tensor in dB; see `model.evaluate`."""
        return evaluate(self.evaluated, dataset)

    def restore(self):
        """Load the best checkpoint if `train` kept one, else the last.

        Where an average of the weights is kept, `model` then has the average.
        """
        self.checkpoints.restore_best()
        if self.evaluated is not self.model:
            self.model.set_weights(self.evaluated.get_weights())

    def sessions(self):
        """Return what ``run.json`` notes of each session, a list of dicts."""
        return self.facts.read().get("sessions", [])

    def number(self, name):
        """Value of a counter in the checkpoint."""
        return getattr(self.checkpoint, name).numpy().item()

    def say(self, sentence):
        """Report a sentence once, however many processes train."""
        if self.is_chief:
            self.report(sentence)

    def check_facts(self, name, now):
        """Compare "recipe" or "data" with what the run was begun with; see `RunFacts.check`."""
        changes = self.facts.check(
            name,
            now,
            resumes=self.checkpoints.newest() is not None,
            options=self.options,
            report=self.say,
        )
        if name == "recipe":
            self.changes = changes
        return changes

    def scores(self, valid_dataset):
        """Numbers to log at an evaluation; the highest ``psnr_rgb_db`` is the best."""
        return {"psnr_rgb_db": float(self.evaluate(valid_dataset))}

    def validation_picture(self, dataset):
        """Picture (H, W, 3) uint8 to log at an evaluation: LR, SR and HR side by side."""
        lr, hr = next((lr[0], hr[0]) for lr, hr in dataset)
        return side_by_side(self.evaluated, lr, hr)
