"""What a repository on a hub holds beside the weights: config, model card, OpenModelDB's entry.

All of it comes from what the weight file says of itself.
"""

import datetime
import json
import re
from pathlib import Path

from model.weight_file import read_note
from weights import convert, hub
from weights.download import sha256_of
from weights.read import read
from weights.tables import tables

CONFIG, CARD, PICTURE = "config.json", "README.md", "example.png"
"""Names of the files beside `weights.hub.WEIGHTS`."""

_LICENCES = {  # beginnings of licences → how the Hub calls them
    "apache-2.0": "apache-2.0",
    "mit": "mit",
    "bsd-3": "bsd-3-clause",
    "bsd-2": "bsd-2-clause",
    "cc0": "cc0-1.0",
    "cc-by-4.0": "cc-by-4.0",
    "cc-by-sa-4.0": "cc-by-sa-4.0",
    "cc-by-nc-4.0": "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0": "cc-by-nc-sa-4.0",
    "gpl-3.0": "gpl-3.0",
}
_TASKS = {  # damage that a restorer was scored on → task of `infer restore`, tags of OpenModelDB
    "gaussian-noise": ("denoise", ["denoise"]),
    "poisson-noise": ("denoise", ["denoise"]),
    "salt-and-pepper": ("denoise", ["denoise"]),
    "motion-blur": ("deblur", ["deblur"]),
    "gaussian-blur": ("deblur", ["deblur"]),
    "aliasing": ("antialias", ["anti-aliasing"]),
    "inpainting": ("inpaint --mask mask.png", ["inpainting"]),
    "jpeg": ("jpeg", ["jpeg", "restoration"]),
}
_ARCHITECTURES = {"rrdb_net": "esrgan", "sr_resnet": "sr-res-net"}  # as OpenModelDB calls them


def write(
    path, folder, *, name, licence=None, address=None, picture=None, allow_nan=False, report=print
):
    """Write what a repository on a hub holds: weights, config and model card.

    The card says what the file knows about itself: licence, data, scores, how to load.

    Args:
        path: Weight file.
        folder: Existing folder to write to.
        name: What the network is called.
        licence: In place of the one that the file names.
        address: ``hf://owner/name`` where it will be, if it is known.
        picture: Function (weight file, config, file to write), called before the card is written,
            that draws an example; or None.
        allow_nan: As for `weights.convert.convert`.
        report: As for `weights.convert.convert`.

    Returns:
        What ``config.json`` says.

    Raises:
        ValueError: The file names no licence and none is given, or it cannot be read.
    """
    folder, licence = Path(folder), licence_of(path, licence)
    made = convert.convert(
        path, folder / hub.WEIGHTS, allow_nan=allow_nan, origin={"licence": licence}, report=report
    )
    config = {
        "library": hub.LIBRARY,
        "name": name,
        "file": hub.WEIGHTS,
        "bytes": made.stat().st_size,
    }
    config |= {"sha256": sha256_of(made)} | read_note(made)
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    if picture:
        picture(made, config, folder / PICTURE)
    (folder / CARD).write_text(_card(config, (folder / PICTURE).exists(), address or hub.WEIGHTS))
    return config


def licence_of(path, given=None):
    """Return the licence of a weight file: the given one, or what the file says.

    Raises:
        ValueError: There is none: a card needs one.
    """
    licence = given or read(path).note.get("licence")
    if not licence or licence == convert.UNKNOWN_LICENCE:
        raise ValueError(f"{path} does not say its licence, and a card needs one: give --licence")
    return licence


def scale_of(config):
    """How many times a network enlarges; 1 restores; None: it does neither."""
    if config["builder"] == "restormer":
        return 1
    return 4 if config["builder"] == "sr_resnet" else config["arguments"].get("scale")


def best_task(config):
    """The damage with its strength that a restorer takes away best, by its scores; "": none."""
    gains = {
        task: scores["network"]["psnr_rgb_db"] - scores["input"]["psnr_rgb_db"]
        for tasks in config.get("restoration", {}).values()
        for task, scores in tasks.items()
        if task.split()[0] in _TASKS
    }
    return max(gains, key=gains.get, default="")


def _card(config, has_picture, place):
    """The model card: metadata for the hub, then the page."""
    name, licence = config["name"], config["licence"]
    arguments = ", ".join(f"{k}={v}" for k, v in config["arguments"].items() if v is not None)
    parts = [
        f"# {name}",
        f"{_purpose(config)}: `{config['builder']}({arguments})`, {config['parameters']:,} "
        "parameters; float32 RGB in 0..255 in and out.",
        f"![Before and after]({PICTURE})" if has_picture else "",
        f"## Use\n\nWith the library `{hub.LIBRARY}`:\n\n{_use(config, place)}",
        f"## Scores\n\n{tables({name: config})}" if _numbers(config) else "",
        f"## Training\n\n{_training(config)}",
        f"## Licence\n\n{licence}",
        f"Files named above are in the source of `{hub.LIBRARY}`.",
    ]
    page = "\n\n".join(part for part in parts if part)
    return f"---\n{_metadata(config).to_yaml()}\n---\n\n{page}\n"


def _metadata(config):
    """What the hub's own search and tables read, with the scores as a model index."""
    licence = config["licence"].lower()
    known = next((name for start, name in _LICENCES.items() if licence.startswith(start)), None)
    results = [
        hub.library().EvalResult(
            task_type="image-to-image",
            dataset_type=_hyphened(data_set),
            dataset_name=data_set,
            metric_type=kind,
            metric_name=metric,
            metric_value=round(value, 4),
        )
        for data_set, kind, metric, value in _numbers(config)
    ]
    kind = {None: [], 1: ["image-restoration"]}.get(scale_of(config), ["super-resolution"])
    return hub.library().ModelCardData(
        license=known or "other",
        license_name=None if known else _hyphened(licence)[:60],
        library_name=hub.LIBRARY,
        pipeline_tag="image-to-image" if kind else None,
        tags=["keras", "tensorflow", *kind, _hyphened(config["builder"])],
        model_name=config["name"],
        eval_results=results or None,
    )


def _hyphened(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _purpose(config):
    scale = scale_of(config)
    if scale == 1:
        tasks = {
            task.split()[0] for scored in config.get("restoration", {}).values() for task in scored
        }
        return f"Restoration of pictures ({', '.join(sorted(tasks))})" if tasks else "Restoration"
    return f"Super-resolution, {scale} times" if scale else "A network"


def _use(config, place):
    lines = []
    if scale_of(config) == 1:
        task = _TASKS.get(best_task(config).partition(" ")[0], ("denoise",))[0]
        lines = [f"python -m infer restore photo.png -o better.png --task {task} --model {place}"]
    elif scale_of(config):
        lines = [f"python -m infer upscale photo.jpg -o big.png --model {place}"]
    if hub.is_address(place):
        lines.insert(0, f"pip install '{hub.LIBRARY}[hub]'")
    code = f'from weights import load_model\n\nmodel = load_model("{place}")'
    shell = "```bash\n" + "\n".join(lines) + "\n```\n\n" if lines else ""
    return f"{shell}```python\n{code}\n```"


def _numbers(config):
    """List of (data set, kind of metric, metric with its convention, value)."""
    found = []
    for data_set, scores in config.get("scores", {}).items():
        for channels, what in (("y", f"luma, border {scale_of(config)} px"), ("rgb", "RGB")):
            for kind, key in (("psnr", f"psnr_{channels}_db"), ("ssim", f"ssim_{channels}")):
                found.append((data_set, kind, f"{kind.upper()} ({what})", scores[key]))
        if scores.get("lpips") is not None:
            found.append((data_set, "lpips", "LPIPS (SqueezeNet)", scores["lpips"]))
    for data_set, tasks in config.get("restoration", {}).items():
        for task, scores in tasks.items():
            for kind, key in (("psnr", "psnr_rgb_db"), ("ssim", "ssim_rgb")):
                where = f"{data_set}, {task}"
                found.append((where, kind, f"{kind.upper()} (RGB)", scores["network"][key]))
    return found


def _training(config):
    lines = [
        f"- {name}: {config[key]}"
        for name, key in (("recipe", "recipe"), ("hours", "hours"), ("machine", "machine"))
        if key in config
    ]
    training = config.get("training")
    if training:
        lines.append(f"- settings and data:\n\n```json\n{json.dumps(training, indent=1)}\n```")
    origin = config.get("origin")
    if origin and not training:
        lines.append(f"- not stated; converted from {', '.join(origin)}")
    return "\n".join(lines) or "Not stated."


def openmodeldb(config, onnx, author, address):
    """Return the entry for openmodeldb.info: its file's name, and what that says.

    Args:
        config: As `write` returns it.
        onnx: The network as an ONNX file, which that site lists.
        author: Who made it, a name there.
        address: ``hf://owner/name`` where the file will be.

    Raises:
        ValueError: The network neither enlarges nor restores.
    """
    scale, (repository, revision, _) = scale_of(config), hub.parsed(address)
    if not scale:
        raise ValueError(
            f"OpenModelDB lists networks from pictures to pictures; {config['builder']} is not"
        )
    task = best_task(config).partition(" ")[0]
    tags = ["general-upscaler", "photo"] if scale > 1 else [*_TASKS.get(task, ("", []))[1], "photo"]
    training = config.get("training") or {}
    url = f"{hub.server()}/{repository}/resolve/{revision or 'main'}/{onnx.name}"
    entry = {
        "name": config["name"],
        "author": author,
        "license": config["licence"].partition(";")[0],
        "tags": sorted(tags),
        "description": f"{_purpose(config)}. Input and output: see {hub.server()}/{repository}",
        "date": datetime.date.today().isoformat(),
        "architecture": _ARCHITECTURES.get(config["builder"], _hyphened(config["builder"])),
        "size": None,
        "scale": scale,
        "inputChannels": 3,
        "outputChannels": 3,
        "resources": [
            {
                "platform": "onnx",
                "type": "onnx",
                "size": onnx.stat().st_size,
                "sha256": sha256_of(onnx),
                "urls": [url],
            }
        ],
        "trainingIterations": training.get("steps"),
        "trainingBatchSize": training.get("batch_size"),
        "trainingHRSize": training.get("hr_crop_px"),
        "dataset": ", ".join(training.get("hr") or training.get("clean") or []) or None,
        "images": [],
    }
    kept = {k: v for k, v in entry.items() if v is not None or k == "size"}
    return f"{scale}x-{re.sub('[^A-Za-z0-9]+', '-', config['name'])}.json", kept
