"""The program ``whole-pictures``: all commands of ``python -m infer``, ``train`` and ``data``.

Also what every way into the library begins with: `check_rooms` and `open_streams`.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

ROOMS = ("data", "model", "weights", "infer", "train", "utils")
"""Top-level names of this library, which a user's own folder or file may have too."""

_ROOT = Path(__file__).resolve().parent


def check_rooms():
    """Make sure that what Python finds under this library's names is this library's.

    ``python -m`` ends here with one line, exit code 2.

    Raises:
        ImportError: A folder or file of the same name comes first on `sys.path`: names it.
    """
    for name in ROOMS:
        found = _found(name)
        if found and found.resolve() not in (_ROOT / name, _ROOT / f"{name}.py"):
            sentence = (
                f"`import {name}` finds {found}, not this library's: rename that "
                f"{'folder' if found.is_dir() else 'file'} or put {_ROOT} first on sys.path"
            )
            if sys.argv[:1] == ["-m"]:  # Python is still looking for the package to run
                sys.stderr.write(f"error: {sentence}\n")
                raise SystemExit(2)
            raise ImportError(sentence)


def _found(name):
    """The folder or file that ``import name`` takes; None: there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # somebody put a module without a specification into sys.modules
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin else None


def open_streams():
    """Open stdin, stdout and stderr to nowhere where the caller closed them.

    Otherwise the next file to be opened would take the place of a closed one, and messages would
    be written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):  # file names may hold what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")


class Parser(argparse.ArgumentParser):
    """A command line that reports a mistake in one line, as all others are reported."""

    def error(self, message):
        """Say what is wrong and end with exit code 2."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def version():
    """Version of the installed library."""
    try:
        return importlib.metadata.version("whole-pictures")
    except importlib.metadata.PackageNotFoundError:
        return "unknown: not installed"


def main(arguments=None):
    """Run the program; returns the exit status: 0, 1 (failed), 2 (the user's mistake)."""
    open_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        check_rooms()
    except ImportError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if arguments[:1] in (["train"], ["data"]):
        room = importlib.import_module(f"{arguments[0]}.__main__")
        return room.main(arguments[1:], program=f"whole-pictures {arguments[0]}")
    from infer.__main__ import main as infer

    return infer(arguments, program="whole-pictures")


if __name__ == "__main__":
    sys.exit(main())
