"""``python -m infer weights publish``: weights, config and model card for a hub."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from data.quiet_start import load_tensorflow


def publish(options):
    """Write a network's folder for a hub, and upload it if asked to; returns the exit status."""
    if len(options.names) != 1 or not options.to:
        raise ValueError("publish takes one name or file, and --to DIR or --to hf://owner/name")
    load_tensorflow()
    from weights import hub, model_card
    from weights.load import find

    address = options.to if hub.is_address(options.to) else None
    _check(options, address)
    path, name = find(options.names[0]), _name(options.names[0], address)
    licence = model_card.licence_of(path, options.licence)
    if address:
        hub.make_repository(address)
    with tempfile.TemporaryDirectory() as folder:
        config = model_card.write(
            path,
            folder,
            name=name,
            licence=licence,
            address=address,
            picture=_draw_example,
            allow_nan=options.allow_nan,
            report=lambda sentence: print(sentence.replace(f"{folder}/", "")),
        )
        if options.openmodeldb:
            _openmodeldb(Path(folder), config, options.openmodeldb, address)
        if address:
            hub.upload(folder, address)
        else:
            shutil.copytree(folder, options.to, dirs_exist_ok=True)
            print(
                f"wrote {options.to}: {', '.join(sorted(f.name for f in Path(folder).iterdir()))}"
            )


def _keep(folder, target):
    target.mkdir(exist_ok=True)
    for file in sorted(folder.iterdir()):
        shutil.copyfile(file, target / file.name)
        print(f"wrote {target / file.name}")


def _check(options, address):
    """Find what cannot work before a network is loaded."""
    from infer.jobs import check_free
    from weights import hub

    if not address:
        check_free(options.to, options.overwrite)
    elif hub.parsed(address)[2]:
        raise ValueError(f"publish to a repository, hf://owner/name, and no file in it: {address}")
    if options.openmodeldb and not address:
        raise ValueError("an OpenModelDB entry says where the file is: give --to hf://owner/name")


def _name(name_or_path, address):
    from weights import hub
    from weights.convert import target_of

    of_file = target_of(name_or_path).name.removesuffix(".weights.h5")
    return hub.parsed(address)[0].split("/")[1] if address else of_file


def _draw_example(path, config, target):
    """Draw NASA's portrait of Eileen Collins (public domain) before and after."""
    from skimage.data import astronaut

    from data.degrade import imresize
    from infer.commands.options import load
    from infer.plot import side_by_side
    from infer.upscaler import Upscaler
    from weights.model_card import best_task, scale_of

    scale, original = scale_of(config), astronaut()
    if not scale or (scale == 1 and not best_task(config)):
        return
    model = load(path)
    if scale == 1:
        before, after = _restored(model, original, best_task(config))
        pictures = {f"before: {best_task(config)}": before, "after": after}
    else:
        side = 512 // scale * scale
        original = original[:side, :side]
        lr = imresize(original, 1 / scale)
        pictures = {f"bicubic, ×{scale}": imresize(lr, scale), "network": Upscaler(model)(lr)}
    figure = side_by_side(pictures | {"original": original}, zoom=(62, 168, 104))
    figure.savefig(target, dpi=80)


def _restored(model, picture, task):
    """The picture damaged, and what the network makes of it."""
    import numpy as np

    from data.tasks import damage
    from infer.inpaint import Inpainter
    from infer.upscaler import Upscaler
    from model.restoration import has_mask, without_masks

    kind, _, strength = task.partition(" ")
    damaged, valid = damage(kind, picture, np.random.default_rng(0), float(strength))
    if kind == "inpainting":
        return damaged, Inpainter(model)(damaged, valid[..., 0] > 0)
    return damaged, Upscaler(without_masks(model) if has_mask(model) else model)(damaged)


def _openmodeldb(folder, config, author, address):
    """Write the ONNX file and the entry that names it."""
    from infer.commands.options import load
    from infer.export import export
    from model.restoration import has_mask, without_masks
    from weights.hub import WEIGHTS
    from weights.model_card import openmodeldb

    model, onnx = load(folder / WEIGHTS), folder / "model.onnx"
    difference = export(without_masks(model) if has_mask(model) else model, onnx, "onnx")
    print(
        f"{onnx.name}: largest difference from Keras {difference:.2g} grey levels", file=sys.stderr
    )
    name, entry = openmodeldb(config, onnx, author, address)
    (folder / name).write_text(json.dumps(entry, indent=4) + "\n")
