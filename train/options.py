"""How a trainer makes its updates: what is the same for every network and loss."""

from dataclasses import dataclass

import tensorflow as tf

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class TrainerOptions:
    """Options of every trainer; the defaults are plain single-device float32 training.

    Attributes:
        ema_decay: Keep an exponential moving average of the weights, which is what is evaluated
            and what `Trainer.restore` gives; 0.999 in ESRGAN. None: no average.
        clip_norm: Largest global norm of a network's gradient. None: no clipping.
        accumulate: Parts that a batch is computed in, one after another, with one update at the
            end: the memory of a part, the result of the batch (but for batch normalisation, whose
            statistics are those of a part). Must divide each replica's batch.
        precision: "float32", "mixed_bfloat16" or "mixed_float16" (with loss scaling). Weights,
            normalisation, losses and the end of the network stay float32.
        jit_compile: Compile with XLA. For GPUs: on CPUs it is slower.
        steps_per_call: Updates in one call of the graph.
        max_bad_steps: Steps in a row, skipped because loss or gradient was not finite, at which
            `after_bad_steps` happens.
        after_bad_steps: "stop", or "rollback": to the last checkpoint, with half the learning rate.
        allow_changes: Go on from a checkpoint although the recipe or the data have changed.
        strategy: Where to train; by default the `tf.distribute` strategy whose scope is open.

    Raises:
        ValueError: A value is out of range.
    """

    ema_decay: float | None = None
    clip_norm: float | None = None
    accumulate: int = 1
    precision: str = "float32"
    jit_compile: bool = False
    steps_per_call: int = 1
    max_bad_steps: int = 10
    after_bad_steps: str = "stop"
    allow_changes: bool = False
    strategy: tf.distribute.Strategy | None = None

    def __post_init__(self):
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay must be between 0 and 1, got {self.ema_decay}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ValueError(f"clip_norm must be above 0, got {self.clip_norm}")
        for name in ("accumulate", "steps_per_call", "max_bad_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be {_one_of(PRECISIONS)}, got {self.precision!r}")
        if self.after_bad_steps not in ("stop", "rollback"):
            raise ValueError(
                f"after_bad_steps must be 'stop' or 'rollback', got {self.after_bad_steps!r}"
            )

    def that_change_results(self):
        """Name → value of the options on which the trained weights depend."""
        names = ("ema_decay", "clip_norm", "precision", "after_bad_steps")
        return {name: getattr(self, name) for name in names}


def _one_of(names):
    return ", ".join(repr(name) for name in names[:-1]) + f" or {names[-1]!r}"
