"""Faces as a specialist of `infer.fusion`, and what it made as lines for people."""

import numpy as np

from data.resize import imresize
from infer import detect
from infer.fusion import Fusion, Specialist
from infer.upscaler import Upscaler

_SMALL_SHOWN = 3  # of those that are too small, in a crowd or where a detector sees dots


def described(fused):
    """What was found, an `infer.fusion.Fused`, as lines for people."""
    names = fused.names
    counts = [(name, sum(box.label == name for box in fused.found)) for name in names]
    some = ", ".join(f"{n} {name}{'s' if n > 1 else ''}" for name, n in counts if n)
    first = f"{some or 'no ' + ' or '.join(names)} found"
    first += "" if some else ", so the result is the general network's"
    lines = [
        f"  {number}: {_about(box, names)}{_judged(fused.judged.get(number))}"
        for number, box in enumerate(fused.found)
    ]
    small = sorted(fused.left, key=lambda box: -box.width * box.height)
    lines += [
        f"  left to the general network: {_about(box, names)}" for box in small[:_SMALL_SHOWN]
    ]
    if len(small) > _SMALL_SHOWN:
        lines.append(f"  left to the general network: {len(small) - _SMALL_SHOWN} smaller ones")
    return "\n".join([first, *lines])


def _about(box, names):
    what = f"{box.label}, " if len(names) > 1 else ""
    turned = f", turned by {box.angle_deg:.0f}°" if abs(box.angle_deg) >= 0.5 else ""
    return (
        f"{what}{box.width:.0f} × {box.height:.0f} px at ({box.left:.0f}, {box.top:.0f})"
        f"{turned}, confidence {box.confidence:.3f}"
    )


def _judged(judged):
    if judged is None:
        return ""
    value, steps, reached = judged
    gentler = f", {steps} step{'s' if steps > 1 else ''} gentler" if steps else ""
    return f", likeness {value:.4f}{gentler}{'' if reached else ', below the least'}"


def likeness_of(features):
    """Make a `Specialist.judge`: how alike a face and its enlargement by bicubic are, up to 1.

    Args:
        features: Network of face features, see `model.metrics.face_similarity_of`.
    """
    from model.metrics import face_similarity_of

    similarity = face_similarity_of(features)

    def judge(small, large):
        bicubic = imresize(small, size=large.shape[:2])
        pair = (picture[None].astype(np.float32) for picture in (bicubic, large))
        return float(np.asarray(similarity(*pair))[0])

    return judge


def fuse(general, face):
    """Function of an LR batch of one picture to the SR batch that two networks make together."""
    specialist = Specialist(Upscaler(face), detect.confirmed(detect.Mtcnn()))
    fusion = Fusion(Upscaler(general), [specialist])
    return lambda lr: fusion(lr[0].numpy()).pixels[None]
