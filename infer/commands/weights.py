"""``python -m infer weights``: list bundled and published weight files, or fetch the latter."""

from data.quiet_start import load_tensorflow

HELP = "List bundled networks and published ones, or fetch the latter."
EXAMPLE = "weights get lpips-squeeze"


def add_options(parser):
    """Add the options of ``weights``."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=("list", "get"),
        default="list",
        help="list: show all; get: fetch and convert published ones (default: list)",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="published weights to fetch, after get"
    )
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="for developers: write the manifest and the tables of docs/models.md from the files",
    )
    add_allow_nan(parser)


def add_allow_nan(parser):
    """Add ``--allow-nan``."""
    parser.add_argument(
        "--allow-nan", action="store_true", help="accept weights that are not finite numbers"
    )


def run(options):
    """List bundled and known outside weights, or fetch some of the latter."""
    if bool(options.names) != (options.action == "get"):
        raise ValueError("give `weights get` the names to fetch, and `weights list` none")
    load_tensorflow()
    from weights import catalogue, tables
    from weights import load as bundled

    for name in options.names:
        print(catalogue.get(name, allow_nan=options.allow_nan))
    if options.action == "get":
        return
    if options.rebuild:
        tables.rebuild()
    print("Bundled\n")
    print(tables.tables(bundled.manifest()))
    print("\nPublished by others; `python -m infer weights get NAME` fetches and converts\n")
    print(catalogue.table())
