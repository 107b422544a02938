"""The published import ``from infer.weights import load_model``; the code is in `weights`."""

from weights.load import load_model, manifest

__all__ = ["load_model", "manifest"]
