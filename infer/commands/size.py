"""Options on the size of results, of the commands that enlarge."""

import argparse
import functools
from pathlib import Path

from infer.commands.pictures import report

_NAMES = ("scale", "width", "height", "longest", "megapixels")


def add_size(parser):
    """Add the options on the size of results."""
    group = parser.add_argument_group(
        "size",
        "By default the network's: four times the height and width. Others are reached by running "
        "it as often as needed and reducing what it gives; one of these options at a time.",
    ).add_mutually_exclusive_group()
    group.add_argument("--scale", type=_above_0, metavar="X", help="times the size: 2.5")
    for side in ("width", "height", "longest"):
        what = "longer side" if side == "longest" else side
        group.add_argument(f"--{side}", type=_pixels, metavar="PX", help=f"{what} in px")
    group.add_argument("--megapixels", type=_above_0, metavar="N", help="million pixels: 24")


def _above_0(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value


def _pixels(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, got {text!r}")
    return int(text)


def size_of(options):
    """The size that the options ask for, as pairs of name and value; empty: the network's."""
    return {name: getattr(options, name) for name in _NAMES if getattr(options, name) is not None}


def is_at_most_twice(options, shape):
    """Whether a picture of this shape becomes at most twice as large, so that ×2 is enough."""
    if not size_of(options):
        return False
    from infer.sizes import OutputSize

    wanted = OutputSize(**size_of(options)).of(*shape[:2])
    return all(after <= 2 * before for after, before in zip(wanted, shape, strict=False))


def sized(network, options, again=None):
    """Make a network's results have the size that the options ask for.

    Args:
        network: `Upscaler` or `Fusion`.
        options: Of the command.
        again: See `infer.sizes.Sized`.
    """
    if not size_of(options):
        return network
    from infer.memory import room_for
    from infer.sizes import OutputSize, Sized

    out = Path(options.out)  # of an address no folder of the disk
    folder = next((place for place in (out, out.parent) if place.is_dir()), None)
    room = functools.partial(room_for, folder=folder)
    return Sized(network, OutputSize(**size_of(options)), again=again, room=room)


def tell_runs(job, network, shape):
    """Report where a picture of this shape takes several runs of a `Sized` network, or none."""
    remark = network.remark(shape) if hasattr(network, "remark") else None
    if remark:
        report(f"{job.source}: {remark}")
