"""Learning rates as functions of the step."""

import keras
import tensorflow as tf
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule


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


@keras.saving.register_keras_serializable("sr")
class Trapezoid(LearningRateSchedule):
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
        step = ops.cast(step, "float32")
        rise = (step + 1) / max(self.rise_steps, 1)
        fallen = (step - (self.steps - self.fall_steps)) / max(self.fall_steps, 1)
        fall = 1 - ops.sqrt(ops.clip(fallen, 0, 1))
        return self.peak * ops.minimum(ops.minimum(rise, 1.0), fall)

    def get_config(self):
        """Arguments of the schedule."""
        return {
            "peak": self.peak,
            "steps": self.steps,
            "rise_steps": self.rise_steps,
            "fall_steps": self.fall_steps,
        }


class Reduced(LearningRateSchedule):
    """Another learning rate times a factor, which a run that goes back halves.

    Args:
        rate: Number or schedule.
        factor: Scalar `tf.Variable`.
    """

    def __init__(self, rate, factor):
        self.rate, self.factor = rate, factor

    def __call__(self, step):  # noqa: D102
        rate = self.rate(step) if callable(self.rate) else self.rate
        return tf.cast(rate, tf.float32) * self.factor

    def get_config(self):
        """What the rate is made of."""
        return {"rate": describe(self.rate), "factor": float(self.factor.numpy())}


def describe(rate):
    """A learning rate as JSON can hold it: a number, or name and arguments of a schedule."""
    if isinstance(rate, LearningRateSchedule):
        return {"schedule": type(rate).__name__} | rate.get_config()
    return float(rate)
