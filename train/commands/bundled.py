"""Recipes of the bundled networks: how each file of ``weights/`` was made."""

import functools

from train.commands.bundled_restoring import RESTORING
from train.commands.stages import BEFORE, Recipe, bundled, pictures, stage

_BF16 = {"precision": "mixed_bfloat16"}
_PHOTOS = {"hr": pictures("photos", "bsds300"), "valid_hr": pictures("b100")}
_FACES = {"hr": pictures("faces_train"), "valid_hr": pictures("faces_valid")}
_FROM_PHOTO = "the first stage began with the former wdsr-b-32-x4-photo (commit 2e6a66a)"
_FEW = "the last stage was validated on 25 pictures of b100"
_NOTO = [
    f"noto/{family}-{style}.ttf"
    for family in ("NotoSans", "NotoSerif")
    for style in ("Regular", "Bold", "Italic")
]
_TRUETYPE = ["comfortaa", "dejavu", "freefont", "hack", "lato", "liberation", "open-sans"]
_FONTS = [
    *(f"/usr/share/fonts/truetype/{place}" for place in [*_TRUETYPE, "quicksand", *_NOTO]),
    "/usr/share/fonts/opentype",
]
_AGAINST_GRID = {
    "grid_weight": 1000,
    "ramp_steps": 200,
    "steps": 700,
    "learning_rate": 1e-4,
    "warm_up_steps": 20,
    "fall_steps": 300,
    "ema_decay": 0.99,
    "evaluate_every": 350,
}


def _on_photos(network, **options):
    """Stage of a network for pixels; other options than the usual ones, None: not that option."""
    usual = {
        "scale": 4,
        **_PHOTOS,
        "warm_up_steps": 100,
        "ema_decay": 0.999,
        "evaluate_every": 1000,
        **_BF16,
    }
    given = {name: value for name, value in (usual | options).items() if value is not None}
    return stage(network, **given)


_edsr = functools.partial(_on_photos, "edsr", num_res_blocks=16, learning_rate=5e-4)
_wdsr = functools.partial(_on_photos, "wdsr-b", num_res_blocks=32, learning_rate=1e-3)
_AGAIN = {"optimizer": "muon", "steps": 5000, "fall_steps": 2800, "start_from": BEFORE}
_DEFAULTS = {"warm_up_steps": None, "ema_decay": None, "evaluate_every": None}  # the command's


def _at(scale, **options):
    """Stage of a WDSR on windows of 24×24 LR px."""
    return _wdsr(scale=scale, hr_crop_px=24 * scale, **options)


def _gan(generator, **options):
    """Stage that sharpens a network on pictures with mild damage; other options than the usual."""
    usual = {
        "generator": generator,
        "damage": "mild",
        "batch_size": 8,
        "steps": 3000,
        "discriminator": "unet",
        "discriminator_filters": 32,
        "adversarial_weight": 0.01,
        "alone_steps": 200,
        "ramp_steps": 1000,
        "pixel_weight": 1,
        "lpips": "lpips-squeeze",
        "learning_rate": 2e-4,
        "schedule": "trapezoid",
        "warm_up_steps": 50,
        "fall_steps": 1200,
        "ema_decay": 0.998,
        "evaluate_every": 500,
        **_BF16,
    }
    return stage("esrgan", **(usual | options))


def _text(start_from, **options):
    """Stage of the network for text."""
    usual = {
        "hr": pictures("photos"),
        "fonts": _FONTS,
        "damage": "mild",
        "font_px": [18, 60],
        "texts": 3000,
        "num_res_blocks": 32,
        "optimizer": "muon",
        "batch_size": 16,
        "learning_rate": 2e-3,
        "warm_up_steps": 100,
        "ema_decay": 0.999,
        **_BF16,
    }
    return stage("text", **(usual | options), start_from=start_from)


RECIPES = {
    "edsr-16-x4": Recipe(
        (
            _edsr(steps=5000, fall_steps=2500, seed=1, **_DEFAULTS),
            _edsr(
                steps=2500,
                fall_steps=1050,
                seed=2,
                start_from=BEFORE,
                **_DEFAULTS | {"warm_up_steps": 100},
            ),
            _edsr(
                optimizer="muon",
                steps=4000,
                learning_rate=1e-3,
                fall_steps=2000,
                seed=32,
                start_from=BEFORE,
            ),
        ),
        f"the last stage began with the 16-bit file of commit fe2138f; {_FEW}",
    ),
    "wdsr-b-8-x4": Recipe(
        (
            _wdsr(
                num_res_blocks=8,
                optimizer="muon",
                steps=9000,
                batch_size=16,
                learning_rate=2e-3,
                schedule="trapezoid",
                fall_steps=3000,
                seed=31,
            ),
            _wdsr(
                num_res_blocks=8,
                optimizer="muon",
                steps=12_000,
                batch_size=16,
                learning_rate=2e-3,
                schedule="trapezoid",
                fall_steps=5000,
                seed=41,
                start_from=BEFORE,
            ),
        ),
        "validated on 25 pictures of b100; the second stage began with the 16-bit file of commit "
        "63bef2b",
    ),
    "wdsr-b-32-x2": Recipe(
        (
            _at(2, steps=6000, fall_steps=3500, seed=26, start_from=bundled("wdsr-b-32-x4")),
            _at(2, **_AGAIN, seed=36),
        ),
        f"the second stage began with the 16-bit file of commit 26a3e09; {_FEW}",
    ),
    "wdsr-b-32-x2-photo": Recipe(
        (
            _at(
                2,
                damage="mild",
                optimizer="muon",
                steps=4000,
                fall_steps=2000,
                seed=35,
                start_from=bundled("wdsr-b-32-x2"),
            ),
        ),
        f"began with the former wdsr-b-32-x2 (commit 26a3e09); {_FEW}",
    ),
    "wdsr-b-32-x3": Recipe(
        (
            _wdsr(
                optimizer="muon",
                steps=8000,
                learning_rate=2e-3,
                fall_steps=1600,
                ema_decay=0.995,
                seed=5,
            ),
            _at(3, optimizer="muon", steps=5000, fall_steps=2500, seed=33, start_from=BEFORE),
            _at(3, **_AGAIN, seed=38),
        ),
        "all stages were validated on 25 pictures of b100; the last began with the 16-bit file of "
        "commit 26a3e09",
    ),
    "wdsr-b-32-x4": Recipe(
        (
            _wdsr(
                steps=9500,
                learning_rate=2e-3,
                fall_steps=3500,
                seed=1,
                precision=None,
                **_DEFAULTS,
            ),
            _wdsr(
                steps=3000,
                fall_steps=2200,
                ema_decay=None,
                evaluate_every=750,
                seed=3,
                start_from=BEFORE,
            ),
            _wdsr(
                steps=5500,
                fall_steps=2200,
                start_from=BEFORE,
                **_DEFAULTS | {"warm_up_steps": 100},
            ),
            _wdsr(steps=12000, fall_steps=5500, warm_up_steps=200, seed=3, start_from=BEFORE),
            _wdsr(
                optimizer="muon",
                steps=14000,
                batch_size=16,
                learning_rate=1.5e-3,
                schedule="trapezoid",
                fall_steps=6500,
                seed=51,
                start_from=BEFORE,
            ),
        ),
        "up to step 3,363 windows were drawn in proportion to a picture's area (commit 3ca1514); "
        "the last stage began with the 16-bit file of commit 38a8290, and was begun as 6,500 "
        f"steps and prolonged from the checkpoint before its cool-down; {_FEW}",
    ),
    "wdsr-b-32-x4-photo": Recipe(
        (
            _wdsr(
                damage="mild",
                steps=7500,
                fall_steps=4000,
                seed=6,
                start_from=bundled("wdsr-b-32-x4"),
            ),
            _wdsr(damage="mild", steps=8000, fall_steps=4000, seed=16, start_from=BEFORE),
        ),
        "the first stage was begun as 14,000 steps and shortened at step 2,003, the second as "
        f"12,500, shortened at step 2,742; {_FEW}",
    ),
    "wdsr-b-32-x4-text": Recipe(
        (
            _text(bundled("wdsr-b-32-x4-photo"), steps=9000, fall_steps=4500, seed=61),
            _text(
                BEFORE,
                steps=1600,
                learning_rate=5e-4,
                fall_steps=1000,
                recogniser_weight=2,
                seed=62,
            ),
        ),
        "the mean of the weights of both stages is bundled; fonts of Debian 12, see "
        "weights/README.md",
    ),
    "wdsr-b-32-x4-faces": Recipe(
        (
            _wdsr(
                **_FACES,
                damage="mild",
                steps=3000,
                learning_rate=5e-4,
                schedule="trapezoid",
                warm_up_steps=50,
                fall_steps=1500,
                ema_decay=0.998,
                seed=7,
                start_from=bundled("wdsr-b-32-x4-photo"),
            ),
        ),
        _FROM_PHOTO,
    ),
    "wdsr-b-32-x4-faces-gan": Recipe(
        (
            _gan(bundled("wdsr-b-32-x4-faces"), **_FACES, augment=True, seed=9),
            _gan(BEFORE, **_FACES, augment=True, seed=9, **_AGAINST_GRID),
        ),
    ),
    "wdsr-b-32-x4-gan": Recipe(
        (
            _gan(bundled("wdsr-b-32-x4-photo"), **_PHOTOS, seed=3),
            _gan(BEFORE, **_PHOTOS, seed=3, **_AGAINST_GRID),
        ),
        f"{_FROM_PHOTO}; {_FEW}",
    ),
    **RESTORING,
}
"""File name without its ending → recipe."""
