"""Find and load networks: by name from `weights/`, or from any weight file that says what it is."""

from pathlib import Path

from model import weight_file
from model.edsr import edsr
from model.srgan import discriminator, sr_resnet
from model.wdsr import wdsr_a, wdsr_b

BUILDERS = {f.__name__: f for f in (edsr, wdsr_a, wdsr_b, sr_resnet, discriminator)}


def load_model(name_or_path):
    """Build the network a weight file belongs to and load it."""
    path = Path(name_or_path)
    note = weight_file.read_note(path)
    model = BUILDERS[note["builder"]](**note["arguments"])
    model.load_weights(path)
    return model
