"""How far a run is, and what became of it: a bar, the speed, and which pictures took longest."""

import heapq
import time
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

_BAR = (
    "{percentage:3.0f}%|{bar}| {n:.1f}/{total:.0f} pictures [{elapsed}, {remaining} left{postfix}]"
)
_SLOWEST = 3


@dataclass
class Outcome:
    """What became of a run.

    Attributes:
        done, skipped: Numbers of pictures.
        failures: ``(source, sentence)`` of each that failed.
        summary: A line on speed and on the slowest pictures; None where few were made.
    """

    done: int = 0
    skipped: int = 0
    failures: list[tuple[Path, str]] = field(default_factory=list)
    summary: str | None = None


class Progress:
    """A bar on stderr, if that is a terminal, and what a summary needs.

    Args:
        total: Number of pictures, also of those that turn out to be done.
    """

    def __init__(self, total):
        self._bar = tqdm(total=total, bar_format=_BAR, disable=None, dynamic_ncols=True)
        self._began = time.monotonic()
        self._pixels = self._made = 0
        self._slowest = []  # heap of (seconds, source)

    def leave_out(self):
        """Expect one picture less."""
        self._bar.total -= 1

    def advance(self, pixels, of):
        """Count pixels done, of a picture that has `of`."""
        self._pixels += pixels
        elapsed_s = max(1e-9, time.monotonic() - self._began)
        self._bar.set_postfix_str(f"{self._pixels / 1e6 / elapsed_s:.3g} MP/s", refresh=False)
        self._bar.update(pixels / of)

    def made(self, source, seconds):
        """Count a picture whose file is written."""
        self._made += 1
        heapq.heappush(self._slowest, (seconds, str(source)))
        if len(self._slowest) > _SLOWEST:
            heapq.heappop(self._slowest)

    def summary(self):
        """Speed, and which pictures took longest, in one line; None if there is nothing to compare.

        Megapixels are those of the pictures, not of the results.
        """
        if self._made < 2:
            return None
        elapsed_s = time.monotonic() - self._began
        slowest = ", ".join(f"{name} ({s:.1f} s)" for s, name in sorted(self._slowest)[::-1])
        return (
            f"{self._made / elapsed_s:.3g} pictures and {self._pixels / 1e6 / elapsed_s:.3g} "
            f"megapixels a second; slowest: {slowest}"
        )

    def close(self):
        """Leave the bar as it is."""
        self._bar.close()
