"""Adversarial training of two networks in the same loop and the same checkpoint as one."""

from train.losses import discriminator_loss, generator_loss
from train.trainer import Trainer

_ADVERSARIAL_WEIGHT = 1e-3  # arXiv:1609.04802, equation 3


class GanTrainer(Trainer):
    """Trains a generator on content and adversarial loss, and a discriminator against it.

    Args:
        generator: Network from LR to HR.
        discriminator: Network from HR pictures to a probability, (B, 1).
        content_loss: Function ``(hr, sr) → scalar``.
        learning_rate: Number or Keras schedule, for both optimisers.
        checkpoint_dir: Folder of the run. If it holds checkpoints, training goes on from the last.
        options: `TrainerOptions`; an average is one of the generator's weights.
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
        options=None,
        report=print,
    ):
        self.content_loss = content_loss
        networks = {"model": generator, "discriminator": discriminator}
        self._open_run(networks, learning_rate, checkpoint_dir, options, report)

    @property
    def generator(self):
        """The network that makes pictures."""
        return self.checkpoint.model

    @property
    def discriminator(self):
        """The network that judges them."""
        return self.checkpoint.discriminator

    def losses(self, lr, hr):
        """What each network minimises; both are updated from the other's state before the step."""
        sr = self.generator(lr, training=True)
        hr_probability = self.discriminator(hr, training=True)
        sr_probability = self.discriminator(sr, training=True)
        adversarial = generator_loss(sr_probability)
        perceptual = self.content_loss(hr, sr) + _ADVERSARIAL_WEIGHT * adversarial
        return perceptual, discriminator_loss(hr_probability, sr_probability)
