"""How many faces are found: recall and false finds over their size, and in turned pictures.

Pictures are resized so that the median face has the size of a row, and turned about their middle.
A face is found if a box lies on it (centres nearer than half its side) and is 0.4 to 2.5 times as
large. The columns: upright only (`confirmed`), and with three looks at turned copies (`turned`);
found faces, other finds, and processor seconds a megapixel.

    python benchmarks/detection.py --pictures DIR --regions benchmarks/faces.xml

The boxes of that file are of photographs of dlib's and facenet-pytorch's examples.
"""

import argparse
import math
import time
from pathlib import Path

import cv2
import numpy as np

from data.pictures.read import read_rgb8
from infer.detect import Mtcnn, confirmed, find, turned
from infer.regions import read_regions


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", required=True)
    parser.add_argument("--regions", required=True, help="as `infer weaknesses --regions`")
    parser.add_argument("--px", type=int, nargs="+", default=[80, 40, 32, 24, 20])
    parser.add_argument("--turns", type=int, nargs="+", default=[0, 30, 45, 90, 180])
    parser.add_argument(
        "--turned-px", type=int, default=64, help="size of faces in turned pictures"
    )
    options = parser.parse_args()
    pictures = list(_pictures(options.pictures, read_regions(options.regions)))
    detectors = {"upright": confirmed(Mtcnn()), "turned": turned(confirmed(Mtcnn()), always=True)}
    rows = [(px, 0) for px in options.px] + [(options.turned_px, turn) for turn in options.turns]
    for px, turn in rows:
        cells = (_score(detect, pictures, px, turn) for detect in detectors.values())
        print(f"{px:4} px, turned {turn:4}°: " + " | ".join(cells), flush=True)


def _pictures(folder, regions):
    """Pictures that have regions, with their boxes as (n, 4): left, top, width, height."""
    for file in sorted(Path(folder).iterdir()):
        if file.suffix.lower() in (".jpg", ".png"):
            picture = read_rgb8(file)
            boxes = [(r.x0, r.y0, r.x1 - r.x0, r.y1 - r.y0) for r in regions(file.name, picture)]
            if boxes:
                yield picture, np.float64(boxes)


def _score(detect, pictures, px, turn):
    """Cell of the table; pictures whose faces are smaller than `px` are left out."""
    faces = hits = others = 0
    seconds = megapixels = 0.0
    for picture, boxes in pictures:
        factor = px / np.median(np.sqrt(boxes[:, 2] * boxes[:, 3]))
        if factor > 1.1:
            continue
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        small, matrix = _turned(small, turn)
        start = time.process_time()
        found = find(detect, small, least_px=0)
        seconds += time.process_time() - start
        megapixels += small.shape[0] * small.shape[1] / 1e6
        which = [_face_of(box, factor * boxes, matrix) for box in found]
        faces += len(boxes)
        hits += len(set(which) - {None})
        others += which.count(None)
    return f"{hits} of {faces}, {others} others, {seconds / megapixels:.1f} s"


def _turned(picture, turn):
    """A picture turned clockwise by degrees, all of it, and the matrix that does so."""
    height, width = picture.shape[:2]
    cosine, sine = abs(math.cos(math.radians(turn))), abs(math.sin(math.radians(turn)))
    size = round(width * cosine + height * sine), round(width * sine + height * cosine)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -turn, 1)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE), matrix


def _face_of(box, boxes, matrix):
    """Number of the face that a box lies on, or None."""
    middle = box.left + box.width / 2, box.top + box.height / 2
    for number, (left, top, width, height) in enumerate(boxes):
        side = math.sqrt(width * height)
        true = matrix @ (left + width / 2, top + height / 2, 1)
        near = math.dist(middle, true) < 0.5 * side
        if near and 0.4 < math.sqrt(box.width * box.height) / side < 2.5:
            return number
    return None


if __name__ == "__main__":
    main()
