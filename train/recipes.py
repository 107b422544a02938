"""The papers' numbers, one trainer class a recipe; signatures as in krasserm's repository."""

import dataclasses

import keras
import tensorflow as tf

from model.vgg import vgg_22, vgg_54
from train.augment import augmented
from train.descriptions import describe_loss
from train.gan import Adversary, GanTrainer
from train.losses import (
    feature_l1_loss,
    grid_loss,
    l1_loss,
    l2_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
    vgg_content_loss,
)
from train.options import TrainerOptions
from train.schedules import piecewise
from train.trainer import Trainer


class EdsrTrainer(Trainer):
    """L1 loss; 1e-4, halved after 200,000 steps; 300,000 steps, of which the best are kept.

    Args:
        model: The network, for example `edsr(4, num_res_blocks=16)`.
        checkpoint_dir: Folder of the run. If it holds checkpoints, training resumes from the last.
        learning_rate: Number or Keras schedule in place of the paper's.
        loss: Function ``(hr, sr) → scalar`` in place of L1, see `Trainer`.
        options: `TrainerOptions`.
        report: Called with one sentence an event.

    Then ``train(train_dataset, valid_dataset=None, steps=None, evaluate_every=1000,
    save_best_only=None, *, checkpoint_every_s=300, hours=None)``, see `Trainer.train`.

    Reference: arXiv:1707.02921, section 4.2.
    """

    STEPS = 300_000
    SAVE_BEST_ONLY = True

    def __init__(
        self,
        model,
        checkpoint_dir=".ckpt/edsr",
        learning_rate=None,
        *,
        loss=l1_loss,
        options=None,
        report=print,
    ):
        rate = piecewise([200_000], [1e-4, 5e-5]) if learning_rate is None else learning_rate
        super().__init__(model, loss, rate, checkpoint_dir, options=options, report=report)


class WdsrTrainer(EdsrTrainer):
    """L1 loss; 1e-3, halved after 200,000 steps: weight normalisation bears ten times EDSR's rate.

    Args and `train` as `EdsrTrainer`.

    Reference: arXiv:1808.08718, section 4.1.
    """

    def __init__(
        self,
        model,
        checkpoint_dir=".ckpt/wdsr",
        learning_rate=None,
        *,
        loss=l1_loss,
        options=None,
        report=print,
    ):
        rate = piecewise([200_000], [1e-3, 5e-4]) if learning_rate is None else learning_rate
        super().__init__(model, checkpoint_dir, rate, loss=loss, options=options, report=report)


class SrganGeneratorTrainer(EdsrTrainer):
    """Pre-training of SRGAN's generator: L2 loss, 1e-4; a million steps, the best are kept.

    Args and `train` as `EdsrTrainer`.

    Reference: arXiv:1609.04802, section 3.2.
    """

    STEPS = 1_000_000

    def __init__(
        self,
        model,
        checkpoint_dir=".ckpt/sr_resnet",
        learning_rate=1e-4,
        *,
        loss=l2_loss,
        options=None,
        report=print,
    ):
        super().__init__(
            model, checkpoint_dir, learning_rate, loss=loss, options=options, report=report
        )


class SrganTrainer(GanTrainer):
    """Perceptual fine-tuning: VGG content loss plus 0.001 of the adversarial loss; 200,000 steps.

    PSNR falls while pictures sharpen, so the last weights are kept, not the best.

    Args:
        generator: The network to fine-tune; any ×4 network with the 0..255 contract.
        discriminator: Network from HR pictures to a probability.
        content_loss: "VGG54", "VGG22", or a function ``(hr, sr) → scalar`` of your own.
        learning_rate: Of both networks; 1e-4, after 100,000 steps 1e-5, by default.
        checkpoint_dir: Folder of the run; ``.ckpt/`` and the generator's name with "-gan" by
            default.
        options: `TrainerOptions`.
        report: Called with one sentence an event.

    Then ``train(train_dataset, valid_dataset=None, steps=None, evaluate_every=1000, …)``, see
    `Trainer.train`.

    Raises:
        ValueError: There is no such content loss.

    Reference: arXiv:1609.04802, equation 3 and section 3.2.
    """

    STEPS = 200_000

    def __init__(
        self,
        generator,
        discriminator,
        content_loss="VGG54",
        learning_rate=None,
        checkpoint_dir=None,
        *,
        options=None,
        report=print,
    ):
        if isinstance(content_loss, str):
            if content_loss not in ("VGG54", "VGG22"):
                raise ValueError(
                    f"content_loss must be 'VGG54', 'VGG22' or a function, got {content_loss!r}"
                )
            content_loss = vgg_content_loss(vgg_54() if content_loss == "VGG54" else vgg_22())
        rate = piecewise([100_000], [1e-4, 1e-5]) if learning_rate is None else learning_rate
        super().__init__(
            generator,
            discriminator,
            content_loss,
            rate,
            checkpoint_dir or f".ckpt/{generator.name}-gan",
            options=options,
            report=report,
        )


PIXEL_WEIGHT = 1e-2  # η, of L1 on pictures in 0..1


CONTENT_WEIGHT = 1.0


FACE_WEIGHT = 10.0  # by definition of this project


class EsrganGeneratorTrainer(EdsrTrainer):
    """The first stage: L1 loss; 2e-4, halved every 200,000 steps; a million, the best are kept.

    Args and `train` as `EdsrTrainer`; an average of the weights is kept, 0.999.

    Reference: arXiv:1809.00219, section 4.1.
    """

    STEPS = 1_000_000

    @staticmethod
    def optimizer(learning_rate):
        """Return Adam with β₂ = 0.99."""
        return keras.optimizers.Adam(learning_rate, beta_2=0.99)

    def __init__(
        self,
        model,
        checkpoint_dir=".ckpt/rrdb",
        learning_rate=None,
        *,
        loss=l1_loss,
        options=None,
        report=print,
    ):
        if learning_rate is None:
            rates = [2e-4 / 2**i for i in range(5)]
            learning_rate = piecewise([200_000, 400_000, 600_000, 800_000], rates)
        options = options or TrainerOptions(ema_decay=0.999)
        super().__init__(
            model, checkpoint_dir, learning_rate, loss=loss, options=options, report=report
        )


class EsrganTrainer(GanTrainer):
    """The second stage: 0.01 L1 + content + 0.005 relativistic loss; 1e-4, halved four times.

    400,000 steps; PSNR falls while pictures sharpen, so the last weights are kept, not the best. To
    be begun from a generator of the first stage; `infer.variants.blend` interpolates between the
    two. An average of the weights is kept, 0.999.

    Args:
        generator: The network to fine-tune; any network with the 0..255 contract.
        discriminator: Network from HR pictures to logits, `model.esrgan.vgg_discriminator()`, or
            of every pixel, `model.esrgan.unet_discriminator()`.
        content_loss: "VGG54", before its ReLU, or a function ``(hr, sr) → scalar`` of your own,
            such as `train.losses.lpips_content_loss`, which needs no large download.
        learning_rate: Of both networks, in place of the paper's.
        checkpoint_dir: Folder of the run; ``.ckpt/`` and the generator's name with "-esrgan" by
            default.
        pixel_weight: Of L1 on pictures in 0..1. LPIPS is smaller than VGG's content loss, and with
            the paper's 0.01 leaves textures that no pixel agrees with: 1 suits it.
        face_loss: Function ``(hr, sr) → scalar`` that is added ten times,
            `train.losses.face_feature_loss`; None: no such loss.
        adversary: `train.gan.Adversary`: weight of the adversarial loss, and how it begins.
        grid_weight: Of `train.losses.grid_loss` on pictures in 0..1, for example 1000; None: no
            such loss.
        options: `TrainerOptions`.
        report: Called with one sentence an event.

    Then ``train(train_dataset, valid_dataset=None, steps=None, evaluate_every=1000, …)``, see
    `Trainer.train`.

    Raises:
        ValueError: There is no such content loss.

    Reference: arXiv:1809.00219, equation 3 and section 4.1.
    """

    STEPS = 400_000
    optimizer = staticmethod(EsrganGeneratorTrainer.optimizer)

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
        adversary=None,
        grid_weight=None,
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
        self.adversary, self.grid_weight = adversary or Adversary(), grid_weight
        self.loss_names = ("generator_loss", "discriminator_loss", "pixel", "content", "adversary")
        self.loss_names += ("face",) * bool(face_loss) + ("grid",) * bool(grid_weight)
        super().__init__(
            generator,
            discriminator,
            content_loss,
            learning_rate,
            checkpoint_dir or f".ckpt/{generator.name}-esrgan",
            options=options or TrainerOptions(ema_decay=0.999),
            report=report,
        )

    def loss_facts(self):
        """What the losses are made of, for ``run.json``."""
        face = self.face_loss and describe_loss(self.face_loss)
        facts = {"pixel_weight": self.pixel_weight, "face_loss": face}
        facts |= {"grid_weight": self.grid_weight} if self.grid_weight else {}
        return super().loss_facts() | facts | {"adversary": dataclasses.asdict(self.adversary)}

    def losses(self, lr, hr):
        """The generator's loss, the discriminator's, and the parts of the first, not weighted."""
        sr = self.generator(lr, training=True)
        seen = augmented(hr, sr) if self.adversary.augment else (hr, sr)
        hr_logits, sr_logits = (self.discriminator(x, training=True) for x in seen)
        adversary = relativistic_generator_loss(hr_logits, sr_logits)
        against = relativistic_discriminator_loss(hr_logits, sr_logits)
        pixel, content = l1_loss(hr, sr) / 255, self.content_loss(hr, sr)
        step = self.checkpoint.step
        total = self.pixel_weight * pixel + CONTENT_WEIGHT * content
        total += self.adversary.weight_at(step) * adversary
        parts = [pixel, content, adversary]
        if self.face_loss:
            parts.append(self.face_loss(hr, sr))
            total += FACE_WEIGHT * parts[-1]
        if self.grid_weight:
            parts.append(grid_loss(hr, sr, hr.shape[1] // lr.shape[1]) / 255**2)
            total += self.grid_weight * parts[-1]
        total *= tf.cast(step >= self.adversary.alone_steps, tf.float32)  # Adam then stands still
        return total, against, *parts
