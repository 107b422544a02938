"""Portraits made four times smaller and saved as JPEG, enlarged by the commands, drawn and scored.

Each photograph is first resized so that its largest face has `--px` px, then made four times
smaller by MATLAB's bicubic and saved as a JPEG. `upscale` and `faces` choose their networks
themselves. The table has PSNR (RGB) and LPIPS of the drawn part, and, given a judge as of
benchmarks/likeness.py, the likeness of the face.

    python benchmarks/portraits.py PHOTOGRAPH... --px 150 --jpeg 75 --out portraits.jpg
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from likeness import Judge  # beside this file
from PIL import Image

from data.degrade import imresize
from data.pictures.read import read_rgb8
from infer.detect import Mtcnn, confirmed, find
from infer.evaluate import score
from infer.plot import comparison
from weights.load import load_lpips

_SCALE = 4
_PART = (300, 280)  # height, width of what is drawn


def main():
    """Print the table and write the picture."""
    options = _options()
    judge, lpips = options.judge and Judge(options.judge), load_lpips(options.lpips)
    detect, rows, truth, places = confirmed(Mtcnn()), {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "lr")
        small.mkdir()
        for file in map(Path, options.photographs):
            truth[file.stem], places[file.stem] = _prepared(file, detect, options.px)
            lr = imresize(truth[file.stem], 1 / _SCALE)
            Image.fromarray(lr).save(small / f"{file.stem}.jpg", quality=options.jpeg)
        made = {name: _enlarged(name, small, Path(folder, name)) for name in ("upscale", "faces")}
        made["bicubic"] = {f.stem: imresize(read_rgb8(f), _SCALE) for f in small.iterdir()}
    for name, hr in truth.items():
        rows[name, ""] = _row(name, hr, places[name], made, lpips, judge)
    comparison(rows, width_px=_PART[1]).savefig(
        options.out, dpi=72, pil_kwargs={"quality": options.quality}
    )


def _prepared(file, detect, px):
    """A photograph whose largest face has `px` px, and that face as (left, top, width, height)."""
    picture = read_rgb8(file)
    faces = find(detect, picture)
    if not faces:
        raise SystemExit(f"{file} has no face that is found")
    face = max(faces, key=lambda face: face.width)
    factor = min(1.0, px / max(face.width, face.height))
    height, width = (round(n * factor) // _SCALE * _SCALE for n in picture.shape[:2])
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return resized, [factor * n for n in (face.left, face.top, face.width, face.height)]


def _enlarged(command, pictures, out):
    """Run a command on a folder; dict from stem to (H, W, 3) uint8."""
    words = [sys.executable, "-m", "infer", command, str(pictures), "-o", str(out)]
    subprocess.run(words, check=True)
    return {f.name.partition(".")[0]: read_rgb8(f) for f in out.glob("*.*g")}


def _row(name, hr, face, made, lpips, judge):
    """Print a row of the table; the row of the picture."""
    window, box = _window(face, hr.shape, _PART), _window(face, hr.shape, None)
    parts = {}
    for method in ("bicubic", "upscale", "faces"):
        picture = made[method][name]
        scores = score(picture[window], hr[window], _SCALE, lpips)
        cells = [f"{scores['psnr_rgb_db']:.2f}", f"{scores['lpips']:.3f}"]
        if judge:
            cells.append(f"{judge(hr[box], picture[box]):.3f}")
        print(f"| {name} | {method} | {' | '.join(cells)} |", flush=True)
        parts[method, f"{scores['psnr_rgb_db']:.1f} dB"] = picture[window]
    return parts | {("original", ""): hr[window]}


def _window(face, shape, size):
    """Slices about a face, of a size or of the face with a quarter more on each side."""
    middle = (face[1] + face[3] / 2, face[0] + face[2] / 2)
    size = size or [round(1.5 * side) for side in (face[3], face[2])]
    window = []
    for at, length, whole in zip(middle, size, shape[:2], strict=True):
        start = int(np.clip(round(at - length / 2), 0, max(0, whole - length)))
        window.append(slice(start, start + length))
    return tuple(window)


def _options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photographs", nargs="+")
    parser.add_argument("--px", type=int, default=150, help="longer side of a face in HR")
    parser.add_argument("--jpeg", type=int, default=75, help="quality of LR")
    parser.add_argument("--judge", metavar="faceres.json")
    parser.add_argument("--lpips", default="lpips-squeeze", metavar="NAME_OR_FILE")
    parser.add_argument("--quality", type=int, default=85, help="of the picture written")
    parser.add_argument("--out", default="portraits.jpg")
    return parser.parse_args()


if __name__ == "__main__":
    main()
