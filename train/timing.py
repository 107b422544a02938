"""How long a training will take on this machine, from a few of its steps."""

import time

_MEASURED = 3


def training_time(trainer, dataset, steps):
    """Make a few updates and tell from their time how long many of them take.

    Args:
        trainer: Any `train.trainer.Trainer`; its networks are changed, so give one that is made
            for this and not used afterwards.
        dataset: Batches as for `Trainer.train`.
        steps: Updates of the training in question.

    Returns:
        A sentence.
    """
    batches = iter(dataset)
    trainer.train_step(*next(batches))  # compiles
    started_at = time.perf_counter()
    for _ in range(_MEASURED):
        losses = trainer.train_step(*next(batches))
    float(losses[0])  # waits for a GPU
    step_s = (time.perf_counter() - started_at) / _MEASURED
    hours = step_s * steps / 3600
    amount = f"{hours:.0f}" if hours >= 10 else f"{hours:.2g}"
    return f"{step_s:.2g} s a step: {steps:,} steps take about {amount} hours here"
