"""The benchmark's networks in PyTorch, and one training step of each.

Written from the papers, layer for layer as in `model/`, for ``benchmarks/train_step.py --peer
torch``, which runs this file as a process of its own. Memory is laid out channels last, mixed
bfloat16 is PyTorch's autocast.
"""

import contextlib
import functools

import numpy as np
import revisions
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm


class Residual(nn.Module):
    """What it is given, plus what a part makes of it."""

    def __init__(self, *parts):
        super().__init__()
        self.part = nn.Sequential(*parts)

    def forward(self, x):
        """Add the part's answer to its input."""
        return x + self.part(x)


class Pictures(nn.Module):
    """Pictures in 0..255 through a network that works on -1..1, two branches added."""

    def __init__(self, main, skip=None):
        super().__init__()
        self.main, self.skip = main, skip

    def forward(self, x):
        """From (B, 3, H, W) to (B, 3, s·H, s·W)."""
        x = (x - 127.5) / 127.5
        x = self.main(x) + self.skip(x) if self.skip else self.main(x)
        return x * 127.5 + 127.5


def edsr(filters=64, blocks=16):
    """EDSR ×4 (arXiv:1707.02921)."""

    def conv(channels_in, channels_out):
        return nn.Conv2d(channels_in, channels_out, 3, padding=1)

    def block():
        return Residual(conv(filters, filters), nn.ReLU(), conv(filters, filters))

    body = [block() for _ in range(blocks)]
    enlarge = []
    for _ in range(2):
        enlarge += [conv(filters, 4 * filters), nn.PixelShuffle(2)]
    trunk = Residual(*body, conv(filters, filters))
    return Pictures(nn.Sequential(conv(3, filters), trunk, *enlarge, conv(filters, 3)))


def wdsr(filters=32, blocks=32, expansion=6, linear_share=0.8):
    """WDSR-B ×4 with weight normalisation (arXiv:1808.08718)."""

    def conv(channels_in, channels_out, side):
        return weight_norm(nn.Conv2d(channels_in, channels_out, side, padding=side // 2))

    def block():
        wide, narrow = filters * expansion, int(filters * linear_share)
        first, second = conv(filters, wide, 1), conv(wide, narrow, 1)
        return Residual(first, nn.ReLU(), second, conv(narrow, filters, 3))

    body = [conv(3, filters, 3), *(block() for _ in range(blocks))]
    main = nn.Sequential(*body, conv(filters, 48, 3), nn.PixelShuffle(4))
    return Pictures(main, nn.Sequential(conv(3, 48, 5), nn.PixelShuffle(4)))


class Norm(nn.Module):
    """Layer normalisation over channels."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x):
        """Of (B, C, H, W): no copy is made where channels come last in memory."""
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Attention(nn.Module):
    """MDTA of arXiv:2111.09881, section 3.1."""

    def __init__(self, channels, heads):
        super().__init__()
        self.heads, self.temperature = heads, nn.Parameter(torch.ones(heads, 1, 1))
        wide = 3 * channels
        self.qkv = nn.Conv2d(channels, wide, 1, bias=False)
        self.depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x):
        """From (B, C, H, W) to the same."""
        batch, channels, height, width = x.shape
        qkv = self.depthwise(self.qkv(x))
        shape = (batch, self.heads, channels // self.heads, height * width)
        q, k, v = (part.reshape(shape) for part in qkv.chunk(3, 1))
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        weights = (q @ k.transpose(-2, -1) * self.temperature).softmax(-1)
        return self.project((weights.to(v.dtype) @ v).reshape(x.shape))


class FeedForward(nn.Module):
    """GDFN of arXiv:2111.09881, section 3.2."""

    def __init__(self, channels, expansion=2.66):
        super().__init__()
        hidden = int(channels * expansion)
        wide = 2 * hidden
        self.widen = nn.Conv2d(channels, wide, 1, bias=False)
        self.depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x):
        """From (B, C, H, W) to the same."""
        a, b = self.depthwise(self.widen(x)).chunk(2, 1)
        return self.project(functional.gelu(a) * b)


class Restormer(nn.Module):
    """Restormer (arXiv:2111.09881, figure 2), for sides that are multiples of 8·`unshuffle`."""

    def __init__(self, dim, num_blocks, num_refinement_blocks, heads=(1, 2, 4, 8), unshuffle=1):
        super().__init__()

        def blocks(count, channels, level):
            parts = []
            for _ in range(count):
                attention = Attention(channels, heads[level])
                parts.append(Residual(Norm(channels), attention))
                parts.append(Residual(Norm(channels), FeedForward(channels)))
            return nn.Sequential(*parts)

        def conv(channels_in, channels_out, side=3):
            return nn.Conv2d(channels_in, channels_out, side, padding=side // 2, bias=False)

        widths = [dim, 2 * dim, 4 * dim, 8 * dim]
        folded = 3 * unshuffle**2
        self.fold, self.unfold = nn.PixelUnshuffle(unshuffle), nn.PixelShuffle(unshuffle)
        self.embed = conv(folded, dim)
        self.encoder = nn.ModuleList(blocks(num_blocks[i], widths[i], i) for i in range(3))
        self.down = nn.ModuleList(
            nn.Sequential(conv(width, width // 2), nn.PixelUnshuffle(2)) for width in widths[:3]
        )
        self.latent = blocks(num_blocks[3], widths[3], 3)
        self.up = nn.ModuleList(
            nn.Sequential(conv(width, 2 * width), nn.PixelShuffle(2)) for width in widths[1:]
        )
        joined = [2 * dim, *widths[1:3]]  # at full size both halves are kept
        self.reduce = nn.ModuleList([nn.Identity(), *(conv(2 * w, w, 1) for w in widths[1:3])])
        self.decoder = nn.ModuleList(blocks(num_blocks[i], joined[i], i) for i in range(3))
        self.refine = blocks(num_refinement_blocks, 2 * dim, 0)
        self.output = conv(2 * dim, folded)

    def forward(self, pictures):
        """From (B, 3, H, W) in 0..255 to the same."""
        x = pictures / 255
        x, skips = self.embed(self.fold(x)), []
        for encode, down in zip(self.encoder, self.down, strict=True):
            skips.append(encode(x))
            x = down(skips[-1])
        x = self.latent(x)
        for i in (2, 1, 0):
            x = self.decoder[i](self.reduce[i](torch.cat([self.up[i](x), skips[i]], 1)))
        return pictures + 255 * self.unfold(self.output(self.refine(x)))


NETWORKS = {
    "edsr_16": edsr,
    "wdsr_32": wdsr,
    "restormer_small": lambda: Restormer(**revisions.SMALL),
    "restormer_bundled": lambda: Restormer(**revisions.HALF),
}
"""Name in `revisions.NETWORKS` → function () → the equal network."""


def training_step(name, precision):
    """Return a function that makes one step of Adam with clipped gradients, as `revisions` does."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model, size = revisions.NETWORKS[name]()
    network = NETWORKS[name]().to(memory_format=torch.channels_last)
    counts = sum(p.numel() for p in network.parameters()), model.count_params()
    if counts[0] != counts[1]:
        raise ValueError(f"{name} has {counts[0]} parameters in PyTorch, {counts[1]} here")
    optimizer = torch.optim.Adam(network.parameters(), 1e-4, fused=True)
    batch, height, width = size
    random = np.random.default_rng(0)
    inputs = torch.tensor(random.uniform(0, 255, (batch, 3, height, width)), dtype=torch.float32)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    half = contextlib.nullcontext
    if precision == "mixed_bfloat16":
        half = functools.partial(torch.autocast, "cpu", torch.bfloat16)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with half():
            outputs = network(inputs)
        loss = outputs.float().abs().mean() / 255
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.01)
        optimizer.step()
        return loss.item()

    return step


if __name__ == "__main__":
    revisions.work(NETWORKS, training_step)
