"""``python -m infer app``: pages to enlarge, restore and compare pictures in a browser."""

import argparse
import contextlib
import functools
import os
import shlex
import signal
import socket
import tempfile
import threading

from data.quiet_start import load_tensorflow
from infer.commands import faces, fuse, options, restore, upscale
from infer.commands.pictures import listening
from infer.commands.pictures import run as run_all

HELP = "Enlarge, restore and compare pictures in a browser."
EXAMPLE = "app"

_COMMANDS = {"upscale": (upscale, "-large"), "restore": (restore, "-restored")}
_COMMANDS |= {"fuse": (fuse, "-large")}
_SPECIALISTS = ("faces",)  # whose networks are bundled
_LONGEST_QUEUE = 20
_BYTES_A_PIXEL = 4
_MOST_MEGAPIXELS = 64  # a quarter of what the commands take: others wait in the queue


def add_options(parser):
    """Add the options of ``app``."""
    parser.add_argument("--port", type=int, default=7860, metavar="N", help="port (default: 7860)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen at: 0.0.0.0 lets others on the network in (default: 127.0.0.1, "
        "which only this machine can reach)",
    )
    parser.add_argument(
        "--share",
        action="store_true",
        help="also give it an address on gradio.live that anybody can reach: pictures go through "
        "that company's servers",
    )
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=_MOST_MEGAPIXELS,
        metavar="N",
        help="refuse pictures with more pixels than this many million "
        f"(default: {_MOST_MEGAPIXELS})",
    )


def run(given):
    """Show the pages until interrupted."""
    _check_free(given.host, given.port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    load_tensorflow()
    options.keep_networks()
    with _temporary_files() as folder:
        # before Gradio is imported, and a folder of its own: Gradio copies what lies outside of it
        os.environ["GRADIO_TEMP_DIR"] = os.path.join(folder, "gradio")
        from infer.app import pages

        work = functools.partial(_work, given.max_megapixels)
        _serve(pages.build(work, _SPECIALISTS, given.max_megapixels), given)


@contextlib.contextmanager
def _temporary_files():
    """Let all temporary files lie in one folder, which is yielded and removed at the end."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="app-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        try:
            yield folder
        finally:
            tempfile.tempdir = before


def _serve(page, given):
    """Show the pages until the process is interrupted."""
    from infer.app.pages import CSS
    from infer.app.settings import gr

    page.queue(default_concurrency_limit=1, max_size=_LONGEST_QUEUE)
    _, address, shared = page.launch(
        server_name=given.host,
        server_port=given.port,
        share=given.share,
        prevent_thread_lock=True,
        quiet=True,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        _frontend=False,  # no trial of the page before: it fails where that takes over 3 s
        mcp_server=False,
        max_file_size=f"{int(_BYTES_A_PIXEL * given.max_megapixels) + 1}mb",
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        css=CSS,
    )
    print(f"{shared or address} (end it by Ctrl-C)", flush=True)
    try:
        threading.Event().wait()
    finally:
        page.close(verbose=False)


def _check_free(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"port {port} of {host} cannot be had ({error}): give --port"
            ) from error


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(message)


def _work(max_megapixels, command, words, source, folder, progress):
    """Run a command on one picture; see `infer.app.pages.build`."""
    from infer import jobs, sources
    from infer.app.pages import Made
    from infer.app.settings import drawn
    from infer.faces import described

    module, suffix = _COMMANDS[command]
    parser, out = _Parser(), folder / "out"
    module.add_options(parser)
    words = [str(source), "-o", f"{out}/", f"--suffix={suffix}", *words]
    given = parser.parse_args([*words, f"--max-megapixels={max_megapixels}"])
    out.mkdir()
    ending = given.format and f".{given.format}"
    found = sources.find_sources([str(source)], str(out))
    (job,), _ = jobs.jobs_for(found, out, suffix=suffix, ending=ending)
    told, seen = [], {}
    with listening(told.append):
        make = _maker(module, given, job)

        def watched(job, pixels, *, report, **where):
            done = 0

            def count(number):
                nonlocal done
                done += number
                progress(done / (pixels.shape[0] * pixels.shape[1]))
                report(number)

            progress(0)
            result = make(job, pixels, report=count, **where)
            if hasattr(result, "found"):
                told.append(described(result))
            seen["before"], seen["after"] = drawn(pixels), drawn(getattr(result, "pixels", result))
            return result

        outcome = run_all([job], watched, given, lambda job: "", None)
    if outcome.failures:
        raise ValueError(outcome.failures[0][1].replace(f"{source.parent}/", ""))
    told = [sentence.replace(f"{source.parent}/", "") for sentence in told]
    plain = [word.replace(f"{folder}/", "") for word in words[1:]]
    line = shlex.join(["python", "-m", "infer", command, source.name, *plain])
    return Made(job.target, seen["before"], seen["after"], told, line)


def _maker(module, given, job):
    """The function by which a command makes a picture."""
    if module is restore:
        return restore.maker(given, [job], None)[0]
    return (faces if module is fuse else module).maker(given)[0]
