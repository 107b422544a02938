"""How many steps fit into the hours there are: measured at the beginning of a run."""

import math
import time

_COOL_DOWN_SHARE = 0.2  # of all steps; arXiv:2405.18392, section 4: enough to match a cosine
_SKIPPED_CALLS = 3  # tracing, and the first batches, take longer
_LEAST_CALLS = 10
_MEASURED_SHARE = 0.03  # of the time, but not longer than
_LONGEST_S = 90


class Pace:
    """Measures the steps of a run from now on.

    Args:
        hours: Time of the run in all.

    Raises:
        ValueError: That is no time.
    """

    def __init__(self, hours):
        if not 0 < hours < math.inf:
            raise ValueError(f"hours must be above 0, got {hours}")
        self.hours, self._started_at = hours, time.monotonic()
        self._calls, self._steps, self._begun_at = 0, 0, None
        self.step_s = math.nan

    def note(self, count):
        """Note that `count` updates were made; returns whether enough were measured."""
        self._calls += 1
        if self._calls == _SKIPPED_CALLS:
            self._begun_at = time.monotonic()
        elif self._calls > _SKIPPED_CALLS:
            self._steps += count
            measured_s = time.monotonic() - self._begun_at
            self.step_s = measured_s / self._steps
            wanted_s = min(_MEASURED_SHARE * self.hours * 3600, _LONGEST_S)
            return self._calls >= _SKIPPED_CALLS + _LEAST_CALLS and measured_s >= wanted_s
        return False

    def plan(self, step, event_s, evaluate_every, save_s, checkpoint_every_s):
        """Return how a run goes on so that it ends on time, for ``run.json``.

        Args:
            step: Steps made so far.
            event_s: What an evaluation and its checkpoint take.
            evaluate_every: Steps between evaluations.
            save_s: What a checkpoint takes.
            checkpoint_every_s: Time between further checkpoints.

        Raises:
            ValueError: Not even one step more fits.
        """
        left_s = self.hours * 3600 - (time.monotonic() - self._started_at)
        step_s = self.step_s * (1 + save_s / max(checkpoint_every_s, self.step_s, 1e-9))
        more = math.floor((left_s - event_s) / step_s)
        while more > 0 and more * step_s + _events(step, more, evaluate_every) * event_s > left_s:
            more -= max(1, more // 1000)
        if more < 1:
            raise ValueError(
                f"{self.hours:g} hours are too short: a step takes {self.step_s:.2g} s and an "
                f"evaluation {event_s:.2g} s"
            )
        steps = step + more
        return {
            "hours": self.hours,
            "step_s": round(self.step_s, 4),
            "evaluation_s": round(event_s, 2),
            "steps": steps,
            "cool_down_steps": min(round(_COOL_DOWN_SHARE * steps), more),
        }


def _events(step, more, evaluate_every):
    """Evaluations after `more` steps: every so many, and at the end."""
    return -(-(step + more) // evaluate_every) - step // evaluate_every
