"""How a trainer makes its updates: what is the same for every network and loss."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

OPTIMIZERS = ("adam", "muon")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
AFTER_BAD_STEPS = ("stop", "rollback")


def _option(default, kind, meaning, choices=None):
    """A field that is also an option of the command line, with its type and its help."""
    metadata = {"type": kind, "help": meaning, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainerOptions:
    """Options of every trainer; the defaults are plain single-device float32 training.

    Each field but `strategy` is also an option of ``python -m train``, with the same help.

    Attributes:
        optimizer: "adam": each trainer's own form of it; or "muon", see `train.optimizers.Muon`.
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
        allow_changes: Resume from a checkpoint although the recipe or the data have changed.
        extend: Resume with another end of a `train.schedules.Trapezoid`, or another ``hours=``:
            from the last checkpoint, or if that is past the beginning of the cool-down, from the
            checkpoint made there.
        strategy: Where to train; by default the `tf.distribute` strategy whose scope is open.

    Raises:
        ValueError: A value is out of range.
    """

    optimizer: str = _option(
        "adam", str, "adam, or muon: steps made orthogonal for each kernel", OPTIMIZERS
    )
    ema_decay: float | None = _option(
        None,
        float,
        "keep an exponential moving average of the weights with this decay, for example 0.999; "
        "the average is what is evaluated and written",
    )
    clip_norm: float | None = _option(
        None, float, "clip the gradient of a network to this global norm"
    )
    accumulate: int = _option(
        1, int, "compute each batch in this many parts, one after another, to save memory"
    )
    precision: str = _option("float32", str, "number type of the computation", PRECISIONS)
    jit_compile: bool = _option(False, bool, "compile with XLA; faster on GPUs, slower on CPUs")
    steps_per_call: int = _option(1, int, "updates in one call of the TensorFlow graph")
    max_bad_steps: int = _option(
        10,
        int,
        "updates in a row that may be skipped because a loss or gradient is not a finite number",
    )
    after_bad_steps: str = _option(
        "stop",
        str,
        "what to do then: stop, or roll back to the last checkpoint and halve the learning rate",
        AFTER_BAD_STEPS,
    )
    allow_changes: bool = _option(
        False, bool, "resume from the last checkpoint although arguments or data have changed"
    )
    extend: bool = _option(
        False,
        bool,
        "resume with another number of steps (or hours): prolong the constant part of the "
        "trapezoid schedule from the checkpoint before its cool-down",
    )
    strategy: "tf.distribute.Strategy | None" = None

    def __post_init__(self):
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay must be between 0 and 1, got {self.ema_decay}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm must be above 0, got {self.clip_norm}")
        for name in ("accumulate", "steps_per_call", "max_bad_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("optimizer", "precision", "after_bad_steps"):
            allowed = _FIELDS[name].metadata["choices"]
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be {one_of(allowed)}, got {getattr(self, name)!r}")

    def that_change_results(self):
        """Name → value of the options on which the trained weights depend."""
        names = ("optimizer", "ema_decay", "clip_norm", "precision", "after_bad_steps")
        return {name: getattr(self, name) for name in names}


_FIELDS = {field.name: field for field in dataclasses.fields(TrainerOptions)}


def one_of(names):
    """Names as a sentence lists them: ``'a', 'b' or 'c'``."""
    return ", ".join(repr(name) for name in names[:-1]) + f" or {names[-1]!r}"
