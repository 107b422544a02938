"""How a trainer makes its updates: what is the same for every network and loss."""

from dataclasses import dataclass

import tensorflow as tf

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STRATEGIES = ("mirrored", "multi-worker")


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


def make_strategy(name):
    """Return a `tf.distribute.Strategy`; to be made before anything else in TensorFlow.

    Args:
        name: "mirrored": all GPUs of this machine (or logical CPUs); "multi-worker": all machines
            of TF_CONFIG. None: one device.

    Raises:
        ValueError: There is no such strategy.
    """
    if name is None:
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(_local_devices())
    if name == "multi-worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise ValueError(f"strategy must be {_one_of(STRATEGIES)}, got {name!r}")


def _local_devices():
    gpus = tf.config.list_logical_devices("GPU")
    return [device.name for device in gpus or tf.config.list_logical_devices("CPU")]


def is_chief(strategy):
    """Whether this process is the one that writes."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    return resolver.task_type == "chief" or (
        resolver.task_type == "worker"
        and resolver.task_id == 0
        and not resolver.cluster_spec().as_dict().get("chief")
    )


def check_scope(strategy, networks):
    """Raise `ValueError` if a network, of a dict of them, was not built where it is to train."""
    for network in networks.values():
        created = strategy.extended.variable_created_in_scope
        if not all(created(variable.value) for variable in network.variables):
            raise ValueError(
                f"{network.name} was built outside the strategy: build it inside "
                "`with strategy.scope():`"
            )


def _one_of(names):
    return ", ".join(repr(name) for name in names[:-1]) + f" or {names[-1]!r}"
