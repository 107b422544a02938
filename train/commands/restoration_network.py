"""The network that ``python -m train foundation`` trains: its options, and what it begins with."""

import json

import numpy as np

from train.commands.options import ONE_OR_MORE, add

_OF_MASKS = ("mask_aware", "mask_fill", "mask_embedding")  # arguments; weights fit all the same
_OF_BLOCKS = ("num_blocks", "num_refinement_blocks")  # may grow: what is new starts anew


def add_network_options(group):
    """Add the options of a Restormer."""
    add(
        group,
        "--size",
        "full: Restormer as published; lite: half its width and about half its blocks",
        "lite",
        choices=["full", "lite"],
    )
    add(group, "--dim", "channels at full size (default: that of --size)", type=ONE_OR_MORE)
    group.add_argument(
        "--num-blocks",
        nargs=4,
        type=int,
        metavar="N",
        help="transformer blocks of the four levels, full size first (default: those of --size)",
    )
    group.add_argument(
        "--num-refinement-blocks",
        type=int,
        metavar="N",
        help="transformer blocks after the decoder (default: those of --size)",
    )
    add(
        group,
        "--unshuffle",
        "2: work at half size, which takes a quarter of the time and sees twice as far",
        1,
        type=int,
        choices=[1, 2],
    )
    group.add_argument("--no-masks", action="store_true", help="build a network that takes no mask")
    group.add_argument(
        "--mask-embedding",
        action="store_true",
        help="mark damaged pixels by a learned vector",
    )
    group.add_argument(
        "--start-from",
        metavar="FILE",
        help="weights that a new run begins with, of the same network with masks or without; also "
        "of one with fewer blocks",
    )


def network_of(options):
    """Build the network that the options say."""
    from model.restormer import restormer, restormer_lite

    build = {"full": restormer, "lite": restormer_lite}[options.size]
    model = build(mask_aware=not options.no_masks)
    if options.mask_embedding and options.no_masks:
        raise ValueError("--mask-embedding needs masks: leave --no-masks out")
    changes = {
        "dim": options.dim,
        "num_blocks": options.num_blocks and tuple(options.num_blocks),
        "num_refinement_blocks": options.num_refinement_blocks,
        "unshuffle": options.unshuffle if options.unshuffle > 1 else None,
        "mask_embedding": options.mask_embedding or None,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    return restormer(**model.built_by.arguments | changes) if changes else model


def begin_from(path, model, report=print):
    """Load weights of the same network, or of one with fewer blocks or without masks or marks.

    A block that the file lacks begins as the identity, so that nothing changes by it at first.
    """
    from model.weight_file import read_note
    from weights.load import load_model

    here = json.loads(json.dumps(model.built_by.arguments))  # JSON's lists, not tuples
    there = here | {"unshuffle": 1} | read_note(path).get("arguments", {})
    differing = {name for name in here if there[name] != here[name]}
    if not differing:
        model.load_weights(path)
        return
    sentences = [
        f"{name} {there[name]}, not {here[name]}"
        for name in differing - set(_OF_MASKS)
        if name not in _OF_BLOCKS or np.any(np.less(here[name], there[name]))
    ]
    if sentences:
        raise ValueError(f"{path} is of a network with {'; '.join(sorted(sentences))}")
    source = {layer.name: layer for layer in load_model(path).layers if layer.weights}
    for layer in model.layers:
        if layer.name in source:
            layer.set_weights(source.pop(layer.name).get_weights())
        elif layer.name.endswith("_project_out"):  # what a new block adds
            layer.set_weights([0 * w for w in layer.get_weights()])
    if source:
        report(f"{path}: {', '.join(source)} is left out, as the new network takes no masks")
