"""``python -m infer compare``: a page with a slider between pictures."""

from pathlib import Path

from data.quiet_start import load_tensorflow
from infer.commands.options import add_overwrite

HELP = "Make a page with a slider between pictures of one scene, with scores and error maps."
EXAMPLE = "compare before.png after.png --reference original.png -o page.html"


def add_options(parser):
    """Add the options of ``compare``."""
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="two or more picture files")
    parser.add_argument("-o", "--out", required=True, metavar="PAGE.html", help="page to write")
    parser.add_argument(
        "--reference", metavar="PICTURE", help="true picture, to score the others against"
    )
    parser.add_argument(
        "--lpips",
        metavar="NAME_OR_FILE",
        help="weights of LPIPS, to score with it too: lpips-squeeze, once fetched by "
        "`python -m infer weights get lpips-squeeze`",
    )
    add_overwrite(parser)


def run(options):
    """Write a page that compares pictures."""
    if options.lpips and not options.reference:
        raise ValueError("--lpips scores against a reference; give --reference")
    from infer.jobs import check_free

    out = Path(options.out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"a page's name must end in .html, got {out}")
    check_free(out, options.overwrite)
    load_tensorflow()
    from data.pictures.whole_file import whole_file
    from infer.compare import compare
    from weights.load import load_model

    lpips = load_model(options.lpips) if options.lpips else None
    page = compare(options.pictures, options.reference, lpips)
    with whole_file(out) as file:
        file.write(page.encode())
