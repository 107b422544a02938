"""Install a wheel in an empty folder and use it: ``python tests/check_wheel.py WHEEL``.

The packages have short names (data, model, …), so this is what shows that a wheel holds them all,
and the bundled weights, without help from the checkout.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

CODE = """
import numpy as np
from weights.load import DEFAULT, load_model
from model import resolve_single
import data, infer, train, utils
lr = np.zeros((7, 5, 3), np.uint8)
print("wheel:", DEFAULT, tuple(resolve_single(load_model(DEFAULT), lr).shape))
"""

PROGRAM = [
    ["--version"],
    ["weights"],
    ["upscale", "--help"],
    ["restore", "--help"],
    ["train", "wdsr-b", "--help"],
    ["data", "folder", "--help"],
]


def main(wheel):
    """Unpack the wheel beside nothing of ours; load a bundled network and run the program there."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
        subprocess.run([*pip, wheel], check=True)
        environment = {"PYTHONPATH": folder, "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, "-c", CODE], check=True, cwd=folder, env=environment)
        for words in PROGRAM:
            program = [sys.executable, Path(folder, "bin", "whole-pictures"), *words]
            subprocess.run(program, check=True, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main(sys.argv[1])
