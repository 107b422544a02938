"""TensorFlow's import: without words, and without what is not needed."""

import subprocess
import sys

CODE = """
import gc
import sys
from data.quiet_start import load_tensorflow
load_tensorflow()
print(any(name in sys.modules for name in ("matplotlib", "jax", "pandas")))
print("tensorflow" in sys.modules, gc.isenabled(), gc.get_freeze_count() > 100_000)
import matplotlib.pyplot
print(matplotlib.pyplot.__name__)
"""


def test_tensorflow_comes_quietly_and_alone_and_plots_can_still_be_drawn():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "True", "matplotlib.pyplot"]
    assert done.stderr == ""
