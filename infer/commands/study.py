"""``python -m infer study``: a study with people, who rate pictures from 1 to 5."""

import argparse
import sys
from pathlib import Path

HELP = "Make, serve and report a study in which people rate pictures from 1 to 5."
EXAMPLE = "study make --originals HR --variant bicubic=BICUBIC --variant wdsr=SR -o STUDY"


def add_options(parser):
    """Add the three commands of ``study``."""
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, help_text, example, add in (
        ("make", "Plan a study and copy its pictures.", EXAMPLE, _add_make),
        ("serve", "Show a study's pages on the local network.", "study serve STUDY", _add_serve),
        ("report", "Write tables and plots of the ratings.", "study report STUDY", _add_report),
    ):
        add(
            steps.add_parser(
                name,
                help=help_text,
                description=help_text,
                epilog=f"example:\n  python -m infer {example}",
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )


def _add_make(parser):
    parser.add_argument(
        "--originals",
        required=True,
        metavar="DIR",
        help="folder of the original pictures; folders in it are sets that are told apart",
    )
    parser.add_argument(
        "--variant",
        dest="variants",
        action="append",
        required=True,
        type=_variant,
        metavar="NAME=DIR",
        help="name and folder of results to be rated, as large as the originals (once a variant)",
    )
    parser.add_argument("-o", "--out", required=True, metavar="STUDY", help="folder to make")
    parser.add_argument(
        "--lr",
        metavar="DIR",
        help="folder of the small pictures, shown enlarged as the score 1 (default: made of the "
        "originals by MATLAB's bicubic)",
    )
    for name, kind, default, help_text in (
        ("scale", int, 4, "times that the small pictures are smaller, where they are made"),
        ("people", int, 50, "number of people, each of whom gets a link"),
        ("share", float, 0.5, "share of each set that a person rates, 0..1"),
        ("repeats", int, 2, "scenes that each person rates twice, to see how steady they are"),
        ("training", int, 5, "screens for training, which do not count"),
        ("seed", int, 0, "of the plan; links are always new"),
    ):
        parser.add_argument(
            f"--{name}",
            type=kind,
            default=default,
            metavar="N" if kind is int else "SHARE",
            help=f"{help_text} (default: {default})",
        )


def _variant(text):
    name, equals, folder = text.rpartition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"must be NAME=DIR, got {text!r}")
    return name, folder


def _add_serve(parser):
    parser.add_argument("study", metavar="STUDY", help="folder that `study make` made")
    parser.add_argument(
        "--host",
        default="0.0.0.0",
        metavar="ADDRESS",
        help="address to listen on; 127.0.0.1 for this machine only (default: all of them)",
    )
    parser.add_argument(
        "--port", type=int, default=8000, metavar="N", help="port to listen on (default: 8000)"
    )


def _add_report(parser):
    parser.add_argument("study", metavar="STUDY", help="folder that `study make` made")
    parser.add_argument(
        "-o",
        "--out",
        metavar="DIR",
        help="folder to write to; what an earlier report wrote is replaced (default: STUDY/report)",
    )


def run(options):
    """Run one of the three commands."""
    {"make": _make, "serve": _serve, "report": _report}[options.step](options)


def _make(options):
    from infer.jobs import check_free
    from infer.study.make import make

    check_free(options.out)
    names = [name for name, _ in options.variants]
    if len(set(names)) < len(names):
        raise ValueError(f"every variant needs a name of its own, got {', '.join(names)}")
    settings = ("lr", "scale", "people", "share", "repeats", "training", "seed")
    given = {name: getattr(options, name) for name in settings}
    for remark in make(options.out, options.originals, dict(options.variants), **given):
        print(remark, file=sys.stderr)
    print(f"wrote {options.out}; next: python -m infer study serve {options.out}")


def _serve(options):
    from infer.study.database import Database

    study = Database(options.study)
    try:
        from infer.study.serve import serve
    except ImportError as error:
        raise ValueError(
            f"`study serve` needs {error.name}: pip install 'whole-pictures[study]'"
        ) from error
    try:
        serve(study, options.host, options.port, lambda line: print(line, flush=True))
    finally:
        study.close()


def _report(options):
    from infer.study.report import report

    out = Path(options.out or Path(options.study, "report"))
    print(report(options.study, out))
    print(f"wrote {out}/report.md")
