"""``KERAS_BACKEND=… python -m tests.model.on_backend FOLDER``: what networks give on a back end.

Of each ``NAME.safetensors`` in the folder the output on ``NAME.npz``'s arrays goes to
``NAME-BACKEND.npy``.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from weights import load_model


def main(folder):
    for path in sorted(Path(folder).glob("*.safetensors")):
        model = load_model(path, report=lambda _: None)
        with np.load(path.with_suffix(".npz")) as arrays:
            inputs = [arrays[name] for name in arrays.files]
        output = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        name = f"{path.stem}-{keras.backend.backend()}.npy"
        np.save(path.with_name(name), keras.ops.convert_to_numpy(output))


if __name__ == "__main__":
    main(sys.argv[1])
