"""The papers' numbers, one trainer class a recipe; signatures as in krasserm's repository."""

import keras

from model.vgg import vgg_22, vgg_54
from train.gan import GanTrainer
from train.losses import l1_loss, l2_loss, vgg_content_loss
from train.trainer import Trainer


def piecewise(boundaries, values):
    """Learning rate that is `values[i]` until step `boundaries[i]`."""
    return keras.optimizers.schedules.PiecewiseConstantDecay(list(boundaries), list(values))


@keras.saving.register_keras_serializable("sr")
class Trapezoid(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate that rises, stays, and falls to zero over the last steps.

    Up to the fall it does not depend on the end, so a run can be prolonged or cut short by giving
    it another number of steps.

    Args:
        peak: The rate between rise and fall.
        steps: Steps in all.
        rise_steps: Steps of the linear rise from zero.
        fall_steps: Steps of the fall, which follows 1 - sqrt.

    Reference: arXiv:2405.18392, section 3.
    """

    def __init__(self, peak, steps, rise_steps=200, fall_steps=0):
        self.peak, self.steps = peak, steps
        self.rise_steps, self.fall_steps = rise_steps, fall_steps

    def __call__(self, step):  # noqa: D102
        step = keras.ops.cast(step, "float32")
        rise = (step + 1) / max(self.rise_steps, 1)
        fallen = (step - (self.steps - self.fall_steps)) / max(self.fall_steps, 1)
        fall = 1 - keras.ops.sqrt(keras.ops.clip(fallen, 0, 1))
        return self.peak * keras.ops.minimum(keras.ops.minimum(rise, 1.0), fall)

    def get_config(self):
        """Arguments of the schedule."""
        return {
            "peak": self.peak,
            "steps": self.steps,
            "rise_steps": self.rise_steps,
            "fall_steps": self.fall_steps,
        }


class EdsrTrainer(Trainer):
    """L1 loss; 1e-4, halved after 200,000 steps.

    Args:
        model: The network, for example `edsr(4, num_res_blocks=16)`.
        checkpoint_dir: Folder of the run.
        learning_rate: Number or schedule in place of the paper's.
        report: Called with one sentence an event.

    Reference: arXiv:1707.02921, section 4.2.
    """

    def __init__(self, model, checkpoint_dir=".ckpt/edsr", learning_rate=None, *, report=print):
        rate = piecewise([200_000], [1e-4, 5e-5]) if learning_rate is None else learning_rate
        super().__init__(model, l1_loss, rate, checkpoint_dir, report=report)

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

    def __init__(self, model, checkpoint_dir=".ckpt/wdsr", learning_rate=None, *, report=print):
        rate = piecewise([200_000], [1e-3, 5e-4]) if learning_rate is None else learning_rate
        super().__init__(model, checkpoint_dir, rate, report=report)


class SrganGeneratorTrainer(EdsrTrainer):
    """Pre-training of SRGAN's generator: L2 loss, 1e-4.

    Args as `EdsrTrainer`.

    Reference: arXiv:1609.04802, section 3.2.
    """

    def __init__(
        self, model, checkpoint_dir=".ckpt/sr_resnet", learning_rate=1e-4, *, report=print
    ):
        super().__init__(model, checkpoint_dir, learning_rate, report=report)
        self.loss = l2_loss

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
            report=report,
        )

    def train(self, train_dataset, valid_dataset=None, steps=200_000, evaluate_every=1000):
        """See `Trainer.train`; 200,000 steps as in the paper. PSNR falls while pictures sharpen."""
        super().train(train_dataset, valid_dataset, steps, evaluate_every)
