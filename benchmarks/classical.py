"""What filters without learning achieve on each kind of damage, beside a network: one table.

Each method may try several strengths and shows the best of them on these very pictures, is told
the sigma of the noise, and Richardson–Lucy the true kernel of the blur: an upper bound of what it
does in practice. Networks are told nothing but masks. PSNR in dB on RGB of 8-bit pictures, no
border cut, mean over pictures; where there is a mask, real pixels are kept. The damage is that of
`data.tasks` at a fixed strength, the same for all methods.

    python benchmarks/classical.py --clean KODAK24 --networks restormer-small

Needs ``pip install bm3d PyWavelets`` for BM3D and wavelets, which are left out without them.
"""

import argparse
import functools
import importlib.util
from dataclasses import dataclass

import cv2
import numpy as np
from skimage import restoration
from tqdm import tqdm

from data.degrade import gaussian_kernel, motion_kernel, to_uint8
from data.pictures.folder import picture_files
from data.pictures.read import read_rgb8
from data.tasks import TASKS, damage


@dataclass
class Damaged:
    """One damaged picture: uint8, its mask, and what methods may be told."""

    clean: np.ndarray
    picture: np.ndarray
    valid: np.ndarray
    strength: float
    kernel: np.ndarray | None

    @property
    def unit(self):
        """The picture in 0..1."""
        return self.picture / 255


def bm3d_rgb(damaged, factor):
    """BM3D in the opponent colour space."""
    import bm3d

    return 255 * bm3d.bm3d_rgb(damaged.unit, factor * sigma_of(damaged) / 255)


def non_local_means(damaged, factor):
    """Non-local means of OpenCV, luminance and colour apart."""
    h = factor * sigma_of(damaged)
    return cv2.fastNlMeansDenoisingColored(damaged.picture, None, h, h, 7, 21)


def total_variation(damaged, weight):
    """Total variation by Chambolle's projection."""
    return 255 * restoration.denoise_tv_chambolle(damaged.unit, weight, channel_axis=-1)


def wavelets(damaged, factor):
    """Soft thresholds of wavelet coefficients (BayesShrink) in YCbCr."""
    return 255 * restoration.denoise_wavelet(
        damaged.unit,
        factor * sigma_of(damaged) / 255,
        convert2ycbcr=True,
        rescale_sigma=True,
        channel_axis=-1,
    )


def sigma_of(damaged):
    """Standard deviation of what was added, in grey levels."""
    return np.std(damaged.picture.astype(float) - damaged.clean)


def median(damaged, size):
    """Median of a square, channel by channel."""
    return cv2.medianBlur(damaged.picture, size)


def switching_median(damaged, size):
    """Median of the sound values around, only where a value is 0 or 255."""
    picture = damaged.picture.astype(float)
    sound = (damaged.picture != 0) & (damaged.picture != 255)
    margin = size // 2
    padded = np.pad(np.where(sound, picture, np.nan), [(margin, margin)] * 2 + [(0, 0)], "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))
    empty = np.isnan(windows).all(axis=(-2, -1))
    values = np.nanmedian(np.where(empty[..., None, None], 0, windows), axis=(-2, -1))
    return np.where(sound | empty, picture, values)


def richardson_lucy(damaged, turns):
    """Richardson–Lucy that is told the kernel; the border is mirrored."""
    margin = max(damaged.kernel.shape)
    padded = np.pad(damaged.unit, [(margin, margin)] * 2 + [(0, 0)], "reflect")
    channels = [
        restoration.richardson_lucy(np.maximum(padded[..., i], 1e-6), damaged.kernel, turns)
        for i in range(3)
    ]
    return 255 * np.stack(channels, 2)[margin:-margin, margin:-margin]


def wiener(damaged, balance):
    """Wiener's filter that is told the kernel; the border is mirrored."""
    margin = max(damaged.kernel.shape)
    padded = np.pad(damaged.unit, [(margin, margin)] * 2 + [(0, 0)], "reflect")
    channels = [restoration.wiener(padded[..., i], damaged.kernel, balance) for i in range(3)]
    return 255 * np.stack(channels, 2)[margin:-margin, margin:-margin]


def gaussian(damaged, sigma_px):
    """A Gaussian blur."""
    return cv2.GaussianBlur(damaged.picture.astype(np.float32), (0, 0), sigma_px)


def bilateral(damaged, sigma):
    """A bilateral filter."""
    return cv2.bilateralFilter(damaged.picture, 7, sigma, 2)


def biharmonic(damaged, _):
    """Biharmonic filling."""
    hole = damaged.valid[..., 0] == 0
    return 255 * restoration.inpaint_biharmonic(
        damaged.unit, hole, split_into_regions=True, channel_axis=-1
    )


def opencv_filling(damaged, method):
    """Navier–Stokes or Telea's filling of OpenCV."""
    return cv2.inpaint(damaged.picture, 1 - damaged.valid, 3, method)


DENOISERS = {
    "BM3D": (bm3d_rgb, (1.0,)),
    "non-local means": (non_local_means, (0.4, 0.7, 1.0)),
    "total variation": (total_variation, (0.02, 0.05, 0.1, 0.15, 0.25)),
    "wavelets": (wavelets, (0.35, 0.6, 1.0)),
}
DEBLURRERS = {
    "Richardson–Lucy, true kernel": (richardson_lucy, (5, 10, 20, 40, 80)),
    "Wiener, true kernel": (wiener, (1e-4, 1e-3, 1e-2, 1e-1)),
}
FILTERS = {
    "gaussian-noise": DENOISERS,
    "poisson-noise": DENOISERS,
    "salt-and-pepper": {
        "median": (median, (3, 5)),
        "switching median": (switching_median, (3, 5)),
    },
    "motion-blur": DEBLURRERS,
    "gaussian-blur": DEBLURRERS,
    "aliasing": {
        "Gaussian": (gaussian, (0.6, 1.0, 1.4, 1.8)),
        "total variation": (total_variation, (0.05, 0.1, 0.2, 0.3)),
        "non-local means": (non_local_means, (0.3, 0.6)),
    },
    "inpainting": {
        "biharmonic": (biharmonic, (0,)),
        "Navier–Stokes": (opencv_filling, (cv2.INPAINT_NS,)),
        "Telea": (opencv_filling, (cv2.INPAINT_TELEA,)),
    },
    "jpeg": {
        "Gaussian": (gaussian, (0.3, 0.5, 0.7)),
        "bilateral": (bilateral, (10, 20, 30)),
        "non-local means": (non_local_means, (0.3, 0.6, 0.9)),
        "total variation": (total_variation, (0.01, 0.02, 0.04)),
        "wavelets": (wavelets, (0.2, 0.4)),
    },
}
"""Task → name of a method → its function, and the strengths it may try."""

KINDS = {
    "noise, sigma 15": ("gaussian-noise", 15),
    "noise, sigma 25": ("gaussian-noise", 25),
    "noise, sigma 50": ("gaussian-noise", 50),
    "salt and pepper 5 %": ("salt-and-pepper", 0.05),
    "shot noise, 30 photons": ("poisson-noise", 30),
    "motion blur 15 px": ("motion-blur", 15),
    "Gaussian blur 2 px": ("gaussian-blur", 2),
    "jagged edges 0.3": ("aliasing", 0.3),
    "scratches": ("inpainting", TASKS["inpainting"].usual),
    "JPEG quality 40": ("jpeg", 40),
}
"""Name of a row → task and strength."""

NEEDED = {"BM3D": "bm3d", "wavelets": "pywt"}


def main(arguments=None):
    """Print the table."""
    options = parser().parse_args(arguments)
    networks = {name: load(name, options.self_ensemble) for name in options.networks}
    print(f"{options.count} pictures of {options.clean}, {options.crop_px or 'all'} px a side")
    print(row("damage", "input", "best without learning", "", *networks))
    print(row("---", *["---:", "---", "---:"], *["---:"] * len(networks)))
    for kind in options.kinds:
        task, strength = KINDS[kind]
        pictures = [damaged_picture(options, i, task, strength) for i in range(options.count)]
        scores = {name: methods_score(task, name, pictures) for name in methods_of(task)}
        best = max(scores, key=scores.get)
        print(
            row(
                kind,
                f"{score(lambda damaged: damaged.picture, pictures):.2f}",
                best,
                f"{scores[best]:.2f}",
                *(f"{score(network, pictures):.2f}" for network in networks.values()),
            ),
            flush=True,
        )
        if options.all:
            for name, value in scores.items():
                print(row("", "", name, f"{value:.2f}", *[""] * len(networks)))


def parser():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--clean", required=True, metavar="DIR", help="clean pictures")
    parser.add_argument("--networks", nargs="*", default=["restormer-small"], metavar="NAME")
    parser.add_argument("--self-ensemble", action="store_true", help="see `infer restore`")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--count", type=int, default=4, help="pictures (default 4)")
    parser.add_argument(
        "--crop-px", type=int, default=256, help="middle of each (default 256; 0: whole)"
    )
    parser.add_argument("--all", action="store_true", help="also show methods that are not best")
    parser.add_argument("--seed", type=int, default=0, help="of the damage")
    return parser


def load(name, self_ensemble=False):
    """A network as a function of a `Damaged` picture."""
    from model.restoration import restored
    from weights.load import load_model

    model = load_model(name)

    def run(damaged):
        pair = damaged.picture[None], damaged.valid[None]
        return restored(model, *pair, self_ensemble=self_ensemble)[0].numpy()

    return run


@functools.cache
def files_of(directory):
    """Picture files of a folder."""
    return picture_files(directory)


def damaged_picture(options, number, task, strength):
    """Damage the middle of a picture of the folder, always in the same way."""
    clean = read_rgb8(files_of(options.clean)[number])
    if options.crop_px:
        top, left = ((n - options.crop_px) // 2 for n in clean.shape[:2])
        clean = clean[max(top, 0) :, max(left, 0) :][: options.crop_px, : options.crop_px]
    random, twin = (np.random.default_rng([options.seed, number]) for _ in range(2))
    picture, valid = damage(task, clean, random, strength)
    kernel = None
    if task == "motion-blur":
        kernel = motion_kernel(strength, twin.uniform(0, 180))  # the first that the task draws
    elif task == "gaussian-blur":
        kernel = gaussian_kernel(6 * strength + 1, strength)
    return Damaged(clean, picture, valid, strength, kernel)


def methods_of(task):
    """Names of the methods of a task whose packages are here."""
    return [
        name
        for name in FILTERS[task]
        if name not in NEEDED or importlib.util.find_spec(NEEDED[name])
    ]


def methods_score(task, name, pictures):
    """PSNR of a method at the best of its strengths."""
    method, strengths = FILTERS[task][name]
    turns = tqdm(strengths, desc=f"{task}, {name}", leave=False)
    return max(score(functools.partial(call, method, s), pictures) for s in turns)


def call(method, strength, damaged):
    """Run a method with one strength."""
    return method(damaged, strength)


def score(method, pictures):
    """Mean PSNR of a function of `Damaged` pictures; real pixels beside a hole are kept."""
    values = []
    for damaged in pictures:
        result = to_uint8(method(damaged))
        if not damaged.valid.all():
            result = np.where(damaged.valid, damaged.picture, result)
        error = np.mean((result.astype(float) - damaged.clean) ** 2)
        values.append(10 * np.log10(255**2 / error))
    return float(np.mean(values))


def row(*cells):
    """A row of a table."""
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
