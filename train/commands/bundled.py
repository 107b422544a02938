"""Recipes of the bundled networks: how each file of ``weights/`` was made."""

import functools

from train.commands.stages import BEFORE, Recipe, bundled, pictures, stage

_BF16 = {"precision": "mixed_bfloat16"}
_PHOTOS = {"hr": pictures("photos", "bsds300"), "valid_hr": pictures("b100")}
_FACES = {"hr": pictures("faces_train"), "valid_hr": pictures("faces_valid")}
_FEW = "the last stage was validated on 25 pictures of b100"
_WDSR = {"num_res_blocks": 32, "scale": 4}
_GAN = {
    "discriminator_filters": 32,
    "lpips": "lpips-squeeze",
    "pixel_weight": 1,
    **_BF16,
    "learning_rate": 2e-4,
    "warm_up_steps": 50,
    "ema_decay": 0.99,
    "seed": 1,
}
_RESTORMER = {
    "dim": 16,
    "num_blocks": [2, 2, 2, 2],
    "num_refinement_blocks": 1,
    "clean": pictures("photos", "bsds300"),
    "valid_clean": pictures("b100"),
}
_ALL_KINDS = {
    "mix": ["all=445"],
    "valid_mix": ["all=3"],
    "real": ["polyu={pictures}/polyu"],
    "px_factor": 0.375,
    "batch_factor": 0.1875,
}
_TUNED = {
    **_RESTORMER,
    "rotate_every": 5,
    "px_factor": 0.5,
    "batch_factor": 0.125,
    "warm_up_steps": 50,
    "start_from": bundled("restormer-small"),
    "seed": 1,
}


def _wdsr_of_another_scale(scale):
    shared = {
        **_WDSR,
        **_PHOTOS,
        "scale": scale,
        "hr_crop_px": 24 * scale,
        "learning_rate": 1e-3,
        **_BF16,
    }
    return Recipe(
        (
            stage(
                "wdsr-b",
                **shared,
                steps=900,
                warm_up_steps=100,
                fall_steps=700,
                evaluate_every=450,
                seed=1,
                start_from=bundled("wdsr-b-32-x4"),
            ),
            stage(
                "wdsr-b",
                **shared,
                steps=1500,
                warm_up_steps=50,
                fall_steps=1100,
                evaluate_every=1500,
                seed=2,
                start_from=BEFORE,
            ),
        ),
    )


def _tuned_to(kinds, steps, fall_steps, start_from=BEFORE, **options):
    """Stage that tunes a network without masks to kinds of damage.

    Args:
        kinds: Kind of damage → pictures that it is validated on; 0: none.
        steps: Steps of the stage.
        fall_steps: Those with a falling learning rate.
        start_from: What it begins with; None: nothing.
        **options: Other options than the usual ones; None: not that option.
    """
    usual = {
        **_RESTORMER,
        "no_masks": True,
        "mix": [f"{kind}=445" for kind in kinds],
        "valid_mix": [f"{kind}={number}" for kind, number in kinds.items() if number],
        "crop_px": 96,
        "batch_size": 4,
        "steps": steps,
        "learning_rate": 1e-3,
        "schedule": "trapezoid",
        "warm_up_steps": 50,
        "fall_steps": fall_steps,
        "ema_decay": 0.995,
        "evaluate_every": 400,
        "seed": 34,
        **_BF16,
        "start_from": start_from,
    }
    given = {name: value for name, value in (usual | options).items() if value is not None}
    return stage("foundation", **given)


_at_half_size = functools.partial(_tuned_to, dim=24, unshuffle=2)
_inpainting = functools.partial(
    _at_half_size, {"inpainting": 8}, 1600, 900, no_masks=None, mask_embedding=True
)

_FIRST_TUNING = {
    "start_from": bundled("restormer-small"),
    "ema_decay": 0.99,
    "evaluate_every": 300,
    "seed": 21,
}

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
        ),
    ),
    "wdsr-b-32-x2": _wdsr_of_another_scale(2),
    "wdsr-b-32-x3": _wdsr_of_another_scale(3),
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
        ),
        f"begun as 14,000 steps and shortened at step 2,003; {_FEW}",
    ),
    "wdsr-b-32-x4-faces": Recipe(
        (
            stage(
                "wdsr-b",
                **_WDSR,
                **_FACES,
                steps=1000,
                learning_rate=5e-4,
                warm_up_steps=50,
                fall_steps=800,
                evaluate_every=500,
                seed=1,
                **_BF16,
                start_from=bundled("wdsr-b-32-x4"),
            ),
        ),
    ),
    "wdsr-b-32-x4-faces-gan": Recipe(
        (
            stage(
                "esrgan",
                faces=True,
                **_FACES,
                generator=bundled("wdsr-b-32-x4-faces"),
                hr_crop_px=64,
                batch_size=16,
                **_GAN,
                steps=1000,
                fall_steps=500,
                evaluate_every=250,
            ),
        ),
    ),
    "wdsr-b-32-x4-gan": Recipe(
        (
            stage(
                "esrgan",
                **_PHOTOS,
                generator=bundled("wdsr-b-32-x4"),
                hr_crop_px=96,
                batch_size=8,
                **_GAN,
                steps=1400,
                fall_steps=700,
                evaluate_every=350,
                interpolate=0.8,
            ),
        ),
    ),
    "wdsr-b-32-x4-photo-gan": Recipe(
        (
            stage(
                "esrgan",
                **_PHOTOS,
                damage="mild",
                generator=bundled("wdsr-b-32-x4-photo"),
                hr_crop_px=96,
                batch_size=8,
                **_GAN | {"ema_decay": 0.998, "seed": 3},
                discriminator="unet",
                adversarial_weight=0.01,
                alone_steps=200,
                ramp_steps=1000,
                steps=3000,
                fall_steps=1200,
                evaluate_every=500,
            ),
        ),
        _FEW,
    ),
    "restormer-small-antialias": Recipe(
        (_tuned_to({"aliasing": 5}, 1200, 700, **_FIRST_TUNING),), _FEW
    ),
    "restormer-small-jpeg": Recipe(
        (
            _tuned_to({"jpeg": 5}, 800, 340, **_FIRST_TUNING),
            _tuned_to({"jpeg": 5}, 1400, 800, learning_rate=8e-4, seed=33),
        ),
        f"the first stage was begun as 1,200 steps and shortened at step 525; {_FEW}",
    ),
    "restormer-small-deblur": Recipe(
        (
            _at_half_size(
                {"gaussian-noise": 12, "motion-blur": 12},
                4050,
                None,
                start_from=None,
                schedule="cosine",
                ema_decay=None,
                rotate_every=5,
                evaluate_every=1012,
                seed=1,
            ),
            _at_half_size(
                {"motion-blur": 8, "gaussian-blur": 4},
                8500,
                3600,
                start_from=BEFORE,
                rotate_every=5,
                warm_up_steps=100,
                ema_decay=0.998,
                evaluate_every=1000,
                seed=41,
            ),
        ),
        "the first stage was stopped at step 3,036, and the second begun as 10,000 steps and "
        f"shortened at step 4,491; {_FEW}",
    ),
    "restormer-small-denoise": Recipe(
        (
            stage(
                "foundation",
                **_TUNED,
                no_masks=True,
                mix=["gaussian-noise=445", "poisson-noise=445", "salt-and-pepper=445"],
                real=["polyu={pictures}/polyu"],
                valid_mix=["gaussian-noise=4", "salt-and-pepper=4"],
                steps=400,
                learning_rate=5e-4,
                evaluate_every=200,
            ),
            _tuned_to(
                {"gaussian-noise": 3, "poisson-noise": 0, "salt-and-pepper": 2},
                1300,
                800,
                real=["polyu={pictures}/polyu"],
                rotate_every=5,
                learning_rate=8e-4,
            ),
        ),
        _FEW,
    ),
    "restormer-small-inpaint": Recipe(
        (
            _inpainting(start_from=bundled("restormer-small-deblur"), seed=51),
            _inpainting(learning_rate=8e-4, seed=53),
        ),
        "the first stage was stopped at step 1,269; it counted real pixels too (commit f067549), "
        f"and stood still; {_FEW}",
    ),
    "restormer-small": Recipe(
        (
            stage(
                "foundation",
                **_RESTORMER,
                **_ALL_KINDS,
                steps=4000,
                rotate_every=25,
                learning_rate=1e-3,
                seed=1,
            ),
            stage(
                "foundation",
                **_RESTORMER,
                **_ALL_KINDS,
                steps=900,
                rotate_every=5,
                learning_rate=3e-4,
                seed=2,
                start_from=BEFORE,
            ),
        ),
        "the first stage ended at step 3,320 and saw damaged pixels as 0 (commit d23899c)",
    ),
}
"""File name without its ending → recipe."""
