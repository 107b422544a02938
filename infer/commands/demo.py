"""``python -m infer demo``: a photograph made small, brought back, measured and drawn."""

from infer.commands.options import add_model, load_enlarging

HELP = "Make a photograph small, bring it back, and draw and measure both."
EXAMPLE = "demo -o out"


def add_options(parser):
    """Add the options of ``demo``."""
    add_model(parser, "wdsr-b-32-x4")
    parser.add_argument(
        "-o",
        "--out",
        default="out",
        metavar="DIR",
        help="folder to write to; what an earlier demo wrote is replaced (default: out)",
    )


def run(options):
    """Make NASA's portrait of Eileen Collins (public domain, in scikit-image) small, and back."""
    model = load_enlarging(options.model)
    from skimage.data import astronaut

    from data.degrade import imresize
    from infer.upscaler import Upscaler

    network = Upscaler(model)
    hr, scale = astronaut(), network.reach.scale
    hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
    lr = imresize(hr, 1 / scale)
    zoom = (62, 168, 104)  # top, left, side: the face
    print(_draw(hr, lr, imresize(lr, scale), network(lr), options.out, zoom))
    print(f"wrote {options.out}/side-by-side.png, lr.png, bicubic.png, sr.png, hr.png")


def _draw(hr, lr, bicubic, sr, out_dir, zoom):
    """Write four pictures and a side-by-side figure, and return the table of scores."""
    from pathlib import Path

    from data.pictures.write import save_image
    from infer.plot import side_by_side

    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, picture in {"lr": lr, "bicubic": bicubic, "sr": sr, "hr": hr}.items():
        save_image(out_dir / f"{name}.png", picture)
    scale = hr.shape[0] // lr.shape[0]
    enlarged = lr.repeat(scale, axis=0).repeat(scale, axis=1)
    titles = {f"low resolution (÷{scale})": enlarged, "bicubic": bicubic, "network": sr}
    figure = side_by_side(titles | {"original": hr}, zoom)
    figure.savefig(out_dir / "side-by-side.png", dpi=100)
    return _table({"bicubic": bicubic, "network": sr}, hr, scale)


def _table(pictures, hr, scale):
    """PSNR and SSIM of each picture: on RGB, and on luma without the border."""
    from infer.evaluate import score

    lines = [
        f"RGB: all channels, no border cut. Y: BT.601 luma, {scale} px border cut.",
        f"{'':10}{'PSNR RGB':>12}{'SSIM RGB':>12}{'PSNR Y':>12}{'SSIM Y':>12}",
    ]
    for name, picture in pictures.items():
        s = score(picture, hr, scale)
        cells = (f"{s[f'psnr_{y}_db']:9.2f} dB{s[f'ssim_{y}']:12.4f}" for y in ("rgb", "y"))
        lines.append(f"{name:10}{''.join(cells)}")
    return "\n".join(lines)
