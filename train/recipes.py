"""The papers' numbers, one trainer class a recipe; signatures as in krasserm's repository."""

from model.vgg import vgg_22, vgg_54
from train.gan import GanTrainer
from train.losses import l1_loss, l2_loss, vgg_content_loss
from train.schedules import piecewise
from train.trainer import Trainer


class EdsrTrainer(Trainer):
    """L1 loss; 1e-4, halved after 200,000 steps.

    Args:
        model: The network, for example `edsr(4, num_res_blocks=16)`.
        checkpoint_dir: Folder of the run.
        learning_rate: Number or schedule in place of the paper's.
        options: `TrainerOptions`.
        report: Called with one sentence an event.

    Reference: arXiv:1707.02921, section 4.2.
    """

    def __init__(
        self, model, checkpoint_dir=".ckpt/edsr", learning_rate=None, *, options=None, report=print
    ):
        rate = piecewise([200_000], [1e-4, 5e-5]) if learning_rate is None else learning_rate
        super().__init__(model, l1_loss, rate, checkpoint_dir, options=options, report=report)

    def train(
        self,
        train_dataset,
        valid_dataset=None,
        steps=300_000,
        evaluate_every=1000,
        save_best_only=True,
        *,
        checkpoint_every_s=300,
    ):
        """See `Trainer.train`; 300,000 steps as in the paper, and the best are kept."""
        super().train(
            train_dataset,
            valid_dataset,
            steps,
            evaluate_every,
            save_best_only,
            checkpoint_every_s=checkpoint_every_s,
        )


class WdsrTrainer(EdsrTrainer):
    """L1 loss; 1e-3, halved after 200,000 steps: weight normalisation bears ten times EDSR's rate.

    Args as `EdsrTrainer`.

    Reference: arXiv:1808.08718, section 4.1.
    """

    def __init__(
        self, model, checkpoint_dir=".ckpt/wdsr", learning_rate=None, *, options=None, report=print
    ):
        rate = piecewise([200_000], [1e-3, 5e-4]) if learning_rate is None else learning_rate
        super().__init__(model, checkpoint_dir, rate, options=options, report=report)


class SrganGeneratorTrainer(EdsrTrainer):
    """Pre-training of SRGAN's generator: L2 loss, 1e-4.

    Args as `EdsrTrainer`.

    Reference: arXiv:1609.04802, section 3.2.
    """

    def __init__(
        self,
        model,
        checkpoint_dir=".ckpt/sr_resnet",
        learning_rate=1e-4,
        *,
        options=None,
        report=print,
    ):
        Trainer.__init__(
            self, model, l2_loss, learning_rate, checkpoint_dir, options=options, report=report
        )

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


class SrganTrainer(GanTrainer):
    """Perceptual fine-tuning: VGG content loss plus 0.001 of the adversarial loss.

    Args:
        generator: The network to fine-tune; any ×4 network with the 0..255 contract.
        discriminator: Network from HR pictures to a probability.
        content_loss: "VGG54", "VGG22", or a function ``(hr, sr) → scalar`` of your own.
        learning_rate: Of both networks; 1e-4, after 100,000 steps 1e-5, by default.
        checkpoint_dir: Folder of the run; named after the generator by default.
        options: `TrainerOptions`.
        report: Called with one sentence an event.

    Raises:
        ValueError: There is no such content loss.

    Reference: arXiv:1609.04802, equation 3 and section 3.2.
    """

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

    def train(self, train_dataset, valid_dataset=None, steps=200_000, evaluate_every=1000):
        """See `Trainer.train`; 200,000 steps as in the paper. PSNR falls while pictures sharpen."""
        super().train(train_dataset, valid_dataset, steps, evaluate_every)
