"""Train with another optimiser: `train` with the first word the optimiser's name.

Muon (momentum whose matrices are made orthogonal) takes convolution kernels as matrices of
kh·kw·cin × cout; what has one dimension is Adam's. `--learning-rate` is each one's own: Lion's is
about a fifth of Adam's, Muon's steps are scaled to be as long as Adam's.

    python benchmarks/optimisers.py muon wdsr-b --hr photos --valid-hr b100 --steps 1500 …

Reference: kellerjordan.github.io/posts/muon, arXiv:2502.16982 (Muon) and arXiv:2302.06675 (Lion).
"""

import sys

import keras
from keras import ops

from train.__main__ import main
from train.recipes import WdsrTrainer


class KernelMuon(keras.optimizers.Muon):
    """Keras' Muon, which gives kernels of four dimensions to Adam, on their matrices."""

    def _should_use_adamw(self, variable):
        return len(variable.shape) < 2

    def _muon_update_step(self, gradient, variable, lr, m):
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        ahead = ops.add(gradient, self.momentum * m)
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(update, variable.shape))


OPTIMISERS = {
    "adam": keras.optimizers.Adam,
    "muon": lambda rate: KernelMuon(rate, weight_decay=0.0, adam_weight_decay=0.0),
    "lion": lambda rate: keras.optimizers.Lion(rate, beta_2=0.99),
    "nadam": keras.optimizers.Nadam,
}


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in OPTIMISERS:
        WdsrTrainer.optimizer = staticmethod(OPTIMISERS[sys.argv.pop(1)])
        sys.exit(main())
    sys.exit(f"the first word must be one of {', '.join(OPTIMISERS)}")
