"""The demonstration of `make demo`: a photograph made small, brought back, measured and drawn."""

from pathlib import Path

from data.pictures.write import save_image
from infer.commands import options as commands
from infer.plot import side_by_side
from model.metrics import psnr, ssim


def draw(hr, lr, bicubic, sr, out_dir, *, zoom):
    """Write four pictures and a side-by-side figure, and return the table of scores.

    Args:
        hr: (H, W, 3) uint8, the photograph.
        lr: (H/s, W/s, 3) uint8, made small.
        bicubic: (H, W, 3) uint8, enlarged again without a network.
        sr: (H, W, 3) uint8, enlarged by the network.
        out_dir: Folder to write to.
        zoom: (top, left, side) in HR px of the part that is drawn large.

    Returns:
        Text: PSNR and SSIM with their conventions.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, picture in {"lr": lr, "bicubic": bicubic, "sr": sr, "hr": hr}.items():
        save_image(out_dir / f"{name}.png", picture)
    scale = hr.shape[0] // lr.shape[0]
    enlarged = lr.repeat(scale, axis=0).repeat(scale, axis=1)
    titles = {f"low resolution (÷{scale})": enlarged, "bicubic": bicubic, "network": sr}
    scores = {"bicubic": bicubic, "network": sr}
    figure = side_by_side(titles | {"original": hr}, zoom)
    figure.savefig(out_dir / "side-by-side.png", dpi=100)
    return _table({name: _scores(picture, hr, scale) for name, picture in scores.items()}, scale)


def _scores(picture, hr, scale):
    """PSNR and SSIM: on RGB, and on luma without the border."""
    values = []
    for convention in ({}, {"luminance": True, "border_px": scale}):
        for metric in (psnr, ssim):
            values.append(float(metric(picture[None], hr[None], **convention)[0]))
    return values


def _table(scores, scale):
    lines = [
        f"RGB: all channels, no border cut. Y: BT.601 luma, {scale} px border cut.",
        f"{'':10}{'PSNR RGB':>12}{'SSIM RGB':>12}{'PSNR Y':>12}{'SSIM Y':>12}",
    ]
    for name, (psnr_rgb, ssim_rgb, psnr_y, ssim_y) in scores.items():
        cells = f"{psnr_rgb:9.2f} dB{ssim_rgb:12.4f}{psnr_y:9.2f} dB{ssim_y:12.4f}"
        lines.append(f"{name:10}{cells}")
    return "\n".join(lines)


def add_options(command):
    """Add the options of ``demo``."""
    commands.add_model(command)
    command.add_argument("-o", "--out", default="out", metavar="DIR", help="default: out")


def run(options):
    """Make NASA's portrait of Eileen Collins (public domain, in scikit-image) small, and back."""
    model = commands.load(options.model)
    from skimage.data import astronaut

    from data.degrade import imresize
    from infer.upscaler import Upscaler

    network = Upscaler(model)
    hr, scale = astronaut(), network.reach.scale
    hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
    lr = imresize(hr, 1 / scale)
    zoom = (62, 168, 104)  # top, left, side: the face
    print(draw(hr, lr, imresize(lr, scale), network(lr), options.out, zoom=zoom))
    print(f"wrote {options.out}/side-by-side.png, lr.png, bicubic.png, sr.png, hr.png")
