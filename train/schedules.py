"""Learning rates as functions of the step."""

import keras
import tensorflow as tf
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from train.descriptions import describe_rate


def piecewise(boundaries, values):
    """Learning rate that is `values[i]` until step `boundaries[i]`."""
    return keras.optimizers.schedules.PiecewiseConstantDecay(list(boundaries), list(values))


def cosine(first, last, steps, *, warm_up_steps=0):
    """Learning rate that falls from `first` to `last` along half a cosine.

    Args:
        first: Highest rate.
        last: Rate at the end.
        steps: Steps in all.
        warm_up_steps: Steps, of these, of a linear rise from zero before it.

    Reference: arXiv:1608.03983, equation 5, without restarts.
    """
    fall = keras.optimizers.schedules.CosineDecay
    if not warm_up_steps:
        return fall(first, steps, alpha=last / first)
    return fall(
        0.0,
        steps - warm_up_steps,
        alpha=last / first,
        warmup_target=first,
        warmup_steps=warm_up_steps,
    )


@keras.saving.register_keras_serializable("sr")
class TwoCycles(LearningRateSchedule):
    """Constant learning rate, then half a cosine down to `last`.

    Args:
        first: Rate of the first cycle.
        last: Rate at the end.
        steps: Steps in all.
        constant_share: Share of the first cycle; 92,000 of Restormer's 300,000 steps.

    Reference: arXiv:2111.09881, section 4, and the two cycles of its published training.
    """

    def __init__(self, first, last, steps, constant_share=92 / 300):
        self.first, self.last, self.steps = first, last, steps
        self.constant_share = constant_share

    def __call__(self, step):  # noqa: D102
        constant_steps = self.constant_share * self.steps
        done = (ops.cast(step, "float32") - constant_steps) / (self.steps - constant_steps)
        cosine_of_done = ops.cos(ops.clip(done, 0, 1) * 3.14159265)
        return self.last + (self.first - self.last) * (1 + cosine_of_done) / 2

    def get_config(self):
        """Arguments of the schedule."""
        return {
            "first": self.first,
            "last": self.last,
            "steps": self.steps,
            "constant_share": self.constant_share,
        }


def cool_down(step, steps, fall_steps):
    """Factor on a learning rate that falls from 1 to 0 over the last steps, by 1 - sqrt.

    Args:
        step: The step, any number type.
        steps: Steps in all.
        fall_steps: Steps of the fall, the last of these; 0: no fall.

    Reference: arXiv:2405.18392, section 3.
    """
    step, steps, fall_steps = (ops.cast(n, "float32") for n in (step, steps, fall_steps))
    fallen = (step - (steps - fall_steps)) / ops.maximum(fall_steps, 1.0)
    return 1 - ops.sqrt(ops.clip(fallen, 0, 1))


@keras.saving.register_keras_serializable("sr")
class Trapezoid(LearningRateSchedule):
    """Learning rate that rises, stays, and falls to zero over the last steps.

    Up to the fall it does not depend on the end, so a run can be prolonged (with
    `TrainerOptions.extend`) from the checkpoint that a trainer makes where the fall begins.

    Args:
        peak: The rate between rise and fall.
        steps: Steps in all; None: no end, as where a run is given hours instead.
        rise_steps: Steps of the linear rise from zero.
        fall_steps: Steps of the fall, see `cool_down`.

    Raises:
        ValueError: The numbers do not fit together.

    Reference: arXiv:2405.18392, section 3.
    """

    def __init__(self, peak, steps, rise_steps=200, fall_steps=0):
        if not peak > 0:
            raise ValueError(f"the highest learning rate must be above 0, got {peak}")
        if rise_steps < 0 or not 0 <= fall_steps <= (steps or 0):
            raise ValueError(
                "rise_steps and fall_steps must be at least 0, and fall_steps at most the "
                f"{steps or 0} steps in all, got {rise_steps} and {fall_steps}"
            )
        self.peak, self.steps = peak, steps
        self.rise_steps, self.fall_steps = rise_steps, fall_steps

    @property
    def constant_until(self):
        """Step at which the fall begins; None if there is none."""
        return self.steps - self.fall_steps if self.fall_steps else None

    def __call__(self, step):  # noqa: D102
        rise = (ops.cast(step, "float32") + 1) / max(self.rise_steps, 1)
        fall = 1.0 if self.steps is None else cool_down(step, self.steps, self.fall_steps)
        return self.peak * ops.minimum(ops.minimum(rise, 1.0), fall)

    def get_config(self):
        """Arguments of the schedule."""
        return {
            "peak": self.peak,
            "steps": self.steps,
            "rise_steps": self.rise_steps,
            "fall_steps": self.fall_steps,
        }


class Controlled(LearningRateSchedule):
    """Another learning rate, with a factor and an end that a run sets while it goes on.

    Args:
        rate: Number or schedule.
        factor: Scalar `tf.Variable`, which a run that goes back halves.
        end: Two scalar `tf.Variable`: steps in all, and those of the `cool_down`; zeros: no end.
    """

    def __init__(self, rate, factor, end):
        self.rate, self.factor, self.end = rate, factor, end

    def __call__(self, step):  # noqa: D102
        rate = self.rate(step) if callable(self.rate) else self.rate
        fall = tf.where(self.end[0] > 0, cool_down(step, *self.end), 1.0)
        return tf.cast(rate, tf.float32) * self.factor * fall

    def get_config(self):
        """What the rate is made of."""
        return {
            "rate": describe_rate(self.rate),
            "factor": float(self.factor.numpy()),
            "end": [int(part.numpy()) for part in self.end],
        }
