"""ESRGAN's two stages (arXiv:1809.00219, section 4.1), with a face-feature loss by option."""

import functools

import keras

from model.vgg import vgg_54
from train.gan import GanTrainer
from train.losses import (
    feature_l1_loss,
    l1_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
    vgg_content_loss,
)
from train.options import TrainerOptions
from train.recipes import EdsrTrainer
from train.schedules import piecewise

PIXEL_WEIGHT = 1e-2  # η, of L1 on pictures in 0..1
CONTENT_WEIGHT = 1.0
ADVERSARIAL_WEIGHT = 5e-3  # λ
FACE_WEIGHT = 10.0  # by definition of this project

_ADAM = staticmethod(functools.partial(keras.optimizers.Adam, beta_2=0.99))


class EsrganGeneratorTrainer(EdsrTrainer):
    """The first stage: L1 loss; 2e-4, halved every 200,000 steps.

    Args as `EdsrTrainer`; an average of the weights is kept, 0.999.

    Reference: arXiv:1809.00219, section 4.1.
    """

    optimizer = _ADAM

    def __init__(
        self, model, checkpoint_dir=".ckpt/rrdb", learning_rate=None, *, options=None, report=print
    ):
        if learning_rate is None:
            rates = [2e-4 / 2**i for i in range(5)]
            learning_rate = piecewise([200_000, 400_000, 600_000, 800_000], rates)
        options = options or TrainerOptions(ema_decay=0.999)
        super().__init__(model, checkpoint_dir, learning_rate, options=options, report=report)

    def train(
        self,
        train_dataset,
        valid_dataset=None,
        steps=1_000_000,
        evaluate_every=1000,
        save_best_only=True,
        *,
        checkpoint_every_s=300,
    ):
        """See `Trainer.train`; a million steps as in the paper, and the best are kept."""
        super().train(
            train_dataset,
            valid_dataset,
            steps,
            evaluate_every,
            save_best_only,
            checkpoint_every_s=checkpoint_every_s,
        )


class EsrganTrainer(GanTrainer):
    """The second stage: 0.01 L1 + content + 0.005 relativistic loss; 1e-4, halved four times.

    To be begun from a generator of the first stage; `infer.variants.blend` interpolates between
    the two. An average of the weights is kept, 0.999.

    Args:
        generator: The network to fine-tune; any network with the 0..255 contract.
        discriminator: Network from HR pictures to logits, `model.esrgan.vgg_discriminator()`.
        content_loss: "VGG54", before its ReLU, or a function ``(hr, sr) → scalar`` of your own,
            such as `train.losses.lpips_content_loss`, which needs no large download.
        learning_rate: Of both networks, in place of the paper's.
        checkpoint_dir: Folder of the run; named after the generator by default.
        pixel_weight: Of L1 on pictures in 0..1. LPIPS is smaller than VGG's content loss, and with
            the paper's 0.01 leaves textures that no pixel agrees with: 1 suits it.
        face_loss: Function ``(hr, sr) → scalar`` that is added ten times,
            `train.losses.face_feature_loss`; None: no such loss.
        options: `TrainerOptions`.
        report: Called with one sentence an event.

    Raises:
        ValueError: There is no such content loss.

    Reference: arXiv:1809.00219, equation 3 and section 4.1.
    """

    optimizer = _ADAM

    def __init__(
        self,
        generator,
        discriminator,
        content_loss="VGG54",
        learning_rate=None,
        checkpoint_dir=None,
        *,
        pixel_weight=PIXEL_WEIGHT,
        face_loss=None,
        options=None,
        report=print,
    ):
        if content_loss == "VGG54":
            content_loss = vgg_content_loss(vgg_54(before_relu=True), feature_l1_loss)
        elif isinstance(content_loss, str):
            raise ValueError(f"content_loss must be 'VGG54' or a function, got {content_loss!r}")
        if learning_rate is None:
            rates = [1e-4 / 2**i for i in range(5)]
            learning_rate = piecewise([50_000, 100_000, 200_000, 300_000], rates)
        self.pixel_weight, self.face_loss = pixel_weight, face_loss
        self.loss_names = ("generator_loss", "discriminator_loss", "pixel", "content", "adversary")
        self.loss_names += ("face",) if face_loss else ()
        super().__init__(
            generator,
            discriminator,
            content_loss,
            learning_rate,
            checkpoint_dir or f".ckpt/{generator.name}-gan",
            options=options or TrainerOptions(ema_decay=0.999),
            report=report,
        )

    def losses(self, lr, hr):
        """The generator's loss, the discriminator's, and the parts of the first, not weighted."""
        sr = self.generator(lr, training=True)
        hr_logits = self.discriminator(hr, training=True)
        sr_logits = self.discriminator(sr, training=True)
        pixel = l1_loss(hr, sr) / 255
        content = self.content_loss(hr, sr)
        adversary = relativistic_generator_loss(hr_logits, sr_logits)
        against = relativistic_discriminator_loss(hr_logits, sr_logits)
        total = self.pixel_weight * pixel + CONTENT_WEIGHT * content
        total += ADVERSARIAL_WEIGHT * adversary
        if self.face_loss is None:
            return total, against, pixel, content, adversary
        face = self.face_loss(hr, sr)
        return total + FACE_WEIGHT * face, against, pixel, content, adversary, face

    def train(self, train_dataset, valid_dataset=None, steps=400_000, evaluate_every=1000):
        """See `Trainer.train`; 400,000 steps as in the paper. PSNR falls while pictures sharpen."""
        super().train(train_dataset, valid_dataset, steps, evaluate_every)
