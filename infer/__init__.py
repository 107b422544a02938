"""Pictures and weights: files in, better files out. Knows pictures, never trains."""

import importlib.util
from pathlib import Path

_model = importlib.util.find_spec("model")
if _model is None or Path(_model.origin or "").parents[1] != Path(__file__).parents[1]:
    raise ImportError(
        f"`import model` finds {_model and _model.origin}, not this library's: rename that folder "
        f"or put {Path(__file__).parents[1]} first on sys.path"
    )
