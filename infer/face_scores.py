"""Score a fusion beside the general network alone: on whole pictures, and on the faces in them.

Faces are found in the true picture, so that all are scored on the same pixels. `seam` and `halo`
need no true picture: they tell whether the edge of a mask can be seen.
"""

import cv2
import numpy as np

from infer.detect import PADDING
from infer.evaluate import mean, score

_AROUND_PX = 6  # σ of the blur that gives the surroundings of a mask's edge

PICTURE_COLUMNS = {
    "psnr_y_db": "PSNR Y",
    "ssim_y": "SSIM Y",
    "psnr_rgb_db": "PSNR RGB",
    "lpips": "LPIPS",
}
FACE_COLUMNS = {"psnr_rgb_db": "PSNR RGB", "lpips": "LPIPS", "similarity": "similarity"}


def fusion_scores(pairs, networks, find_faces, *, scale, lpips=None, similarity=None):
    """Score networks on pictures and on the faces in them.

    Args:
        pairs: `infer.evaluate.Pair`s.
        networks: Name → function from an LR picture to (H, W, 3) uint8.
        find_faces: Function from (H, W, 3) uint8 to boxes, as `infer.detect.find`.
        scale: Border in px that is cut for luma values.
        lpips: Function of two float batches in 0..255 → (B,), or None.
        similarity: The same for how alike two faces are, or None.

    Yields:
        A picture's name, and name of a network → ``{"picture": scores, "faces": [scores, …]}``.
    """
    for pair in pairs:
        boxes = [box.padded(PADDING, *pair.hr.shape[:2]) for box in find_faces(pair.hr)]
        scores = {}
        for who, network in networks.items():
            sr = network(pair.lr)
            whole = {"lpips": None} | score(sr, pair.hr, scale, lpips)
            faces = [_face_scores(sr, pair.hr, box, lpips, similarity) for box in boxes]
            scores[who] = {"picture": whole, "faces": faces}
        yield pair.name, scores


def _face_scores(sr, hr, box, lpips, similarity):
    rows = slice(int(box.top), round(box.top + box.height))
    columns = slice(int(box.left), round(box.left + box.width))
    sr, hr = sr[rows, columns], hr[rows, columns]
    scores = {"lpips": None} | score(sr, hr, 0, lpips)
    pair = [picture[None].astype(np.float32) for picture in (hr, sr)]
    alike = float(np.asarray(similarity(*pair))[0]) if similarity else None
    return {name: scores[name] for name in ("psnr_rgb_db", "lpips")} | {"similarity": alike}


def seam(picture, mask):
    """Measure how much a picture changes where a mask does, beside how much it changes near by.

    Fusion leaves no seam if this is what it is for the general network's result, whose own edges
    may lie there.

    Args:
        picture: (H, W, 3) in 0..255.
        mask: (H, W) in 0..1, the ``mask`` of `infer.fusion.Fused`.

    Returns:
        Mean squared gradient where the mask rises or falls, over that outside it, near by.

    Raises:
        ValueError: The mask has no edge, or nothing is outside it.
    """
    edge = _energy(np.asarray(mask, np.float64)[..., None]) > 0
    near = cv2.GaussianBlur(edge.astype(np.float64), (0, 0), _AROUND_PX) > 0.05
    around = near & (mask == 0) & ~edge
    if not edge.any() or not around.any():
        raise ValueError("a seam needs a mask with an edge, and pixels outside it")
    energy = _energy(np.asarray(picture, np.float64))
    return float(energy[edge].mean() / energy[around].mean())


def halo(picture, general, mask):
    """Measure how much another colour or brightness shows where a mask fades.

    Both pictures are blurred, so that detail does not count, and compared in CIELAB, where equal
    distances look about equal. Below about 2.3 colours side by side are hardly told apart; `seam`
    does not see a difference that a soft mask spreads over many pixels.

    Args:
        picture: (H, W, 3) in 0..255, what was fused.
        general: The same of the general network.
        mask: (H, W) in 0..1, the ``mask`` of `infer.fusion.Fused`.

    Returns:
        Mean colour difference ΔE*ab where the mask is between 0 and 1; 0 where it nowhere is.

    Reference: Mahy, Van Eycken and Oosterlinck, Color Research and Application 19(2), 105-121,
    1994, for 2.3 as the mean of just noticeable differences ΔE*ab.
    """
    fading = (mask > 0) & (mask < 1)
    if not fading.any():
        return 0.0
    blurred = (
        cv2.GaussianBlur(np.asarray(p, np.float32) / 255, (0, 0), _AROUND_PX)
        for p in (picture, general)
    )
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2Lab) for p in blurred)
    return float(np.sqrt(np.square(a - b).sum(axis=2))[fading].mean())


def _energy(picture):
    """Squared gradient, (H, W), mean of all channels."""
    return sum(np.square(gradient) for gradient in np.gradient(picture, axis=(0, 1))).mean(axis=2)


def summary(table):
    """Return means over pictures and over faces: name of a network → both.

    Args:
        table: Picture's name → what `fusion_scores` yields for it.
    """
    means = {}
    for who in next(iter(table.values())):
        faces = [face for scores in table.values() for face in scores[who]["faces"]]
        pictures = [scores[who]["picture"] for scores in table.values()]
        means[who] = {"picture": mean(pictures), "faces": mean(faces) if faces else {}}
    return means


def lines(table):
    """`summary` as lines for people; measures that were not made are left out."""
    means = summary(table)
    faces = sum(len(next(iter(scores.values()))["faces"]) for scores in table.values())
    yield from _block(f"{len(table)} pictures", "picture", means, PICTURE_COLUMNS)
    yield from _block(f"{faces} faces", "faces", means, FACE_COLUMNS)


def _block(title, kind, means, columns):
    first = next(iter(means.values()))[kind]
    columns = {key: name for key, name in columns.items() if first.get(key) is not None}
    if not columns:
        return
    yield f"{title:16}" + "".join(f"{name:>12}" for name in columns.values())
    for who, scores in means.items():
        cells = (f"{scores[kind][key]:.{2 if key.endswith('db') else 4}f}" for key in columns)
        yield f"{who:16}" + "".join(f"{cell:>12}" for cell in cells)
