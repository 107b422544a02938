"""The two names that notebooks written for krasserm/super-resolution import from `utils`."""

from data.pictures.read import load_image
from infer.plot import plot_sample

__all__ = ["load_image", "plot_sample"]
