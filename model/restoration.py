"""Run restoration networks: with masks or without, and what is kept of the input."""

import numpy as np
from keras import ops

from model.common import self_ensembled
from model.restormer import restormer


def without_masks(model):
    """Return a mask-aware network as the one without masks that equals it on whole pictures."""
    plain = restormer(**model.built_by.arguments | {"mask_aware": False, "mask_embedding": False})
    for layer in plain.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    plain.half_loss_db = model.half_loss_db
    return plain


def has_mask(model):
    """Whether a network takes a mask beside the picture."""
    return any(tensor.name == "valid_mask" for tensor in model.inputs[1:])


def restore(model, pictures, valid_mask=None, *, keep_known=True, self_ensemble=False):
    """Run a restoration network and round its answer to pictures.

    Args:
        model: A network of this module, mask-aware or not.
        pictures: (B, H, W, C) in 0..255, any number type.
        valid_mask: (B, H, W, 1), 1/True = a real pixel, 0/False = damaged. None: no pixel of the
            picture is missing, and all of it is restored.
        keep_known: Where a mask is given, take real pixels from the input.
        self_ensemble: Run it on the eight flips and turns and take the mean: eight times as slow.

    Returns:
        (B, H, W, C) uint8, clipped to 0..255.

    Raises:
        ValueError: The network knows no masks but is given one, or the mask has another size.
    """
    pictures = ops.cast(pictures, "float32")
    inputs = [pictures]
    if valid_mask is not None:
        _check_mask(model, pictures, valid_mask)
        inputs.append(ops.cast(valid_mask, "float32"))
    elif has_mask(model):
        inputs.append(ops.ones_like(pictures[..., :1]))
    run = self_ensembled(model.traced) if self_ensemble else model.traced
    restored = ops.round(ops.clip(run(*inputs), 0, 255))
    if valid_mask is not None and keep_known:
        restored = keep_known_pixels(restored, ops.round(pictures), valid_mask)
    return ops.cast(restored, "uint8")


def _check_mask(model, pictures, valid_mask):
    if not has_mask(model):
        raise ValueError(
            "this network knows no masks; build it with mask_aware=True to give it one"
        )
    expected = (*pictures.shape[:3], 1)
    if tuple(valid_mask.shape) != expected:
        raise ValueError(
            f"valid_mask must have the shape {expected}, got {tuple(valid_mask.shape)}"
        )


def keep_known_pixels(restored, pictures, valid_mask):
    """Put the real pixels of the input back into the answer.

    Args:
        restored: (B, H, W, C), the network's answer.
        pictures: The same shape, its input.
        valid_mask: (B, H, W, 1), 1 = a real pixel, which is kept, 0 = damaged.

    Returns:
        The shape and type of `restored`.
    """
    return ops.where(ops.cast(valid_mask, "bool"), ops.cast(pictures, restored.dtype), restored)


def restored(model, damaged, valid_mask, **options):
    """`restore` one batch. Where some pixels are damaged, the others are kept as they are."""
    some_damaged = not np.all(valid_mask)
    mask = valid_mask if some_damaged and has_mask(model) else None
    result = restore(model, damaged, mask, **options)
    return keep_known_pixels(result, damaged, valid_mask) if some_damaged else result
