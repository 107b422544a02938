"""``python -m infer compare``: a page with a slider between pictures."""

from pathlib import Path

from data.quiet_start import load_tensorflow


def add_compare(command):
    """Add the options of ``compare``."""
    command.add_argument("pictures", nargs="+", help="two or more picture files")
    command.add_argument("-o", "--out", required=True, metavar="PAGE.html", help="page to write")
    command.add_argument("--reference", metavar="FILE", help="true picture, to score against")
    command.add_argument("--lpips", metavar="NAME_OR_FILE", help="weights, to score LPIPS too")


def compare(options):
    """Write a page that compares pictures."""
    load_tensorflow()
    from data.pictures.whole_file import whole_file
    from infer.compare import compare as page_of
    from weights.load import load_model

    if options.lpips and not options.reference:
        raise ValueError("--lpips scores against a reference; give --reference")
    lpips = load_model(options.lpips) if options.lpips else None
    page = page_of(options.pictures, options.reference, lpips)
    with whole_file(Path(options.out)) as file:
        file.write(page.encode())
