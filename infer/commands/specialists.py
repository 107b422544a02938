"""Specialists of fusion as the commands name them: the built-in ones, and a user's own."""

import argparse
import dataclasses
import re
import sys
from pathlib import Path
from typing import NamedTuple

from infer.commands import options as common

BUILT_IN = ("faces", "text")
FACE_NETWORK = "wdsr-b-32-x4-faces-gan"
TEXT_NETWORK = "wdsr-b-32-x4-text"
_FORM = re.compile(r"([^=,]+)(?:=([^,]+:\w+))?(?:,(.+))?")


class Asked(NamedTuple):
    """What ``--specialist`` asks for.

    Attributes:
        name: Of `BUILT_IN`, or a name of the user's.
        detector: "MODULE:FUNCTION" or "FILE.py:FUNCTION"; None: the one that belongs to the name.
        weights: Name or file of the network; None: the bundled one.
    """

    name: str
    detector: str | None
    weights: str | None


def asked_for(text):
    """Read "faces", "text,WEIGHTS" or "NAME=MODULE:FUNCTION,WEIGHTS"."""
    form = _FORM.fullmatch(text)
    asked = Asked(*form.groups()) if form else None
    if not asked or not (asked.detector and asked.weights or asked.name in BUILT_IN):
        raise argparse.ArgumentTypeError(
            f"must be {', '.join(BUILT_IN)} or NAME=MODULE:FUNCTION,WEIGHTS, got {text!r}"
        )
    return asked


def specialist(options, asked):
    """A `Specialist` as asked for, and what its results depend on."""
    from infer import detect
    from infer.batch import fingerprint
    from infer.fusion import Specialist
    from infer.upscaler import Upscaler

    if asked.detector:
        model = common.load_precise(asked.weights, options)
        detector = function_named(asked.detector)
        key = f"{asked} {fingerprint(model)}"
        return Specialist(Upscaler(model), detector, asked.name), key
    if asked.name == "text":
        return _text(options, asked)
    name, strength = network_of(asked), options.fidelity
    networks = _between(name, 1.0 if strength is None else strength, options)
    masks = mask_options(options)
    detector = detect.confirmed(detect.Mtcnn(min(masks.least_px, detect.LEAST_PX)))
    detector = detect.turned(
        detector, always=options.turned, least_confidence=masks.least_confidence
    )
    key = f"{fingerprint(networks[0])} {strength}"
    judge = _judge(options)
    upscalers = [Upscaler(network) for network in networks]
    least = getattr(options, "least_likeness", None) or 0.0
    return (
        Specialist(upscalers[0], detector, judge=judge, least=least, gentler=tuple(upscalers[1:])),
        key,
    )


def _judge(options):
    if not getattr(options, "likeness", None):
        return None
    from infer.faces import likeness_of
    from weights.load import load_face_features

    return likeness_of(load_face_features(options.likeness))


def _between(name, strength, options):
    """The network for faces of a fidelity, and gentler ones if a least likeness is asked for."""
    least = getattr(options, "least_likeness", None)
    if strength == 1 and least is None:
        return [common.load_precise(name, options)]
    from infer.variants import blend
    from weights.load import manifest

    base = str(name).removesuffix("-gan")
    if base == name or base not in manifest():
        raise ValueError(
            f"--fidelity and --least-likeness mix a bundled network for faces and the one that it "
            f"was made of, and {name} has none: --face-model {FACE_NETWORK} has"
        )
    ends = [common.load_enlarging(end) for end in (base, name)]
    steps = (1, 0.75, 0.5, 0.25, 0) if least is not None else (1,)
    return [common.in_precision(blend(*ends, strength * step), options) for step in steps]


def network_of(asked):
    """Name or file of a specialist's network.

    Raises:
        FileNotFoundError: None is named, and none is bundled.
    """
    from weights.load import manifest

    if asked.weights:
        return asked.weights
    bundled = TEXT_NETWORK if asked.name == "text" else FACE_NETWORK
    if bundled not in manifest():
        give, made_by = (
            ("text,FILE", "train text")
            if asked.name == "text"
            else ("--face-model", "train esrgan --faces")
        )
        raise FileNotFoundError(
            f"no network for {asked.name} is bundled: give {give} a file that `python -m "
            f"{made_by}` made, or any network of the same scale"
        )
    return bundled


def _text(options, asked):
    from infer import text
    from infer.batch import fingerprint
    from infer.upscaler import Upscaler

    model = common.load_precise(network_of(asked), options)
    masks = mask_options(options, text.MASKS)
    return text.specialist(Upscaler(model), masks), f"text {fingerprint(model)} {masks}"


def mask_options(options, usual=None):
    """`MaskOptions` as asked for; `usual` are those of a specialist that has its own."""
    from infer.fusion_masks import MaskOptions

    given = {name: getattr(options, name) for name in ("least_confidence", "least_px")}
    given = {name: value for name, value in given.items() if value is not None}
    usual = usual or MaskOptions(chosen=getattr(options, "faces", None))
    return dataclasses.replace(usual, match_colour=options.match_colour, **given)


def function_named(text):
    """The function "MODULE:FUNCTION" or "FILE.py:FUNCTION".

    Raises:
        ValueError: There is no such module, file or function.
    """
    import importlib
    import importlib.util

    place, _, name = text.rpartition(":")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            sys.path.insert(0, "")  # the folder of the user, for the installed command too
            module = importlib.import_module(place)
        function = getattr(module, name)
    except (ImportError, AttributeError, SyntaxError, OSError) as error:
        raise ValueError(f"no detector {text}: {error}") from error
    if not callable(function):
        raise ValueError(f"a detector must be a function of a picture, got {text}")
    return function
