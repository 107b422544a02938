"""TensorFlow's import: without words, and without what is not needed."""

import subprocess
import sys

CODE = """
import sys
from data.quiet_start import load_tensorflow
load_tensorflow()
print("matplotlib.pyplot" in sys.modules, "tensorflow" in sys.modules)
import matplotlib.pyplot
print(matplotlib.pyplot.__name__)
"""


def test_tensorflow_comes_quietly_and_alone_and_plots_can_still_be_drawn():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "matplotlib.pyplot"]
    assert done.stderr == ""
