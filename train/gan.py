"""Adversarial training of two networks in the same loop and the same checkpoint as one."""

import tensorflow as tf

from train.losses import discriminator_loss, generator_loss
from train.trainer import Trainer, adam, update

_ADVERSARIAL_WEIGHT = 1e-3  # arXiv:1609.04802, equation 3


class GanTrainer(Trainer):
    """Trains a generator on content and adversarial loss, and a discriminator against it.

    Args:
        generator: Network from LR to HR.
        discriminator: Network from HR pictures to a probability, (B, 1).
        content_loss: Function ``(hr, sr) → scalar``.
        learning_rate: Number or Keras schedule, for both optimisers.
        checkpoint_dir: Folder of the run. If it holds checkpoints, training goes on from the last.
        report: Called with one sentence an event.
    """

    loss_names = ("perceptual_loss", "discriminator_loss")

    def __init__(
        self,
        generator,
        discriminator,
        content_loss,
        learning_rate=1e-4,
        checkpoint_dir=".ckpt/gan",
        *,
        report=print,
    ):
        self.content_loss = content_loss
        self._open_run(
            checkpoint_dir,
            report,
            model=generator,
            optimizer=adam(learning_rate, generator),
            discriminator=discriminator,
            discriminator_optimizer=adam(learning_rate, discriminator),
        )

    @property
    def generator(self):
        """The network that makes pictures."""
        return self.checkpoint.model

    @property
    def discriminator(self):
        """The network that judges them."""
        return self.checkpoint.discriminator

    def train_step(self, lr, hr):
        """Update both networks once, each on the other's state before the step."""
        with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
            sr = self.generator(lr, training=True)
            hr_probability = self.discriminator(hr, training=True)
            sr_probability = self.discriminator(sr, training=True)
            adversarial = generator_loss(sr_probability)
            perceptual = self.content_loss(hr, sr) + _ADVERSARIAL_WEIGHT * adversarial
            against = discriminator_loss(hr_probability, sr_probability)
        update(self.checkpoint.optimizer, generator_tape, perceptual, self.generator)
        update(
            self.checkpoint.discriminator_optimizer, discriminator_tape, against, self.discriminator
        )
        return perceptual, against
