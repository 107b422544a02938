"""Regions of pictures by class: boxes of COCO's or dlib's files, label masks, or a detector's."""

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from data.pictures.folder import PICTURE_SUFFIXES
from data.pictures.read import load_image
from infer.detect import Detection


@dataclass(frozen=True)
class Region:
    """A part of a picture.

    Attributes:
        label: Its class.
        y0, y1, x0, x1: Its rows and columns, ends excluded.
        mask: (y1 - y0, x1 - x0) bool, which pixels of them belong to it.
    """

    label: str
    y0: int
    y1: int
    x0: int
    x1: int
    mask: np.ndarray


def read_regions(place):
    """Make a function from a picture's file name and (H, W, 3) pixels to its `Region`s.

    Args:
        place: A JSON file in COCO's layout, an XML file in dlib's (boxes without a label are of
            the class "object"), or a folder of label masks: PNG pictures named as the pictures,
            whose grey value is the class, 0 none.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: The file is of neither layout, or names a class or picture that it has not. The
            function raises it for a region outside its picture or a mask of another size.
    """
    path = Path(place)
    if path.is_dir():
        return _Masks(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file or folder of regions: {path}")
    readers = {".json": _coco, ".xml": _dlib}
    if path.suffix.lower() not in readers:
        raise ValueError(f"regions are a .json or .xml file or a folder of masks, got {path}")
    try:
        return _Boxes(path, readers[path.suffix.lower()](path))
    except (KeyError, TypeError, ValueError, AttributeError, ElementTree.ParseError) as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} is no file of regions: {type(error).__name__} {error}") from error


class _Boxes:
    def __init__(self, path, boxes):
        self._path, self._boxes = path, boxes

    def __call__(self, name, picture):
        return [
            _region(label, box, *picture.shape[:2], f"{self._path}: {label} of {name}")
            for label, box in self._boxes.get(name, ())
        ]


class _Masks:
    def __init__(self, folder):
        masks = [f for f in folder.iterdir() if f.suffix.lower() in PICTURE_SUFFIXES]
        self._files = {file.stem: file for file in masks}
        if not masks:
            raise FileNotFoundError(f"no label masks in {folder}")

    def __call__(self, name, picture):
        file = self._files.get(Path(name).stem)
        return [] if file is None else list(_components(file, *picture.shape[:2]))


def detected(detect, label):
    """Make a function as `read_regions` does, of what a detector finds."""

    def regions(name, picture):
        height, width = picture.shape[:2]
        boxes = (box.upright().clipped(height, width) for box in detect(picture))
        return [
            _region(label, box, height, width, name) for box in boxes if box.width and box.height
        ]

    return regions


def _coco(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    files = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
    classes = {c["id"]: str(c["name"]) for c in content["categories"]}
    boxes = {name: [] for name in files.values()}
    for number, annotation in enumerate(content["annotations"]):
        for key, known in (("image_id", files), ("category_id", classes)):
            if annotation[key] not in known:
                raise ValueError(
                    f"{path}: annotation {number} has an unknown {key}, {annotation[key]}"
                )
        label, box = classes[annotation["category_id"]], Detection(*map(float, annotation["bbox"]))
        boxes[files[annotation["image_id"]]].append((label, box))
    return boxes


def _dlib(path):
    boxes = {}
    for image in ElementTree.parse(path).getroot().iter("image"):
        own = boxes.setdefault(Path(image.attrib["file"]).name, [])
        for box in image.iter("box"):
            sides = (float(box.attrib[side]) for side in ("left", "top", "width", "height"))
            if box.get("ignore") != "1":
                own.append((box.findtext("label") or "object", Detection(*sides)))
    if not boxes:
        raise ValueError(f"{path} names no pictures")
    return boxes


def _region(label, box, height, width, what):
    inside = box.clipped(height, width)
    if not min(inside.width, inside.height) > 0:
        raise ValueError(
            f"{what} lies outside of its {width} × {height} px: {box.width:g} × {box.height:g} px "
            f"at ({box.left:g}, {box.top:g})"
        )
    y0, x0 = int(inside.top), int(inside.left)
    y1, x1 = (int(np.ceil(n)) for n in (inside.top + inside.height, inside.left + inside.width))
    return Region(label, y0, y1, x0, x1, np.ones((y1 - y0, x1 - x0), bool))


def _components(file, height, width):
    labels = load_image(file)
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ValueError(f"{file} must be a grey 8-bit picture of class numbers")
    # a picture whose size is no multiple of the scale is cut at the bottom and right
    if not (height <= labels.shape[0] < height + 16 and width <= labels.shape[1] < width + 16):
        raise ValueError(f"{file} must be {width} × {height} px, got {labels.shape[::-1]}")
    labels = labels[:height, :width]
    for value in np.unique(labels[labels > 0]):
        _, parts, boxes, _ = cv2.connectedComponentsWithStats((labels == value).astype(np.uint8))
        for number, (x, y, w, h, _) in enumerate(boxes[1:], 1):
            mask = parts[y : y + h, x : x + w] == number
            yield Region(f"class {value}", y, y + h, x, x + w, mask)
