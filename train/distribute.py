"""Batches for one or many replicas, from any step on."""

import tensorflow as tf

from train.options import one_of


def distributed(dataset, step, strategy):
    """Batches of a data set from `step` on, each replica having its rows of the global batch.

    Args:
        dataset: Batches, tuples of tensors. With ``start_at(step, part)``, as
            `data.batches.SeekableDataset` has it, each replica's rows are loaded by themselves;
            other data sets are skipped forward and cut.
        step: Batches to leave out.
        strategy: `tf.distribute.Strategy`.

    Returns:
        What `strategy.distribute_datasets_from_function` gives.
    """

    def of_worker(context):
        count = context.num_replicas_in_sync
        local = count // context.num_input_pipelines
        first = context.input_pipeline_id * local
        parts = [_part(dataset, step, (first + i, count)) for i in range(local)]
        if len(parts) == 1:
            return parts[0]
        turns = tf.data.Dataset.range(local).repeat()
        return tf.data.Dataset.choose_from_datasets([_any_size(part) for part in parts], turns)

    return strategy.distribute_datasets_from_function(of_worker)


def _part(dataset, step, part):
    if hasattr(dataset, "start_at"):
        return dataset.start_at(step, part)
    batches = dataset.skip(step)
    index, count = part
    if count == 1:
        return batches
    return batches.map(lambda *batch: tuple(_rows(tensor, index, count) for tensor in batch))


def _rows(tensor, index, count):
    size = tf.shape(tensor)[0]
    return tensor[size * index // count : size * (index + 1) // count]


def _any_size(batches):
    """The same batches, with a size that is not known beforehand: parts may be uneven."""
    return batches.map(lambda *batch: tuple(tensor[: tf.shape(tensor)[0]] for tensor in batch))


STRATEGIES = ("mirrored", "multi-worker")


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
    raise ValueError(f"strategy must be {one_of(STRATEGIES)}, got {name!r}")


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


def several_processes(strategy):
    """Whether other processes train along with this one."""
    resolver = strategy.cluster_resolver
    return resolver is not None and bool(resolver.task_type)


def check_scope(strategy, networks):
    """Raise `ValueError` if a network, of a dict of them, was not built where it is to train."""
    for network in networks.values():
        created = strategy.extended.variable_created_in_scope
        if not all(created(variable.value) for variable in network.variables):
            raise ValueError(
                f"{network.name} was built outside the strategy: build it inside "
                "`with strategy.scope():`"
            )
