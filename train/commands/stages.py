"""Recipes: trainings one after the other, each with its options as keyword arguments.

Each stage is a command of ``python -m train`` in a process of its own, so that names, seeds and
threads are as the command alone has them, and begins with what the stage before wrote.
"""

import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_WEIGHTS = Path(__file__).parents[2] / "weights"
_ENDING = ".weights.h5"

BEFORE = "{before}"
"""Stands for what the stage before wrote."""


def pictures(*folders):
    """Folders below ``--pictures``."""
    return [f"{{pictures}}/{folder}" for folder in folders]


def bundled(name):
    """A file of ``weights/``."""
    return f"{{weights}}/{name}{_ENDING}"


def trained(name):
    """What another recipe has written to ``--out``: a campaign waits for it."""
    return f"{{out}}/{name}{_ENDING}"


@dataclass(frozen=True)
class Stage:
    """One training: a command and its options, ``num_filters=3`` being ``--num-filters 3``.

    Values are numbers, text, True for an option without value, or lists of these; text may be of
    `pictures`, `bundled`, `trained` or `BEFORE`.
    """

    command: str
    options: dict

    @property
    def length(self):
        """Steps or hours, as text."""
        steps, hours = self.options.get("steps"), self.options.get("hours")
        return f"{hours:g} hours" if steps is None else f"{steps:,} steps"

    def words(self, **places):
        """The command line after ``python -m train``."""
        words = [self.command]
        for name, value in self.options.items():
            words.append(f"--{name.replace('_', '-')}")
            if value is not True:
                values = value if isinstance(value, list) else [value]
                words += [str(v).format(**places) for v in values]
        return words


def stage(command, **options):
    """Return a `Stage`."""
    return Stage(command, options)


@dataclass(frozen=True)
class Recipe:
    """How one weight file is made.

    Attributes:
        stages: What is trained, one after the other.
        remark: What a repetition will differ in, or what it costs.
    """

    stages: tuple[Stage, ...]
    remark: str = ""

    def described(self):
        """Command and length, as text."""
        lengths = " + ".join(stage.length for stage in self.stages)
        text = f"{self.stages[-1].command}, {lengths}"
        return f"{text}; {self.remark}" if self.remark else text

    def commands(self, name, pictures, out):
        """Return the commands of all stages, each a list of words after ``python -m train``.

        Args:
            name: Of the file that is made.
            pictures: Folder that holds the data sets' folders.
            out: Where weights are written: NAME.weights.h5 in 16 bits, those of earlier stages in
                32.
        """
        found, before = [], None
        for number, one in enumerate(self.stages, 1):
            last = number == len(self.stages)
            written = str(Path(out, f"{name}{'' if last else f'-stage-{number}'}{_ENDING}"))
            words = one.words(pictures=pictures, before=before, weights=_WEIGHTS, out=out)
            found.append([*words, *(["--half"] if last else []), "--out", written])
            before = written
        return found

    def needs(self):
        """Names of other recipes whose files this one begins with."""
        texts = [v for stage in self.stages for v in stage.options.values() if isinstance(v, str)]
        return [
            text.removeprefix("{out}/").removesuffix(_ENDING)
            for text in texts
            if text.startswith("{out}/")
        ]


def train(words, report=print):
    """Run one stage in a new process; returns its exit status.

    Interrupted or terminated, it has the stage save a checkpoint, and waits for that.
    """
    report(f"python -m train {shlex.join(words)}")
    command = [sys.executable, "-m", "train", *words]
    # a session of its own: Ctrl-C in a terminal would reach the stage as a second signal
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise
