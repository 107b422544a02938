"""Arrays that are pictures: what every network's door takes, and gives back."""

import cv2
import numpy as np


def checked(image):
    """Return a picture as an array; `ValueError` if it is none, see `upscale`."""
    image = np.asarray(image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4)):
        raise ValueError(f"a picture must be (H, W) or (H, W, 1 to 4), got {image.shape}")
    if 0 in image.shape:
        raise ValueError(f"a picture must have pixels, got {image.shape}")
    if image.dtype in (np.uint8, np.uint16):
        return image
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"a picture must be uint8, uint16 or floats, got {image.dtype}")
    if not np.isfinite(image).all():
        raise ValueError("the picture holds NaN or infinite values")
    return image


def without_hidden_colours(image):
    """Replace the colours of fully transparent pixels by those of the nearest visible ones."""
    if image.ndim == 2 or image.shape[2] not in (2, 4):
        return image
    hidden = image[..., -1] == 0
    if not hidden.any() or hidden.all():
        return image
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    visible = np.flatnonzero(~hidden)
    of_label = np.zeros(labels.max() + 1, np.int64)
    of_label[labels.ravel()[visible]] = visible
    filled = image.copy()
    flat = filled.reshape(-1, image.shape[2])
    gone = np.flatnonzero(hidden)
    flat[gone, :-1] = flat[of_label[labels.ravel()[gone]], :-1]
    return filled


def result_dtype(image):
    """Number type of what a picture becomes: its own, or float32 for any floats."""
    return image.dtype if image.dtype in (np.uint8, np.uint16) else np.dtype(np.float32)
