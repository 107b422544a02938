"""``run.json``: what a run is made of, and whether it is still the same when it resumes."""

import datetime
import json
import platform
import subprocess
import sys
from pathlib import Path

import keras
import tensorflow as tf

from train.atomic_write import write_text
from train.descriptions import describe_network, describe_rate

_END = ("steps", "fall_steps")  # of a trapezoid: what `TrainerOptions.extend` may change


def recipe_facts(trainer, networks, rate):
    """What determines a run's weights, beside its data, as JSON can hold it."""
    return {
        "trainer": type(trainer).__name__,
        "networks": [describe_network(network) for network in networks],
        **trainer.loss_facts(),
        "learning_rate": describe_rate(rate),
        "options": trainer.options.that_change_results(),
    }


def data_facts(dataset):
    """What a data set says of itself, see `data.batches.SeekableDataset`; {} if it says nothing."""
    return getattr(dataset, "facts", {})


class RunFacts:
    """Reads and writes the ``run.json`` of a run.

    Args:
        directory: Folder of the run.
    """

    def __init__(self, directory):
        self._file = Path(directory) / "run.json"

    def read(self):
        """Return all that is noted; {} if there is no such file.

        Raises:
            ValueError: The file is damaged: names it and says what to do.
        """
        if not self._file.exists():
            return {}
        try:
            facts = json.loads(self._file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{self._file} is damaged ({error}). Remove it to resume from the checkpoints "
                "beside it without comparing what they were made with; or take another "
                "checkpoint_dir (--checkpoint-dir)"
            ) from error
        if not isinstance(facts, dict):
            raise ValueError(f"{self._file} is damaged: it holds a {type(facts).__name__}")
        return facts

    def check(self, name, now, *, resumes, options, report):
        """Compare one part of the facts with those the run was begun with.

        Args:
            name: "recipe" or "data".
            now: Facts of this session.
            resumes: Whether there is a checkpoint to resume from.
            options: `TrainerOptions`, which may allow changes.
            report: Called with one sentence.

        Returns:
            Sentences on what has changed and is allowed.

        Raises:
            ValueError: Something has changed: says what, and what to do.
        """
        before = self.read().get(name) if resumes else None
        changes = differences(before, _as_json(now)) if before and now else []
        if options.extend:
            ends = tuple(f"learning_rate.{end} " for end in _END)
            changes = [sentence for sentence in changes if not sentence.startswith(ends)]
        if not changes:
            return []
        sentence = f"the {name} of {self._file.parent} changed: {'; '.join(changes)}"
        if not options.allow_changes:
            raise ValueError(
                f"{sentence}. Resume with what it was begun with; or give another checkpoint_dir "
                "(--checkpoint-dir); or accept the change with "
                "options=TrainerOptions(allow_changes=True) (--allow-changes)"
            )
        report(f"{sentence}; resuming with the change, as allowed")
        return changes

    def write(self, recipe, data, *, resumes, changes=()):
        """Note recipe, data and this session; what a run that is begun anew had is forgotten."""
        known = self.read() if resumes else {}
        session = _session() | ({"changes": list(changes)} if changes else {})
        facts = {"sessions": [*known.get("sessions", []), session], "recipe": recipe, "data": data}
        self._write(known | facts)

    def add(self, **facts):
        """Note something more."""
        self._write(self.read() | facts)

    def _write(self, facts):
        write_text(self._file, json.dumps(facts, indent=1))


def differences(before, now, name=""):
    """Sentences on every value in which two JSON values differ.

    Names that `before` does not have are passed over: a later version of the library notes more.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        parts = [
            differences(value, now.get(key), f"{name}.{key}" if name else key)
            for key, value in before.items()
        ]
        return [sentence for part in parts for sentence in part]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        parts = [
            differences(a, b, f"{name}[{i}]" if len(now) > 1 else name)
            for i, (a, b) in enumerate(zip(before, now, strict=True))
        ]
        return [sentence for part in parts for sentence in part]
    return [] if before == now else [f"{name} was {before}, is {now}"]


def _as_json(facts):
    return json.loads(json.dumps(facts))


def _session():
    return {
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "host": platform.node(),
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "commit": _commit(),
    }


def _commit():
    """The library's commit; empty where it is not a git checkout."""
    git = ["git", "rev-parse", "HEAD"]
    place = Path(__file__).parent
    try:
        done = subprocess.run(git, cwd=place, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git
        return ""
    return done.stdout.strip()
