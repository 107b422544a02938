"""Recipes of the bundled networks: how each file of ``weights/`` was made."""

from train.commands.stages import BEFORE, Recipe, bundled, pictures, stage

_BF16 = {"precision": "mixed_bfloat16"}
_PHOTOS = {"hr": pictures("photos", "bsds300"), "valid_hr": pictures("b100")}
_FACES = {"hr": pictures("faces_train"), "valid_hr": pictures("faces_valid")}
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


def _tuned_to(kind, steps, fall_steps, remark=""):
    """The foundation network fine-tuned to one kind of damage, without masks."""
    return Recipe(
        (
            stage(
                "foundation",
                **_RESTORMER,
                no_masks=True,
                mix=[f"{kind}=445"],
                valid_mix=[f"{kind}=5"],
                crop_px=96,
                batch_size=4,
                steps=steps,
                learning_rate=1e-3,
                schedule="trapezoid",
                warm_up_steps=50,
                fall_steps=fall_steps,
                ema_decay=0.99,
                evaluate_every=300,
                seed=21,
                **_BF16,
                start_from=bundled("restormer-small"),
            ),
        ),
        remark,
    )


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
        ),
        "up to step 3,363 windows were drawn in proportion to a picture's area (commit 3ca1514)",
    ),
    "wdsr-b-32-x4-photo": Recipe(
        (
            stage(
                "wdsr-b",
                **_WDSR,
                **_PHOTOS,
                damage="mild",
                steps=6000,
                learning_rate=1e-3,
                warm_up_steps=100,
                fall_steps=3500,
                ema_decay=0.999,
                evaluate_every=1000,
                seed=5,
                **_BF16,
                start_from=bundled("wdsr-b-32-x4"),
            ),
        ),
        "begun as 9,000 steps and shortened at step 1,423; validated on 25 pictures of b100",
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
    "restormer-small-antialias": _tuned_to("aliasing", 1200, 700),
    "restormer-small-jpeg": _tuned_to(
        "jpeg", 800, 340, "begun as 1,200 steps and shortened at step 525"
    ),
    "restormer-small-deblur": Recipe(
        (
            stage(
                "foundation",
                **_TUNED,
                no_masks=True,
                mix=["motion-blur=445"],
                valid_mix=["motion-blur=6"],
                steps=1600,
                learning_rate=1e-3,
                evaluate_every=400,
            ),
        ),
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
        ),
    ),
    "restormer-small-inpaint": Recipe(
        (
            stage(
                "foundation",
                **_TUNED,
                mix=["inpainting=445"],
                valid_mix=["inpainting=6"],
                steps=450,
                learning_rate=5e-4,
                evaluate_every=225,
            ),
        ),
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
