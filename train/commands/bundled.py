"""Recipes of the bundled networks: how each file of ``weights/`` was made."""

from train.commands.bundled_restoring import RESTORING
from train.commands.stages import BEFORE, Recipe, bundled, pictures, stage

_BF16 = {"precision": "mixed_bfloat16"}
_PHOTOS = {"hr": pictures("photos", "bsds300"), "valid_hr": pictures("b100")}
_FACES = {"hr": pictures("faces_train"), "valid_hr": pictures("faces_valid")}
_FROM_PHOTO = "the first stage began with the former wdsr-b-32-x4-photo (commit 2e6a66a)"
_FEW = "the last stage was validated on 25 pictures of b100"
_WDSR = {"num_res_blocks": 32, "scale": 4}
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


def _other_scale(scale, start_from, **options):
    """Stage of the network of 32 blocks at another scale than ×4."""
    return stage(
        "wdsr-b",
        **_WDSR
        | {"scale": scale, "hr_crop_px": 24 * scale, "learning_rate": 1e-3}
        | _PHOTOS
        | _BF16
        | options,
        start_from=start_from,
    )


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


RECIPES = {
    "edsr-16-x4": Recipe(
        (
            stage(
                "edsr",
                num_res_blocks=16,
                scale=4,
                **_PHOTOS,
                steps=5000,
                learning_rate=5e-4,
                fall_steps=2500,
                seed=1,
                **_BF16,
            ),
            stage(
                "edsr",
                num_res_blocks=16,
                scale=4,
                **_PHOTOS,
                steps=2500,
                learning_rate=5e-4,
                warm_up_steps=100,
                fall_steps=1050,
                seed=2,
                **_BF16,
                start_from=BEFORE,
            ),
            stage(
                "edsr",
                num_res_blocks=16,
                scale=4,
                **_PHOTOS,
                optimizer="muon",
                steps=4000,
                learning_rate=1e-3,
                warm_up_steps=100,
                fall_steps=2000,
                ema_decay=0.999,
                evaluate_every=1000,
                seed=32,
                **_BF16,
                start_from=BEFORE,
            ),
        ),
        f"the last stage began with the 16-bit file of commit fe2138f; {_FEW}",
    ),
    "wdsr-b-8-x4": Recipe(
        (
            stage(
                "wdsr-b",
                num_res_blocks=8,
                scale=4,
                **_PHOTOS,
                optimizer="muon",
                steps=9000,
                batch_size=16,
                learning_rate=2e-3,
                schedule="trapezoid",
                warm_up_steps=100,
                fall_steps=3000,
                ema_decay=0.999,
                evaluate_every=1000,
                seed=31,
                **_BF16,
            ),
        ),
        "validated on 25 pictures of b100",
    ),
    "wdsr-b-32-x2": Recipe(
        (
            _other_scale(
                2,
                bundled("wdsr-b-32-x4"),
                steps=6000,
                warm_up_steps=100,
                fall_steps=3500,
                ema_decay=0.999,
                evaluate_every=1000,
                seed=26,
            ),
        ),
        _FEW,
    ),
    "wdsr-b-32-x2-photo": Recipe(
        (
            _other_scale(
                2,
                bundled("wdsr-b-32-x2"),
                damage="mild",
                optimizer="muon",
                steps=4000,
                warm_up_steps=100,
                fall_steps=2000,
                ema_decay=0.999,
                evaluate_every=1000,
                seed=35,
            ),
        ),
        _FEW,
    ),
    "wdsr-b-32-x3": Recipe(
        (
            stage(
                "wdsr-b",
                **_WDSR,
                **_PHOTOS,
                optimizer="muon",
                steps=8000,
                learning_rate=2e-3,
                warm_up_steps=100,
                fall_steps=1600,
                ema_decay=0.995,
                evaluate_every=1000,
                seed=5,
                **_BF16,
            ),
            _other_scale(
                3,
                BEFORE,
                optimizer="muon",
                steps=5000,
                warm_up_steps=100,
                fall_steps=2500,
                ema_decay=0.999,
                evaluate_every=1000,
                seed=33,
            ),
        ),
        "both stages were validated on 25 pictures of b100",
    ),
    "wdsr-b-32-x4": Recipe(
        (
            stage(
                "wdsr-b",
                **_WDSR,
                **_PHOTOS,
                steps=9500,
                learning_rate=2e-3,
                fall_steps=3500,
                seed=1,
            ),
            stage(
                "wdsr-b",
                **_WDSR,
                **_PHOTOS,
                steps=3000,
                learning_rate=1e-3,
                warm_up_steps=100,
                fall_steps=2200,
                evaluate_every=750,
                seed=3,
                **_BF16,
                start_from=BEFORE,
            ),
            stage(
                "wdsr-b",
                **_WDSR,
                **_PHOTOS,
                steps=5500,
                learning_rate=1e-3,
                warm_up_steps=100,
                fall_steps=2200,
                **_BF16,
                start_from=BEFORE,
            ),
            stage(
                "wdsr-b",
                **_WDSR,
                **_PHOTOS,
                steps=12000,
                learning_rate=1e-3,
                warm_up_steps=200,
                fall_steps=5500,
                ema_decay=0.999,
                evaluate_every=1000,
                seed=3,
                **_BF16,
                start_from=BEFORE,
            ),
        ),
        "up to step 3,363 windows were drawn in proportion to a picture's area (commit 3ca1514); "
        + _FEW,
    ),
    "wdsr-b-32-x4-photo": Recipe(
        (
            stage(
                "wdsr-b",
                **_WDSR,
                **_PHOTOS,
                damage="mild",
                steps=7500,
                learning_rate=1e-3,
                warm_up_steps=100,
                fall_steps=4000,
                ema_decay=0.999,
                evaluate_every=1000,
                seed=6,
                **_BF16,
                start_from=bundled("wdsr-b-32-x4"),
            ),
            stage(
                "wdsr-b",
                **_WDSR,
                **_PHOTOS,
                damage="mild",
                steps=8000,
                learning_rate=1e-3,
                warm_up_steps=100,
                fall_steps=4000,
                ema_decay=0.999,
                evaluate_every=1000,
                seed=16,
                **_BF16,
                start_from=BEFORE,
            ),
        ),
        "the first stage was begun as 14,000 steps and shortened at step 2,003, the second as "
        f"12,500, shortened at step 2,742; {_FEW}",
    ),
    "wdsr-b-32-x4-faces": Recipe(
        (
            stage(
                "wdsr-b",
                **_WDSR,
                **_FACES,
                damage="mild",
                steps=3000,
                learning_rate=5e-4,
                schedule="trapezoid",
                warm_up_steps=50,
                fall_steps=1500,
                ema_decay=0.998,
                evaluate_every=1000,
                seed=7,
                **_BF16,
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
