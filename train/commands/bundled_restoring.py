"""Recipes of the bundled networks that restore; see `train.commands.bundled`."""

import functools

from train.commands.stages import BEFORE, Recipe, bundled, pictures, stage

_BF16 = {"precision": "mixed_bfloat16"}
_FEW = "the last stage was validated on 25 pictures of b100"
_RESTORMER = {
    "dim": 24,
    "unshuffle": 2,
    "num_blocks": [2, 2, 2, 2],
    "num_refinement_blocks": 1,
    "clean": pictures("photos", "bsds300"),
    "valid_clean": pictures("b100"),
}


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


_tuned_by_muon = functools.partial(
    _tuned_to,
    optimizer="muon",
    rotate_every=5,
    learning_rate=8e-4,
    warm_up_steps=100,
    ema_decay=0.998,
    evaluate_every=500,
)
_denoising = functools.partial(
    _tuned_to,
    {"gaussian-noise": 5, "poisson-noise": 0, "salt-and-pepper": 4},
    real=["polyu={pictures}/polyu"],
    rotate_every=5,
    learning_rate=8e-4,
    warm_up_steps=100,
)

_FIRST = _tuned_to(
    {"gaussian-noise": 12, "motion-blur": 12},
    4050,
    None,
    start_from=None,
    schedule="cosine",
    ema_decay=None,
    rotate_every=5,
    evaluate_every=1012,
    seed=1,
)
_deblurring = functools.partial(
    _tuned_to,
    {"motion-blur": 8, "gaussian-blur": 4},
    rotate_every=5,
    warm_up_steps=100,
    ema_decay=0.998,
    evaluate_every=1000,
    seed=41,
)
_FORMER_DEBLURRING = (_FIRST, _deblurring(8500, 3600))
_STOPPED = "the first stage was stopped at step 3,036;"
_FROM_DEBLURRING = (
    f"the first two stages made the former restormer-small-deblur (commit 86b059e): {_STOPPED}"
)

_foundation = functools.partial(
    _tuned_to,
    {"all": 4},
    no_masks=None,
    mask_embedding=True,
    real=["polyu={pictures}/polyu"],
    rotate_every=5,
    learning_rate=8e-4,
    warm_up_steps=100,
    ema_decay=0.998,
    evaluate_every=1000,
)
_sharpening = functools.partial(
    _tuned_by_muon, {"motion-blur": 8, "gaussian-blur": 4}, loss="frequency"
)
_FROM_FOUNDATION = "began with the former restormer-small (commit 6c50c3d);"
_FROM_THIRD = f"began with the restormer-small of commit 99151ba in 32 bits; {_FEW}"

RESTORING = {
    "restormer-small-antialias": Recipe(
        (
            _tuned_by_muon({"aliasing": 8}, 2000, 1200, bundled("restormer-small"), seed=72),
            _tuned_by_muon({"aliasing": 8}, 2500, 1500, loss="psnr", seed=121),
            _tuned_by_muon({"aliasing": 8}, 5000, 3000, loss="psnr", evaluate_every=250, seed=151),
        ),
        f"{_FROM_THIRD}; all but the last stage saw 30 to 100 % of the rows and columns kept; "
        "the last was begun as 2,500 steps and prolonged from the checkpoint before its cool-down",
    ),
    "restormer-small-jpeg": Recipe(
        (
            _tuned_by_muon({"jpeg": 8}, 3000, 1500, bundled("restormer-small"), seed=113),
            _tuned_by_muon({"jpeg": 8}, 2500, 1500, loss="psnr", seed=123),
        ),
        _FROM_THIRD,
    ),
    "restormer-small-deblur": Recipe(
        (
            _FIRST,
            _deblurring(16_000, 4500, loss="frequency"),
            _sharpening(2600, 1600, seed=54),
            _sharpening(2200, 1400, seed=55),
            _sharpening(14_000, 5000, loss="psnr", crop_px=144, batch_size=2, seed=141),
        ),
        f"{_STOPPED} the second as 8,500 steps, prolonged, with the loss on frequencies from step "
        "10,792 on; the third began with the 16-bit file of commit 38a8290, and the three saw blur "
        "of 5 px and sigma 0.8 at least (commit 4c8a1ff); the fourth was stopped at step 1,500; "
        "the last was prolonged from checkpoints before cool-downs at steps 1,300 and 2,300; "
        f"{_FEW}",
    ),
    "restormer-small-denoise": Recipe(
        (
            _denoising(
                2400,
                1300,
                bundled("restormer-small"),
                ema_decay=0.995,
                evaluate_every=600,
                seed=81,
            ),
            _denoising(10_000, 4000, ema_decay=0.998, evaluate_every=1000, seed=91),
            _denoising(
                7500,
                2500,
                optimizer="muon",
                learning_rate=5e-4,
                ema_decay=0.998,
                evaluate_every=1000,
                seed=91,
            ),
            _denoising(
                12_000,
                5000,
                optimizer="muon",
                ema_decay=0.998,
                evaluate_every=1000,
                seed=52,
            ),
            _denoising(
                6500,
                3000,
                valid_mix=["gaussian-noise=8", "salt-and-pepper=4"],
                turns=["gaussian-noise=4"],
                optimizer="muon",
                ema_decay=0.998,
                evaluate_every=1000,
                seed=92,
            ),
            _denoising(
                6300,
                3200,
                valid_mix=["gaussian-noise=8", "salt-and-pepper=4"],
                turns=["gaussian-noise=4"],
                optimizer="muon",
                loss="psnr",
                ema_decay=0.998,
                evaluate_every=1000,
                seed=93,
            ),
            _denoising(
                7500,
                4500,
                crop_px=144,
                batch_size=2,
                valid_mix=["gaussian-noise=8", "salt-and-pepper=4"],
                turns=["gaussian-noise=4"],
                optimizer="muon",
                loss="psnr",
                ema_decay=0.998,
                evaluate_every=500,
                seed=93,
            ),
        ),
        f"{_FROM_FOUNDATION} the second stage was begun as 16,000 steps and shortened at step "
        "2,292; the third was begun at 8e-4, which became 5e-4 at step 437, and prolonged from the "
        "checkpoint before its cool-down; the fourth began with the 16-bit file of commit 38a8290; "
        "the last but one was begun as 2,500 steps and prolonged at step 1,000; the last was begun "
        "as 9,000 steps and shortened at step 1,671; "
        f"{_FEW}",
    ),
    "restormer-small-inpaint": Recipe(
        (
            _tuned_by_muon(
                {"inpainting": 8},
                3600,
                1700,
                bundled("restormer-small"),
                no_masks=None,
                mask_embedding=True,
                learning_rate=5e-4,
                loss="psnr",
                seed=131,
            ),
        ),
        "began with the restormer-small of commit adc65a8 in 32 bits, and was prolonged from the "
        f"checkpoint before a cool-down at step 700; {_FEW}",
    ),
    "restormer-small": Recipe(
        (
            *_FORMER_DEBLURRING,
            _foundation(7000, 2500, seed=61),
            _foundation(1100, 100, optimizer="muon", seed=101),
            _foundation(8500, 5000, optimizer="muon", seed=102),
            _foundation(33_400, 8000, optimizer="muon", loss="psnr", seed=201),
        ),
        f"{_FROM_DEBLURRING} the third was begun as 9,000 steps and shortened at step 3,455; the "
        "fourth had no weight decay; the fifth was begun as 14,000 and shortened at steps 3,506 "
        "and 8,443; the last began with the 16-bit file of commit 8f1fb5a, was prolonged from the "
        "checkpoints before cool-downs at steps 6,000, 12,500 and 19,500, and had L1 up to step "
        "12,100; up to its step 26,945 jagged edges had 30 to 100 % of the rows kept; "
        f"{_FEW}",
    ),
}
"""File name without its ending → recipe."""
