"""Train with an optimiser that the library does not offer: `train` with its name as first word.

`--learning-rate` is each one's own: Lion's is about a fifth of Adam's. Adam and Muon are choices
of `train` itself: ``--optimizer``.

    python benchmarks/optimisers.py lion wdsr-b --hr photos --valid-hr b100 --steps 1500 …

Reference: arXiv:2302.06675 (Lion).
"""

import sys

import keras

from train.__main__ import main
from train.recipes import WdsrTrainer

OPTIMISERS = {
    "lion": lambda rate: keras.optimizers.Lion(rate, beta_2=0.99),
    "nadam": keras.optimizers.Nadam,
}


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in OPTIMISERS:
        WdsrTrainer.optimizer = staticmethod(OPTIMISERS[sys.argv.pop(1)])
        sys.exit(main())
    sys.exit(f"the first word must be one of {', '.join(OPTIMISERS)}")
