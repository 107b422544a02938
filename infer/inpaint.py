"""Fill in the damaged pixels of a picture: a mask-aware network behind the tiles of `upscale`."""

import numpy as np

from infer.upscaler import LUMA, Upscaler
from model.restoration import has_mask


class Inpainter(Upscaler):
    """A mask-aware network made ready for pictures of one mask rule.

    Args:
        model: `restormer(…, mask_aware=True)` with its weights.
        plain: The same network `without_masks`, which tells what tiles need.
        mask_of: Function of a picture → (H, W) bool, True = a real pixel.
        keep_known: Take real pixels from the picture instead of the network.
        drop_alpha: The mask was the picture's alpha channel: leave that out of the result.

    Raises:
        ValueError: The network knows no masks.
    """

    def __init__(self, model, plain, mask_of, *, keep_known=True, drop_alpha=False):
        if not has_mask(model):
            raise ValueError("this network knows no masks, so it cannot fill in damaged pixels")
        super().__init__(plain)
        self._masked, self._mask_of = model.traced, mask_of
        self._keep_known, self._drop_alpha = keep_known, drop_alpha

    def result(self, image):
        """Return shape and type of what `image` becomes."""
        shape, dtype = super().result(image)
        if self._drop_alpha:
            shape = shape[:2] if shape[2] == 2 else (*shape[:2], 3)
        return shape, dtype

    def _source(self, image):
        """The picture with its mask as one more channel, which tiles then cut alike."""
        planes = image[..., None] if image.ndim == 2 else image
        if self._drop_alpha:
            planes = planes[..., :-1]
        valid = self._mask_of(image)[..., None].astype(image.dtype)
        return np.concatenate([planes, valid], axis=2)

    def _enlarge(self, window):
        valid = window[..., -1:] > 0
        pixels = window[..., :-1].astype(np.float32)
        pixels = pixels / np.float32(257 if window.dtype == np.uint16 else 1)
        count = 1 if pixels.shape[2] < 3 else 3
        colour, alpha = pixels[..., :count], pixels[..., count:]
        if self._keep_known and valid.all():
            return pixels
        answer = self._filled(colour, valid)
        if self._keep_known:
            answer = np.where(valid, colour, answer)
        return np.concatenate([answer, alpha], axis=2)

    def _filled(self, colour, valid):
        rgb = np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour
        answer = self._masked(rgb[None], valid[None].astype(np.float32))[0].numpy()
        return answer @ LUMA[:, None] if colour.shape[2] == 1 else answer
