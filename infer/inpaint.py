"""Fill in the damaged pixels of a picture: a mask-aware network run in tiles."""

import numpy as np

from infer.arrays import checked
from infer.upscaler import LUMA, Upscaler
from model.common import self_ensembled
from model.restoration import has_mask, without_masks


class Inpainter:
    """A mask-aware network made ready for many pictures.

    Args:
        model: `restormer(…, mask_aware=True)` with its weights.
        keep_known: Take real pixels from the picture instead of the network.
        drop_alpha: The mask is the picture's alpha channel: leave that out of the result.
        self_ensemble: As for `infer.Upscaler`.

    Raises:
        ValueError: The network takes no mask.
    """

    def __init__(self, model, *, keep_known=True, drop_alpha=False, self_ensemble=False):
        if not has_mask(model):
            raise ValueError("this network takes no mask, so it cannot fill in damaged pixels")
        self._masked = self_ensembled(model.traced) if self_ensemble else model.traced
        self._upscaler = Upscaler(without_masks(model))
        self._keep_known, self._drop_alpha = keep_known, drop_alpha

    def __call__(self, image, valid_mask, **options):
        """Fill in a picture.

        Args:
            image: (H, W), or (H, W, 2 to 4), see `infer.upscale`.
            valid_mask: (H, W) bool, True = a real pixel, False = damaged.
            **options: As of `infer.Upscaler`: tile, overlap_px, out and report.

        Returns:
            The filled picture, mode and type as `image`, without alpha if that is the mask.
        """
        image = checked(image)
        planes = image[..., None] if image.ndim == 2 else image
        shape, dtype = self._upscaler.result(image)
        if self._drop_alpha:
            planes = planes[..., :-1]
            shape = shape[:2] if shape[2] == 2 else (*shape[:2], 3)
        # the mask is one more channel, which tiles then cut like the others
        source = np.concatenate([planes, valid_mask[..., None].astype(image.dtype)], axis=2)
        return self._upscaler.in_tiles(source, self._filled, shape, dtype, **options)

    def _filled(self, window):
        valid = window[..., -1:] > 0
        pixels = window[..., :-1].astype(np.float32)
        pixels = pixels / np.float32(257 if window.dtype == np.uint16 else 1)
        count = 1 if pixels.shape[2] < 3 else 3
        colour, alpha = pixels[..., :count], pixels[..., count:]
        if self._keep_known and valid.all():
            return pixels
        output = self._run(colour, valid)
        if self._keep_known:
            output = np.where(valid, colour, output)
        return np.concatenate([output, alpha], axis=2)

    def _run(self, colour, valid):
        rgb = np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour
        output = np.asarray(self._masked(rgb[None], valid[None].astype(np.float32)))[0]
        return output @ LUMA[:, None] if colour.shape[2] == 1 else output
