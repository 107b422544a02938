"""``python -m tests.fuzz pictures|weights --minutes M --inputs N --seed S``: what became of files.

Exit code 1 if any input ended otherwise than in a result or a sentence; such inputs are kept in
``--keep``, to become cases in ``tests/golden/cases``. The counts are kept there too: the same
command again continues where it stopped.
"""

import argparse
import importlib
import math
import sys
from pathlib import Path

from tests.fuzz import forked, tally


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kind", choices=["pictures", "weights"])
    parser.add_argument("--minutes", type=float, help="how long (default 5 if no --inputs)")
    parser.add_argument("--inputs", type=int, help="how many files, of all formats together")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default 0)")
    parser.add_argument(
        "--keep", type=Path, default=Path("out/fuzz"), help="folder for failures (out/fuzz)"
    )
    parser.add_argument(
        "--fork",
        action="store_true",
        help="read HDF5 in forked processes, not in new ones: ten times as many files",
    )
    options = parser.parse_args()
    files = importlib.import_module(f"tests.fuzz.{options.kind}")
    if options.fork:
        forked.use()
    minutes = options.minutes or (math.inf if options.inputs else 5)
    inputs = options.inputs or math.inf
    made = tally.run(files, minutes * 60, inputs, options.seed, options.keep)
    for kind, counts in made.counts.items():
        for outcome, number in sorted(counts.items()):
            print(f"{number:8} {kind:14} {outcome}")  # noqa: T201
    print(f"{made.done:8} in all")  # noqa: T201
    return 0 if set(made.total()) <= set(files.EXPECTED) else 1


if __name__ == "__main__":
    sys.exit(main())
