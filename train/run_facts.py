"""``run.json``: what a run is made of, and whether it is still the same when it goes on."""

import datetime
import json
import platform
import subprocess
import sys
from pathlib import Path

import keras
import tensorflow as tf

from train.schedules import describe


def recipe_facts(trainer, networks, rate):
    """What determines a run's weights, beside its data, as JSON can hold it."""
    loss = getattr(trainer, "loss", None) or getattr(trainer, "content_loss", None)
    return {
        "trainer": type(trainer).__name__,
        "networks": [_network(network) for network in networks],
        "loss": getattr(loss, "__qualname__", type(loss).__name__),
        "learning_rate": describe(rate),
        "options": trainer.options.that_change_results(),
    }


def _network(network):
    built_by = getattr(network, "built_by", None)
    size = {"parameters": network.count_params()}
    return {"builder": built_by.name, **built_by.arguments} | size if built_by else size


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

    def check(self, name, now, *, goes_on, allow_changes, report):
        """Compare one part of the facts with those the run was begun with.

        Args:
            name: "recipe" or "data".
            now: Facts of this session.
            goes_on: Whether there is a checkpoint to go on from.
            allow_changes: Only report what has changed.
            report: Called with one sentence.

        Raises:
            ValueError: Something has changed: says what, and what to do.
        """
        if not goes_on or not self._file.exists():
            return
        before = json.loads(self._file.read_text()).get(name)
        changes = differences(before, _as_json(now)) if before and now else []
        if not changes:
            return
        sentence = f"the {name} of {self._file.parent} changed: {'; '.join(changes)}"
        if not allow_changes:
            raise ValueError(
                f"{sentence}. Go on with what it was begun with; or give another checkpoint_dir; "
                "or take the change with allow_changes (--allow-changes)"
            )
        report(f"{sentence}; going on with the change, as allowed")

    def write(self, recipe, data, *, goes_on):
        """Note recipe, data and this session."""
        known = json.loads(self._file.read_text()) if goes_on and self._file.exists() else {}
        facts = {
            "sessions": [*known.get("sessions", []), _session()],
            "recipe": recipe,
            "data": data,
        }
        self._file.write_text(json.dumps(facts, indent=1))


def differences(before, now, name=""):
    """Sentences on every value in which two JSON values differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        parts = [
            differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
            for key in keys
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
    done = subprocess.run(git, cwd=place, capture_output=True, text=True, check=False)
    return done.stdout.strip()
