"""``python -m infer weaknesses``: on which classes of things a network is worse than elsewhere."""

import dataclasses
import functools
import heapq
import json
from collections import defaultdict
from pathlib import Path

from infer.commands.options import add_model, add_tile, load_enlarging

HELP = "Show on which classes of things a network is weak, and deserves a specialist."
EXAMPLE = "weaknesses --model wdsr-b-32-x4 --hr photos --regions faces --crops worst"

_CROPS = 3  # of each class


def add_options(parser):
    """Add the options of ``weaknesses``."""
    add_model(parser, "wdsr-b-32-x4")
    parser.add_argument("--hr", required=True, metavar="DIR", help="folder of true pictures")
    parser.add_argument(
        "--lr",
        metavar="DIR",
        help="folder of their low-resolution pictures (default: made of --hr by MATLAB's bicubic)",
    )
    parser.add_argument(
        "--regions",
        required=True,
        metavar="FILE|DIR|faces|text",
        help="what is where in the true pictures: boxes in a JSON file in COCO's layout or an XML "
        "file in dlib's, a folder of label masks (PNG, grey value = class, 0 = none), or faces or "
        "text (extra `text`), to look for them",
    )
    parser.add_argument(
        "--lpips",
        metavar="NAME_OR_FILE",
        help="weights of LPIPS, to measure it on regions of 64 px and more too",
    )
    parser.add_argument(
        "--crops",
        metavar="DIR",
        help=f"write the {_CROPS} worst regions of each class: bicubic, the network, the truth",
    )
    parser.add_argument("--json", metavar="FILE", help="also write all regions as JSON")
    add_tile(parser)


def run(options):
    """Measure and print; returns the exit status."""
    regions_of = _regions(options.regions)
    model = load_enlarging(options.model)
    from data.degrade import imresize
    from infer import evaluate, weaknesses
    from infer.upscaler import Upscaler
    from weights.load import load_lpips

    network, lpips = Upscaler(model), load_lpips(options.lpips)
    scale, found, left_out, worst = network.reach.scale, [], 0, defaultdict(list)
    for pair in evaluate.pairs(options.hr, options.lr, scale, lambda hr: imresize(hr, 1 / scale)):
        regions = regions_of(pair.name, pair.hr)
        if not regions:
            continue
        sr = network(pair.lr, tile=options.tile, overlap_px=options.overlap_px)
        new, missed = weaknesses.findings(pair.name, sr, pair.hr, regions, lpips)
        found, left_out = found + new, left_out + missed
        if options.crops:
            _keep_worst(worst, new, (imresize(pair.lr, scale), sr, pair.hr))
    if not found:
        raise ValueError(
            f"no region to measure in the pictures of {options.hr}; {left_out} are smaller than "
            f"{weaknesses.LEAST_PX} px or have nothing of their contrast beside them"
        )
    rows = weaknesses.summary(found)
    _tell(rows, left_out, scale)
    _write(options, rows, found, worst)


def _regions(place):
    from infer.detect import LEAST_CONFIDENCE, Mtcnn, confirmed, find
    from infer.regions import detected, read_regions
    from infer.weaknesses import LEAST_PX

    if place == "faces":
        detector, least = confirmed(Mtcnn()), LEAST_CONFIDENCE
    elif place == "text":
        from infer.text import MASKS, Text

        detector, least = Text().find, MASKS.least_confidence
    else:
        return read_regions(place)
    limits = {"least_confidence": least, "least_px": LEAST_PX}
    return detected(functools.partial(find, detector, **limits), place)


def _keep_worst(worst, found, pictures):
    """Keep crops of the regions of each class that are worst beside their windows."""
    import numpy as np

    for one in found:
        y0, y1, x0, x1 = one.place
        crop = np.concatenate([picture[y0:y1, x0:x1] for picture in pictures], axis=1)
        entry = (one.psnr_db[1] - one.psnr_db[0], one.picture, one.place, crop)
        kept = worst[one.label]
        heapq.heappush(kept, entry)
        if len(kept) > _CROPS:
            heapq.heappop(kept)


def _tell(rows, left_out, scale):
    from infer.weaknesses import LEAST_PX, lines

    print(
        f"8-bit RGB, ×{scale}. Elsewhere: three windows of the region's shape and local contrast "
        "in the same picture, in no region; worse: by PSNR.",
        *lines(rows),
        sep="\n",
    )
    if left_out:
        print(
            f"{left_out} regions left out: smaller than {LEAST_PX} px, or nothing of their "
            "contrast beside them"
        )


def _write(options, rows, found, worst):
    from data.pictures.whole_file import whole_file
    from data.pictures.write import save_image

    for label, kept in worst.items():
        for number, (*_, crop) in enumerate(sorted(kept, key=lambda e: -e[0]), 1):
            safe = "".join(c if c.isalnum() else "-" for c in label)
            Path(options.crops).mkdir(parents=True, exist_ok=True)
            save_image(Path(options.crops, f"{safe}-{number}.png"), crop)
    if options.json:
        content = {"classes": rows, "regions": [dataclasses.asdict(one) for one in found]}
        with whole_file(Path(options.json)) as file:
            file.write(json.dumps(content, indent=1, allow_nan=False).encode())
