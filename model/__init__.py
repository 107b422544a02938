"""Networks and what runs them: tensors in, tensors out; no disks, no loops.

Public names are those of krasserm/super-resolution: `resolve`, `resolve_single`, `evaluate`.
"""

from model import lpips, masked, vggface  # noqa: F401  registers their layers: .keras files load
from model.common import evaluate, resolve, resolve_single

__all__ = ["evaluate", "resolve", "resolve_single"]
