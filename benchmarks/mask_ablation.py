"""What masks are worth for inpainting: several networks, the same steps on the same batches.

A plain Restormer sees the scratched picture only. A mask-aware one also knows where the scratches
are, and sees them as 0 or filled from their surroundings; a learned embedding of damaged pixels is
a further option. All begin with the same weights. Scores are PSNR and SSIM on RGB of whole
pictures, no border cut, real pixels kept as they are, so that only scratches count.

    python benchmarks/mask_ablation.py --clean PHOTOS --valid-clean KODAK24
"""

import argparse
import tempfile

import keras

from data.restoration import RestorationData
from model.restormer import restormer
from train.foundation import METRICS, FoundationTrainer, mean_scores
from train.schedules import cosine

NETWORKS = {
    "plain": {},
    "mask-aware": {"mask_aware": True, "mask_fill": False},
    "mask-aware, embedding": {"mask_aware": True, "mask_fill": False, "mask_embedding": True},
    "mask-aware, filled": {"mask_aware": True},
    "mask-aware, filled, embedding": {"mask_aware": True, "mask_embedding": True},
}


def main(arguments=None):
    """Train each network and print the table."""
    options = parser().parse_args(arguments)
    data = RestorationData(
        options.clean, options.valid_clean, caches_dir=options.caches_dir, seed=options.seed
    )
    train_ds, valid_ds = data.few(
        "inpainting",
        options.train_size,
        options.valid_size,
        crop_px=options.crop_px,
        batch_size=options.batch_size,
    )
    print(row("network", "parameters", "PSNR (dB)", "SSIM"))
    print(row("---", "---:", "---:", "---:"))
    print(row("none", "", *cells(mean_scores(lambda damaged, _: damaged, valid_ds, METRICS))))
    for name in options.networks:
        model = network(options, NETWORKS[name])
        scores = train(model, train_ds, valid_ds, options)
        print(row(name, f"{model.count_params():,}", *cells(scores)), flush=True)


def parser():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--clean", nargs="+", required=True, metavar="DIR", help="to train on")
    parser.add_argument(
        "--valid-clean", nargs="+", required=True, metavar="DIR", help="to score on"
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--caches-dir", default=".caches", help="decoded pictures")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--dim", type=int, default=12)
    parser.add_argument("--num-blocks", nargs=4, type=int, default=[1, 1, 1, 1])
    parser.add_argument("--crop-px", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--train-size", type=int, help="pictures; all by default")
    parser.add_argument("--valid-size", type=int, help="pictures; all by default")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="falls by cosine")
    parser.add_argument("--seed", type=int, default=0, help="of weights, crops and damage")
    return parser


def network(options, masks):
    """Build one of the networks, with the weights the seed gives to all of them."""
    keras.utils.set_random_seed(options.seed)
    blocks = {"num_blocks": options.num_blocks, "num_refinement_blocks": 1}
    return restormer(dim=options.dim, **blocks, **masks)


def train(model, train_ds, valid_ds, options):
    """Train a network and score it: PSNR and SSIM, means of all pictures."""
    rate = cosine(options.learning_rate, 1e-6, options.steps)
    with tempfile.TemporaryDirectory() as folder:
        trainer = FoundationTrainer(model, folder, rate, report=lambda _: None)
        trainer.train(train_ds, None, options.steps, options.steps)
        return trainer.evaluate(valid_ds)


def cells(scores):
    """PSNR and SSIM as text."""
    return f"{scores['psnr_rgb_db']:.2f}", f"{scores['ssim_rgb']:.4f}"


def row(*texts):
    """A line of a Markdown table."""
    return "| " + " | ".join(texts) + " |"


if __name__ == "__main__":
    main()
