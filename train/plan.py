"""When what happens in one call of `Trainer.train`."""

import dataclasses

from train.pace import Pace

NO_END = 1 << 40
"""Steps of a run whose end is not known yet."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """When what happens in one call of `Trainer.train`; see there."""

    steps: int
    evaluate_every: int
    save_best_only: bool
    checkpoint_every_s: float
    pace: Pace | None = None  # where the steps are still to be chosen
    constant_until: int | None = None

    def __post_init__(self):
        for name in ("steps", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.checkpoint_every_s >= 0:
            raise ValueError(f"checkpoint_every_s must be 0 or more, got {self.checkpoint_every_s}")

    @property
    def known_steps(self):
        """Steps in all, or None."""
        return None if self.pace else self.steps

    def is_due(self, step):
        """Whether an evaluation follows a step."""
        return step % self.evaluate_every == 0 or step == self.steps

    def until_event(self, step):
        """Updates from `step` to the next evaluation, the cool-down or the end."""
        left = [self.evaluate_every - step % self.evaluate_every, self.steps - step]
        if self.constant_until is not None and step < self.constant_until:
            left.append(self.constant_until - step)
        return min(left)


def constant_until(end):
    """Step at which a cool-down begins, of a trapezoid or a plan in ``run.json``; or None."""
    if not isinstance(end, dict) or end.get("schedule", "Trapezoid") != "Trapezoid":
        return None
    fall_steps = end.get("fall_steps") or end.get("cool_down_steps")
    return end["steps"] - fall_steps if fall_steps else None
