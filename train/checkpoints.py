"""The checkpoints of a run: written by one process, read from the newest that is whole."""

import os
import re
import tempfile
from pathlib import Path

import tensorflow as tf

_UNREADABLE = (tf.errors.OpError, IndexError)  # what TensorFlow makes of a file cut short
_KEY = "{}/_trainable_variables/{}/.ATTRIBUTES/VARIABLE_VALUE"
_KEPT = {"last": 2, "best": 1, "before-cool-down": 1}


class Checkpoints:
    """``last/``, which training resumes from, ``best/``, ``before-cool-down/``.

    Args:
        checkpoint: `tf.train.Checkpoint` of all state; its networks' optimisers are in it too.
        networks: Name of the optimiser in `checkpoint` → its network.
        directory: Folder of the run.
        report: Called with one sentence an event.
        writes: False: this process only reads; what it saves goes to a folder that is thrown away.

    Raises:
        OSError: The folder cannot be written to.
        ValueError: Its name has letters that TensorFlow takes for a pattern.
    """

    def __init__(self, checkpoint, networks, directory, report, *, writes=True):
        self._checkpoint, self._networks = checkpoint, networks
        self._directory, self._report = directory, report
        self._reported = None
        self._thrown_away = None if writes else tempfile.TemporaryDirectory()
        target = directory if writes else Path(self._thrown_away.name)
        _check_name(directory)
        _check_writable(target)
        self._managers = {}
        for name, count in _KEPT.items():
            if writes:
                _list_what_is_there(target / name)
            manager = tf.train.CheckpointManager(checkpoint, target / name, count)
            self._managers[name] = manager

    def save_last(self, step):
        """Write what training resumes from."""
        self._save("last", step)

    def save_best(self, step):
        """Write what scored highest."""
        self._save("best", step)

    def save_before_cool_down(self, step):
        """Write what a run can be prolonged from."""
        self._save("before-cool-down", step)

    def _save(self, name, step):
        manager = self._managers[name]
        try:
            manager.save(step)
        except (tf.errors.OpError, OSError) as error:
            raise OSError(
                f"no checkpoint could be written to {manager.directory} at step {step}: "
                f"{str(getattr(error, 'message', error)).splitlines()[0]}. Make room, then run the "
                f"same command: it resumes from {self.newest() or 'the start'}"
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

    def go_back_to(self, step):
        """Make the newest checkpoint not later than `step` the one that training resumes from.

        Later ones are removed, also from ``best/``.

        Returns:
            The checkpoint's step, or None if there is no such checkpoint.
        """
        folders = [self._directory / name for name in ("before-cool-down", "last")]
        paths = [path for folder in folders for path in _paths(folder) if step_of(path) <= step]
        if not self._restore(sorted(paths, key=step_of)):
            return None
        now = int(self._checkpoint.step.numpy())
        self.save_last(now)
        for name in ("last", "best"):
            self._forget_after(name, now)
        return now

    def _forget_after(self, name, step):
        folder = self._directory / name
        for path in _paths(folder):
            if step_of(path) > step:
                for file in folder.glob(f"{Path(path).name}.*"):
                    file.unlink()
        _list_what_is_there(folder)
        self._managers[name] = tf.train.CheckpointManager(self._checkpoint, folder, _KEPT[name])

    def has_best(self):
        """Whether there is a checkpoint in ``best/``."""
        return bool(_paths(self._directory / "best"))

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
                f"{path} was written by a run with another optimiser, other networks or losses, or "
                "another ema_decay; give another checkpoint_dir, or begin anew from its weights"
            ) from error

    def _check_same_networks(self, path):
        shapes = tf.train.load_checkpoint(path).get_variable_to_shape_map()
        for name, network in self._networks.items():
            variables = network.trainable_variables
            there = [shapes.get(_KEY.format(name, i)) for i in range(len(variables))]
            count = sum(key.startswith(f"{name}/_trainable_variables/") for key in shapes)
            if count != len(variables):
                raise ValueError(
                    f"{path} trains {count} tensors of {network.name}, this run {len(variables)}: "
                    "layers were frozen or thawed, or it is another network. Give another "
                    "checkpoint_dir, and begin from the weights of the run before"
                )
            wrong = [
                f"{v.path} is {tuple(v.shape)} here, {tuple(shape)} there"
                for v, shape in zip(variables, there, strict=True)
                if tuple(shape) != tuple(v.shape)
            ]
            if wrong:
                raise ValueError(
                    f"{path} is of another network: {'; '.join(wrong[:3])}"
                    f"{f'; {len(wrong) - 3} more' if wrong[3:] else ''}. Give another "
                    f"checkpoint_dir, or remove {self._directory} to begin anew"
                )


def step_of(path):
    """The number at the end of a checkpoint's path."""
    return int(str(path).rsplit("-", 1)[1])


def _paths(folder):
    """Checkpoints that lie in a folder, oldest first; the state file is not needed for it."""
    if not folder.is_dir():
        return []
    names = [file.stem for file in folder.iterdir() if re.fullmatch(r"ckpt-\d+\.index", file.name)]
    return [str(folder / name) for name in sorted(names, key=step_of)]


def _list_what_is_there(folder):
    """Write TensorFlow's state file anew where it is missing, cut short or names other files."""
    paths = _paths(folder)
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except ValueError:  # an empty file
        state = None
    if not paths:
        (folder / "checkpoint").unlink(missing_ok=True)
    elif state is None or list(state.all_model_checkpoint_paths) != paths:
        tf.compat.v1.train.update_checkpoint_state(str(folder), paths[-1], paths)


def _check_name(directory):
    if found := set("[]*?" if os.name == "nt" else "[]*?\\") & set(str(directory)):
        raise ValueError(
            f"the folder of a run must have none of [ ] * ? \\ in its name, got {directory}: "
            f"TensorFlow takes {' '.join(sorted(found))} for a pattern"
        )


def _check_writable(directory):
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(2**16))  # an empty file fits on a full disk
            file.flush()
    except OSError as error:  # a file without a name is not named
        raise OSError(error.errno, error.strerror, str(directory)) from error
