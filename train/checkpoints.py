"""The checkpoints of a run: written by one process, read from the newest that is whole."""

import tempfile
from pathlib import Path

import tensorflow as tf

_UNREADABLE = (tf.errors.OpError, IndexError)  # what TensorFlow makes of a file cut short
_KEY = "{}/_trainable_variables/{}/.ATTRIBUTES/VARIABLE_VALUE"


class Checkpoints:
    """``last/``, which training goes on from, and ``best/``, which scored highest.

    Args:
        checkpoint: `tf.train.Checkpoint` of all state; its networks' optimisers are in it too.
        networks: Name of the optimiser in `checkpoint` → its network.
        directory: Folder of the run.
        report: Called with one sentence an event.
        writes: False: this process only reads; what it saves goes to a folder that is thrown away.

    Raises:
        OSError: The folder cannot be written to.
    """

    def __init__(self, checkpoint, networks, directory, report, *, writes=True):
        self._checkpoint, self._networks = checkpoint, networks
        self._directory, self._report = directory, report
        self._reported = None
        self._thrown_away = None if writes else tempfile.TemporaryDirectory()
        target = directory if writes else Path(self._thrown_away.name)
        _check_writable(target)
        self._last = tf.train.CheckpointManager(checkpoint, target / "last", 2)
        self._best = tf.train.CheckpointManager(checkpoint, target / "best", 1)

    def save_last(self, step):
        """Write what training goes on from."""
        self._save(self._last, step)

    def save_best(self, step):
        """Write what scored highest."""
        self._save(self._best, step)

    def _save(self, manager, step):
        try:
            manager.save(step)
        except tf.errors.OpError as error:
            raise OSError(
                f"no checkpoint could be written to {manager.directory} at step {step}: "
                f"{error.message.splitlines()[0]}. Make room, then run the same command: it goes "
                f"on from {self.newest() or 'the start'}"
            ) from error

    def newest(self):
        """Path of the newest checkpoint in ``last/``, or None."""
        return next(reversed(_paths(self._directory / "last")), None)

    def restore_last(self):
        """Load the newest readable checkpoint of ``last/``; returns whether there was one."""
        return self._restore(_paths(self._directory / "last"))

    def restore_best(self):
        """Load ``best/`` if there is one, else the newest of ``last/``."""
        return self._restore(_paths(self._directory / "best")) or self.restore_last()

    def _restore(self, paths):
        for path in reversed(paths):
            try:
                self._load(path)
            except _UNREADABLE as error:
                reason = str(error).splitlines()[0]
                self._report(f"{path} cannot be read ({reason}): taking the one before")
            else:
                if path != self._reported:  # `train` loads again what the constructor has loaded
                    self._report(f"restored {path}, step {int(self._checkpoint.step.numpy())}")
                self._reported = path
                return True
        if paths:
            raise OSError(f"no checkpoint of {paths} can be read; remove them to begin anew")
        return False

    def _load(self, path):
        self._check_same_networks(path)
        try:
            self._checkpoint.restore(path).assert_consumed()
        except (AssertionError, ValueError) as error:
            raise ValueError(
                f"{path} was written by a run with another optimiser, other networks or another "
                "ema_decay; give another checkpoint_dir, or begin anew from its weights"
            ) from error

    def _check_same_networks(self, path):
        shapes = tf.train.load_checkpoint(path).get_variable_to_shape_map()
        for name, network in self._networks.items():
            variables = network.trainable_variables
            there = [shapes.get(_KEY.format(name, i)) for i in range(len(variables))]
            more = _KEY.format(name, len(variables)) in shapes
            wrong = [
                f"{v.path} is {tuple(v.shape)} here, {tuple(shape) if shape else 'absent'} there"
                for v, shape in zip(variables, there, strict=True)
                if shape is None or tuple(shape) != tuple(v.shape)
            ]
            if more:
                wrong.append("it has more layers")
            if wrong:
                raise ValueError(
                    f"{path} is of another network: {'; '.join(wrong[:3])}"
                    f"{f'; {len(wrong) - 3} more' if wrong[3:] else ''}. Give another "
                    f"checkpoint_dir, or remove {self._directory} to begin anew"
                )


def _paths(folder):
    """Checkpoints of a folder as its index names them, oldest first."""
    state = tf.train.get_checkpoint_state(str(folder))
    return list(state.all_model_checkpoint_paths) if state else []


def _check_writable(directory):
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory):
        pass
