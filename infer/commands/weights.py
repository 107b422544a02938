"""``python -m infer weights``: list weights, fetch published ones, or publish some."""

from data.quiet_start import load_tensorflow
from infer.commands.options import add_overwrite
from infer.commands.publish import publish

HELP = "List bundled networks and published ones, fetch the latter, or publish one."
EXAMPLE = "weights get lpips-squeeze"


def add_options(parser):
    """Add the options of ``weights``."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=("list", "get", "publish"),
        default="list",
        help="list: show all; get: fetch and convert published ones; publish: write what a hub "
        "needs (default: list)",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="published weights to fetch, after get; one name or file to publish, after publish",
    )
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="for developers: write the manifest and the tables of docs/models.md from the files",
    )
    add_allow_nan(parser)
    group = parser.add_argument_group("publish")
    group.add_argument(
        "--to",
        metavar="DIR_OR_ADDRESS",
        help="folder to write weights, config and model card to, or hf://owner/name",
    )
    group.add_argument(
        "--licence",
        metavar="TEXT",
        help="licence to name in file and card (default: what the file says)",
    )
    group.add_argument(
        "--openmodeldb",
        metavar="AUTHOR",
        help="also write the network as ONNX, and an entry for openmodeldb.info by this author",
    )
    add_overwrite(group)


def add_allow_nan(parser):
    """Add ``--allow-nan``."""
    parser.add_argument(
        "--allow-nan", action="store_true", help="accept weights that are not finite numbers"
    )


def run(options):
    """List bundled and known outside weights, fetch some of the latter, or publish one."""
    if bool(options.names) != (options.action != "list"):
        raise ValueError("give `weights get` the names to fetch, and `weights list` none")
    if options.action == "publish":
        return publish(options)
    if options.to or options.licence or options.openmodeldb:
        raise ValueError("--to, --licence and --openmodeldb belong to `weights publish`")
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
