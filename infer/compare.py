"""One page that shows pictures against each other: slider, zoom, scores and error maps.

The page holds everything, pictures too, so that it can be sent and kept. Pictures of other sizes
are stretched to the largest, so that a network's input can be compared with its output. Pictures
keep their colour profiles; two with different profiles are subtracted and scored in sRGB.
"""

import base64
import dataclasses
import html
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.pictures.read import Picture, in_srgb, read_picture, rgb8
from data.pictures.write import encode
from infer.evaluate import EXACT, LPIPS_PX, score
from infer.plot import error_map

LARGEST_ERROR = 64
"""Difference in grey levels that error maps draw in full red."""


@dataclass(frozen=True)
class Shown:
    """One picture of the page.

    Attributes:
        title: What the page calls it.
        picture: As `data.pictures.read.read_picture` gives it.
        scores: Name to number, against the reference; empty without one.
    """

    title: str
    picture: Picture
    scores: dict = field(default_factory=dict)

    @property
    def size(self):
        """Height and width."""
        return self.picture.pixels.shape[:2]


def compare(files, reference=None, lpips=None):
    """Make the page.

    Args:
        files: Two or more picture files.
        reference: File of the true picture: each picture of its size is scored against it and
            gets an error map. None: two pictures of one size get a map of their difference.
        lpips: Network of `model.lpips`, to score with it too.

    Returns:
        The page, HTML.

    Raises:
        ValueError: Fewer than two pictures, or one cannot be read.
    """
    if len(files) < 2:
        raise ValueError(f"compare needs at least two pictures, got {len(files)}")
    truth = read_picture(reference) if reference else None
    shown = [
        Shown(title, picture, _scores(picture, truth, lpips))
        for title, picture in ((title, read_picture(f)) for title, f in _titles(files).items())
    ]
    maps = _maps_against(truth, shown) if reference else _maps_between(shown)
    if reference:
        shown.append(Shown(f"reference: {Path(reference).name}", truth))
    return _page(shown, maps)


def _titles(files):
    """File names, with as much of the path as it takes to tell them apart."""
    paths = [Path(file) for file in files]
    names = [path.name for path in paths]
    return {
        (path.name if names.count(path.name) == 1 else f"{number}: {path}"): path
        for number, path in enumerate(paths, start=1)
    }


def _scores(picture, truth, lpips):
    if truth is None or picture.pixels.shape[:2] != truth.pixels.shape[:2]:
        return {}
    a, b = _comparable(picture, truth)
    values = score(a, b, 0)
    scores = {
        "PSNR Y dB": values["psnr_y_db"],
        "SSIM Y": values["ssim_y"],
        "PSNR RGB dB": values["psnr_rgb_db"],
        "SSIM RGB": values["ssim_rgb"],
    }
    if lpips is not None and min(b.shape[:2]) >= LPIPS_PX:
        pair = [x[None].astype(np.float32) for x in (a, b)]
        scores["LPIPS"] = float(np.asarray(lpips(pair))[0])
    return scores


def _comparable(a, b):
    """Two pictures as (H, W, 3) uint8 of one colour space: their own, if it is the same."""
    if a.icc == b.icc:
        return rgb8(a.pixels), rgb8(b.pixels)
    return in_srgb(a), in_srgb(b)


def _maps_against(truth, shown):
    return [_map(f"error of {s.title}", s.picture, truth) for s in shown if s.scores]


def _maps_between(shown):
    a, b = shown[:2]
    if a.size != b.size:
        return []
    return [_map(f"difference of {a.title} and {b.title}", a.picture, b.picture)]


def _map(title, a, b):
    return Shown(title, Picture(error_map(*_comparable(a, b), largest=LARGEST_ERROR)))


def _page(shown, maps):
    height, width = max((s.size for s in shown), key=lambda size: size[0] * size[1])
    pictures = [{"title": s.title, "source": _data_url(s.picture)} for s in [*shown, *maps]]
    data = json.dumps({"width": width, "height": height, "pictures": pictures})
    values = {
        "TABLE": _table(shown),
        "DATA": data.replace("<", "\\u003c"),  # a file name must not end the script
        "LARGEST": str(LARGEST_ERROR),
    }
    page = _TEMPLATE
    for name, value in values.items():
        page = page.replace(f"@{name}@", value)
    return page


def _data_url(picture):
    pixels = picture.pixels
    if pixels.dtype != np.uint8:
        colours = rgb8(pixels)
        alpha = pixels[..., -1:] if pixels.ndim == 3 and pixels.shape[2] in (2, 4) else None
        pixels = colours if alpha is None else np.dstack([colours, rgb8(alpha)[..., 0]])
    file = io.BytesIO()
    encode(file, ".png", dataclasses.replace(picture, pixels=pixels, exif=b"", notes=[]), 95)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _table(shown):
    scored = [s for s in shown if s.scores]
    if not scored:
        return ""
    names = list(scored[0].scores)
    rows = ["<tr><th>picture</th>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"]
    for s in scored:
        cells = "".join(f"<td>{_number(s.scores[name], name)}</td>" for name in names)
        rows.append(f"<tr><td>{html.escape(s.title)}</td>{cells}</tr>")
    note = (
        "<p>Against the reference, 8-bit, no border cut; in sRGB where profiles differ. Y: BT.601 "
        f"luma, 16..235. {EXACT}</p>"
    )
    return f"<table>{''.join(rows)}</table>{note}"


def _number(value, name):
    return "–" if value is None else f"{value:.{2 if 'PSNR' in name else 4}f}"


_TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Comparison</title><style>
body { margin: 0; font: 14px sans-serif; background: #222; color: #ddd }
header { padding: 8px; display: flex; gap: 12px; flex-wrap: wrap; align-items: center }
#view { overflow: auto; height: calc(100vh - 160px); background: #111 }
#stage { position: relative; user-select: none; touch-action: pan-x pan-y; cursor: ew-resize }
#stage img { position: absolute; inset: 0; width: 100%; height: 100%; background:
  repeating-conic-gradient(#999 0 25%, #bbb 0 50%) 0 0 / 16px 16px } /* else the lower one shows */
#stage.sharp img { image-rendering: pixelated }
#line { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: #fff }
table { border-collapse: collapse; margin: 8px } td, th { padding: 2px 10px; text-align: right }
td:first-child, th:first-child { text-align: left } p { margin: 8px; color: #999 }
#bar { width: 160px; height: 10px; background: linear-gradient(to right, #00007f, #00f, #0ff,
  #ff0, #f00, #7f0000) }
</style></head><body>
<header>
<label>left <select id="left"></select></label>
<label>right <select id="right"></select></label>
<label>zoom <select id="zoom"><option value="fit">fit</option><option>1</option><option>2</option>
<option>4</option><option>8</option></select></label>
<span>0</span><span id="bar" title="error maps"></span><span>@LARGEST@ grey levels or more</span>
<span>drag, or arrow keys</span>
</header>
<div id="view"><div id="stage" tabindex="0"><img id="under" alt="right"><img id="over" alt="left">
<div id="line"></div></div></div>
@TABLE@
<script>
const data = @DATA@;
const at = id => document.getElementById(id);
const [left, right, zoom, stage, view] = ["left", "right", "zoom", "stage", "view"].map(at);
let share = 0.5;
for (const select of [left, right])
  for (const picture of data.pictures) select.add(new Option(picture.title));
right.selectedIndex = 1;

function draw() {
  at("over").src = data.pictures[left.selectedIndex].source;
  at("under").src = data.pictures[right.selectedIndex].source;
  const fit = Math.min(view.clientWidth / data.width, view.clientHeight / data.height);
  const factor = zoom.value === "fit" ? fit : Number(zoom.value) / devicePixelRatio;
  stage.style.width = data.width * factor + "px";
  stage.style.height = data.height * factor + "px";
  stage.classList.toggle("sharp", factor * devicePixelRatio >= 2);
}
function slide(to) {
  share = Math.min(1, Math.max(0, to));
  at("over").style.clipPath = `inset(0 ${100 - 100 * share}% 0 0)`;
  at("line").style.left = 100 * share + "%";
}
function follow(event) {
  const box = stage.getBoundingClientRect();
  if (event.buttons) slide((event.clientX - box.left) / box.width);
}
stage.addEventListener("pointerdown", follow);
stage.addEventListener("pointermove", follow);
stage.addEventListener("dragstart", event => event.preventDefault());
document.addEventListener("keydown", event => {
  const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
  if (step && event.target.tagName !== "SELECT") { slide(share + step); event.preventDefault(); }
});
for (const select of [left, right, zoom]) select.addEventListener("change", draw);
addEventListener("resize", draw);
draw();
slide(0.5);
</script></body></html>
"""
