"""Adversarial training of two networks in the same loop and the same checkpoint as one."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from train.descriptions import describe_loss
from train.losses import logit_discriminator_loss, logit_generator_loss
from train.trainer import Trainer

_ADVERSARIAL_WEIGHT = 1e-3  # arXiv:1609.04802, equation 3


@dataclass(frozen=True)
class Adversary:
    """How the discriminator takes part in ESRGAN's second stage; the defaults are the paper's.

    Attributes:
        weight: Of the adversarial loss, λ in arXiv:1809.00219.
        alone_steps: First steps, in which the discriminator is trained and the generator is not:
            what a new discriminator says is of no use.
        ramp_steps: Steps after them in which the weight rises from 0.
        augment: Show the discriminator changed pictures, see `train.augment`.

    Raises:
        ValueError: A number is below 0.
    """

    weight: float = 5e-3
    alone_steps: int = 0
    ramp_steps: int = 0
    augment: bool = False

    def __post_init__(self):
        for name in ("weight", "alone_steps", "ramp_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")

    def weight_at(self, step):
        """The weight at a step, an integer tensor."""
        risen = tf.cast(step - self.alone_steps, tf.float32) / max(self.ramp_steps, 1)
        return self.weight * (tf.clip_by_value(risen, 0.0, 1.0) if self.ramp_steps else 1.0)


class GanTrainer(Trainer):
    """Trains a generator on content and adversarial loss, and a discriminator against it.

    Args:
        generator: Network from LR to HR.
        discriminator: Network from HR pictures to a probability, (B, 1). Losses are computed from
            its logits, before the sigmoid, where it ends in a dense layer with one.
        content_loss: Function ``(hr, sr) → scalar``.
        learning_rate: Number or Keras schedule, for both optimisers.
        checkpoint_dir: Folder of the run. If it holds checkpoints, training resumes from the last.
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

    def loss_facts(self):
        """What the losses are made of, for ``run.json``."""
        return {"loss": describe_loss(self.content_loss)}

    def losses(self, lr, hr):
        """What each network minimises; both are updated from the other's state before the step."""
        sr = self.generator(lr, training=True)
        hr_logits = self._logits(hr)
        sr_logits = self._logits(sr)
        adversarial = logit_generator_loss(sr_logits)
        perceptual = self.content_loss(hr, sr) + _ADVERSARIAL_WEIGHT * adversarial
        return perceptual, logit_discriminator_loss(hr_logits, sr_logits)

    def _logits(self, pictures):
        """The discriminator before its sigmoid, which is flat where it is sure."""
        last = self.discriminator.layers[-1]
        if isinstance(last, keras.layers.Dense) and last.activation is keras.activations.sigmoid:
            before = keras.Model(self.discriminator.inputs, last.input)
            features = before(pictures, training=True)
            return tf.matmul(tf.cast(features, tf.float32), last.kernel) + last.bias
        probability = self.discriminator(pictures, training=True)
        least = 1e-7
        probability = tf.clip_by_value(tf.cast(probability, tf.float32), least, 1 - least)
        return tf.math.log(probability) - tf.math.log1p(-probability)

    def check_data(self, train_dataset, valid_dataset, steps):
        """As `Trainer.check_data`; HR must have the discriminator's size."""
        super().check_data(train_dataset, valid_dataset, steps)
        px = self.discriminator.input_shape[1:3]
        hr_px = tuple(train_dataset.element_spec[1].shape[1:3])
        if None not in px and None not in hr_px and px != hr_px:
            raise ValueError(
                f"HR pictures must be {px[0]}×{px[1]} px for the discriminator, got "
                f"{hr_px[0]}×{hr_px[1]} px (hr_crop_px, --hr-crop-px)"
            )
