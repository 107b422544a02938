"""Find and load networks: by name from `weights/`, or from any weight file.

`weights/manifest.json` lists what is bundled. It and the table in ``weights/README.md`` are made
from what each file says of itself, so that the three cannot disagree.
"""

import hashlib
import json
from pathlib import Path

from infer import catalogue, convert
from infer.recognised import Recognised, new_model
from infer.weight_tables import tables
from model import weight_file
from model.dlibface import dlib_face
from model.edsr import edsr
from model.esrgan import rrdb_net
from model.lpips import lpips
from model.preupsample import srcnn, vdsr
from model.restormer import restormer
from model.srgan import discriminator, sr_resnet
from model.vggface import vggface
from model.wdsr import wdsr_a, wdsr_b

WEIGHTS_DIR = Path(__file__).parents[1] / "weights"
DEFAULT = "wdsr-b-32-x4"
"""What the command line uses when no model is named."""

_SR = (edsr, wdsr_a, wdsr_b, sr_resnet, discriminator, srcnn, vdsr, rrdb_net)
BUILDERS = {f.__name__: f for f in (*_SR, restormer, vggface, dlib_face, lpips)}

_ENDING = ".weights.h5"
_TABLE_START, _TABLE_END = "<!-- table: python -m infer weights --rebuild -->", "<!-- /table -->"


def manifest():
    """Return what is bundled: name to facts (file, sha256, builder, arguments, scores, …)."""
    return json.loads((WEIGHTS_DIR / "manifest.json").read_text())


def load_model(name_or_path, arguments=None, *, allow_nan=False, report=print):
    """Build the network a weight file belongs to and load it.

    Args:
        name_or_path: Name of a bundled or fetched network (`python -m infer weights` lists them),
            or a file: this library's, or one that `infer.convert` reads.
        arguments: Builder's arguments that replace those of the file, or None.
        allow_nan: Whether numbers that are not finite are let through.
        report: Called with one sentence on what a file from elsewhere was recognised as.

    Returns:
        The network, an `SRModel` with RGB pictures in 0..255 in and out.

    Raises:
        FileNotFoundError: There is no such name or file; says which there are and how to get them.
        ValueError: The file is not a whole weight file, or of no network known here.
    """
    path = _find(name_or_path)
    if convert.is_foreign(path):
        return convert.load_foreign(path, arguments, allow_nan=allow_nan, report=report)
    note = weight_file.read_note(path)
    if note.get("builder") not in BUILDERS:
        raise ValueError(
            f"{path} does not say which network it is for; build one and call its "
            "load_weights(path) instead"
        )
    found = Recognised(note["builder"], BUILDERS[note["builder"]], note["arguments"])
    model = new_model(found, arguments)
    model.load_weights(path)
    if not allow_nan:
        convert.refuse_nan(model, path)
    return model


def _find(name_or_path):
    path = Path(name_or_path)
    if path.is_file():
        return path
    if str(name_or_path) in catalogue.CATALOGUE:
        return catalogue.fetched(str(name_or_path))
    names = manifest()
    if str(name_or_path) not in names:
        raise FileNotFoundError(
            f"no weights named {name_or_path!r} and no such file; bundled are {', '.join(names)}"
        )
    return WEIGHTS_DIR / names[str(name_or_path)]["file"]


def record(name_or_path, data_set, scores, task=None):
    """Keep a network's mean scores on a data set in its weight file, beside those already there.

    Args:
        name_or_path: As for `load_model`.
        data_set: Its name, such as "Set5".
        scores: Dict of `infer.evaluate.score`; of a restoration task that of ``"network"`` and
            that of ``"input"``.
        task: Restoration task with its strength, such as "gaussian-noise 25"; None for
            super-resolution.
    """
    path = _find(name_or_path)
    kind = "restoration" if task else "scores"
    kept = weight_file.read_note(path).get(kind, {})
    new = kept.get(data_set, {}) | {task: scores} if task else scores
    weight_file.write_note(path, {kind: kept | {data_set: new}})


def _stem(file):
    return file.name.removesuffix(_ENDING)


def rebuild(directory=WEIGHTS_DIR):
    """Write manifest.json and the tables of both READMEs anew from the files in a folder."""
    facts = {}
    for file in sorted(directory.glob("*" + _ENDING), key=_stem):
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        name = _stem(file)
        own = {"file": file.name, "bytes": file.stat().st_size, "sha256": sha256}
        facts[name] = own | weight_file.read_note(file)
    (directory / "manifest.json").write_text(json.dumps(facts, indent=1) + "\n")
    for readme in (directory / "README.md", directory.parent / "README.md"):
        before, rest = readme.read_text().split(_TABLE_START)
        after = rest.split(_TABLE_END)[1]
        readme.write_text(f"{before}{_TABLE_START}\n{tables(facts)}\n{_TABLE_END}{after}")
