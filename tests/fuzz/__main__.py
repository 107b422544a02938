"""``python -m tests.fuzz pictures|weights --minutes M --seed S``: counts of what became of files.

Exit code 1 if any input ended otherwise than in a result or a sentence; such inputs are kept in
``--keep``, to become cases in ``tests/golden/cases``.
"""

import argparse
import importlib
import sys
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kind", choices=["pictures", "weights"])
    parser.add_argument("--minutes", type=float, default=5, help="how long (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default 0)")
    parser.add_argument(
        "--keep", type=Path, default=Path("out/fuzz"), help="folder for failures (out/fuzz)"
    )
    options = parser.parse_args()
    module = importlib.import_module(f"tests.fuzz.{options.kind}")
    counts = module.run(options.minutes * 60, options.seed, options.keep)
    for outcome, number in sorted(counts.items()):
        print(f"{number:8} {outcome}")  # noqa: T201
    return 0 if set(counts) <= set(module.EXPECTED) else 1


if __name__ == "__main__":
    sys.exit(main())
