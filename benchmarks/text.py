"""How well text is read after enlarging: character error rates of bicubic, networks and fusion.

Text is drawn with fonts, words and photographs of your choice, which no training should have seen,
made four times smaller and damaged as in training (`data.damage`), and enlarged by each method.
PP-OCRv4 reads each line at its known place; with ``--tesseract`` so does Tesseract, with which no
network was trained (`apt install tesseract-ocr`, `pip install pytesseract`). A column a method;
below, PSNR in dB on RGB of the lines' rectangles. With ``--photographs DIR…`` the text is that of
pictures in which PP-OCRv4 reads lines with a confidence of at least 0.9; what it reads there is
taken as the truth. The excess is the error rate above HR's;
the last column is fusion's as a share of the general network's.

    python benchmarks/text.py --backgrounds KODAK24 --fonts DIR --words FILE \\
        --general wdsr-b-32-x4-photo --text text.weights.h5
"""

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data.batches import step_generator
from data.damage import load_damage
from data.degrade import imresize
from data.pictures.folder import picture_files
from data.pictures.read import load_image, rgb8
from data.rendered_text import Line, RenderedText
from infer.fusion import Fusion
from infer.text import Text, character_error_rate, levelled, specialist
from infer.upscaler import Upscaler
from model.layers import fold_weight_norm
from weights.load import load_model

_SIZES = ((20, 28), (28, 40), (40, 72))  # heights of lines, HR px
_SURE = 0.9
_TESSERACT_PX = 48  # lower lines are enlarged to it


def main():
    """Print the tables."""
    options = _options()
    general, special = (
        Upscaler(fold_weight_norm(load_model(name))) for name in (options.general, options.text)
    )
    fusion = Fusion(general, [specialist(special)])
    methods = {
        "bicubic": lambda lr: imresize(lr, 4),
        "general": general,
        "specialist": special,
        "fusion": lambda lr: fusion(lr).pixels,
    }
    reader = Text()
    source = _photographed(options, reader) if options.photographs else _drawn(options)
    readers = {"PP-OCRv4": reader.read} | ({"Tesseract": _tesseract} if options.tesseract else {})
    scores = {judge: defaultdict(lambda: defaultdict(list)) for judge in readers}
    damage = load_damage(None if options.damage == "none" else options.damage)
    for number, (hr, lines) in enumerate(tqdm(source)):
        lr = imresize(hr, 1 / 4)
        if damage:
            lr = damage(lr, hr, step_generator(options.seed, number, 1))
        made = {name: method(lr) for name, method in methods.items()} | {"HR": hr}
        if options.out and number < 8:
            _write(Path(options.out), number, lr, made)
        for line in lines:
            height = np.linalg.norm(line.corners[3] - line.corners[0])
            for name, picture in made.items():
                psnr_db = _psnr(picture, hr, line)
                for judge, read in readers.items():
                    entry = line.text, read(picture, line.corners), psnr_db
                    scores[judge][_size(height)][name].append(entry)
    for judge, by_size in scores.items():
        print(judge)
        _tables(by_size)


def _drawn(options):
    """Pictures with text drawn on photographs, each with its lines."""
    words = Path(options.words).read_text().split()
    words = [word for word in words if word.isascii() and word.isalpha() and 2 < len(word) < 13]
    source = RenderedText(
        options.backgrounds, options.fonts, words, seed=options.seed, side_px=384, count=1
    )
    return (source.drawn(number) for number in range(options.pictures))


def _photographed(options, reader):
    """Pictures in which text is read without doubt, each with its lines."""
    for file in picture_files(*options.photographs):
        hr = rgb8(load_image(file))
        hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4]
        sure = [box.corners() for box in reader.find(hr) if box.confidence >= _SURE]
        lines = [Line(reader.read(hr, corners), corners) for corners in sure]
        if lines:
            yield hr, lines


def _tables(by_size):
    everything = defaultdict(list)
    for size in sorted(by_size):
        _table(f"{size} px", by_size[size])
        for name, entries in by_size[size].items():
            everything[name] += entries
    _table("all", everything)


def _options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backgrounds", help="pictures to draw on")
    parser.add_argument("--fonts", nargs="+")
    parser.add_argument("--words", help="text file of words")
    parser.add_argument("--photographs", nargs="+", metavar="DIR", help="in place of drawn text")
    parser.add_argument("--general", default="wdsr-b-32-x4-photo")
    parser.add_argument("--text", required=True)
    parser.add_argument("--damage", default="mild", help="mild, strong, none or a file")
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--tesseract", action="store_true", help="a second judge")
    parser.add_argument("--out", help="folder for the first pictures")
    return parser.parse_args()


def _tesseract(picture, corners):
    import pytesseract

    line = levelled(picture, corners)
    factor = max(1, _TESSERACT_PX / line.shape[0])
    line = cv2.resize(line, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return pytesseract.image_to_string(line, config="--psm 7").strip()  # 7: one line


def _size(height):
    return next((f"{a}-{b}" for a, b in _SIZES if height < b), "72 and more")


def _psnr(picture, hr, line):
    inside = np.zeros(hr.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(line.corners).astype(int)], 1)
    difference = (picture.astype(float) - hr)[inside > 0]
    return 10 * np.log10(255**2 / max(np.square(difference).mean(), 1e-6))


def _table(title, scores):
    rates = {
        name: character_error_rate(*zip(*(e[:2] for e in s), strict=True))
        for name, s in scores.items()
    }
    excess = [rates[name] - rates["HR"] for name in ("general", "fusion")]
    share = f"{excess[1] / excess[0]:.2f}" if excess[0] > 0 else "-"
    print(f"{title:12}" + "".join(f"{name:>12}" for name in rates) + f"{'excess':>12}")
    print(
        f"{len(scores['HR']):5} lines " + "".join(f"{100 * r:10.1f} %" for r in rates.values()),
        share,
    )
    psnr = (np.mean([e[2] for e in s]) for name, s in scores.items() if name != "HR")
    print(f"{'':12}" + "".join(f"{value:12.2f}" for value in psnr))


def _write(folder, number, lr, made):
    folder.mkdir(parents=True, exist_ok=True)
    large = cv2.resize(lr, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    sheet = np.concatenate([large, *made.values()], axis=1)
    cv2.imwrite(str(folder / f"{number}.png"), sheet[..., ::-1])


if __name__ == "__main__":
    main()
