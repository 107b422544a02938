"""Pages to enlarge, restore and compare pictures in a browser, made by Gradio (the extra ``app``).

The commands do the work: `build` is given a function that runs one, so that a download is the file
that the command writes. Files travel as they are; what is drawn on the pages are small copies.
"""

import contextlib
import dataclasses
import functools
import html
import tempfile
import threading
from pathlib import Path

import cv2
import numpy as np

from data.degrade import imresize
from data.pictures.read import READABLE, read_picture
from data.pictures.write import save_image
from data.tasks import damage
from infer.app.settings import (
    SAME,
    CancelledError,
    Enlarge,
    Fuse,
    Restore,
    as_sentence,
    gr,
    option,
)
from infer.compare import compare

KEPT_S = 1800
"""Uploads and results are deleted when they are this old, and when the app ends."""

CSS = """
footer { display: none !important }
.page { border: 0; width: 100%; height: 75vh }
button[role=tab] { padding: 0 10px !important }
"""


@dataclasses.dataclass(frozen=True)
class Made:
    """What a command made.

    Attributes:
        path: The file.
        before, after: What it was made of and became, (H, W, 3) uint8, as
            `infer.app.settings.drawn` gives it.
        told: What the command said.
        command: The command line that does the same.
    """

    path: Path
    before: np.ndarray
    after: np.ndarray
    told: list[str]
    command: str


class _Visits:
    """Folders of the runs under way, and which of them are to stop."""

    def __init__(self):
        self._stopping = {}

    @contextlib.contextmanager
    def run(self, visitor, progress):
        """Yield a folder that ends with the run, and a function of the share that is done."""
        stopping = self._stopping[visitor] = threading.Event()

        def report(share):
            if stopping.is_set():
                raise CancelledError
            progress(min(1.0, share))

        try:
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder), report
        finally:
            self._stopping.pop(visitor, None)

    def stop(self, visitor):
        if visitor in self._stopping:
            self._stopping[visitor].set()


def build(run, specialists, max_megapixels):
    """Make the pages.

    Args:
        run: Function (command, words of its command line, picture file, folder to write to,
            function of the share that is done) → `Made`.
        specialists: Names of what `infer fuse` has specialists for.
        max_megapixels: Larger pictures are refused.

    Returns:
        A `gradio.Blocks`.
    """
    visits, examples = _Visits(), _examples()
    fuse = functools.partial(Fuse, specialists=specialists)
    with gr.Blocks(title="Whole pictures", delete_cache=(60, KEPT_S)) as page:
        gr.Markdown("# Whole pictures")
        for name, settings, own in (
            ("Enlarge", Enlarge, examples[:1]),
            ("Restore", Restore, examples[1:]),
            (" & ".join(specialists).capitalize(), fuse, examples[:1]),
        ):
            with gr.Tab(name):
                _job_tab(settings, run, visits, own, max_megapixels)
        with gr.Tab("Compare"):
            _compare_tab(max_megapixels)
    return page


def _examples():
    """Write example pictures made of NASA's portrait of Eileen Collins (public domain)."""
    from skimage.data import astronaut

    folder, random = Path(tempfile.mkdtemp()), np.random.default_rng(0)
    part = astronaut()[:256, 96:352]
    pictures = {
        "portrait": imresize(astronaut(), 1 / 4),
        "portrait-scratched": damage("inpainting", part, random, 3)[0],
        "portrait-noisy": damage("gaussian-noise", part, random, 25)[0],
    }
    for name, pixels in pictures.items():
        save_image(folder / f"{name}.png", pixels)
    return [str(folder / f"{name}.png") for name in pictures]


def _job_tab(settings, run, visits, examples, max_megapixels):
    """A tab in which one command makes a picture of another."""
    with gr.Row():
        with gr.Column(min_width=300):
            source = gr.File(label="Picture", file_types=sorted(READABLE), height=140)
            gr.Examples([[path] for path in examples], source, cache_examples=False)
            settings = settings(source, max_megapixels)
            ending = gr.Dropdown([SAME, "png", "jpg", "tif", "webp"], value=SAME, label="Format")
            with gr.Row():
                start, stop = gr.Button(settings.verb, variant="primary"), gr.Button("Cancel")
        with gr.Column(min_width=300):
            slider = gr.ImageSlider(label="Before and after", format="png", interactive=False)
            download = gr.DownloadButton("Download", interactive=False)
            mask = gr.DownloadButton("Download the mask", visible=False)
            told = gr.Textbox(label="What was done", lines=4, interactive=False)

    def work(data, request, progress=gr.Progress()):  # noqa: B008
        if not data[source]:
            raise gr.Error("choose a picture first", print_exception=False)
        path = Path(data[source])
        with as_sentence(), visits.run(request.session_hash, progress) as (folder, report):
            words = settings.words(data, path, folder)
            words += option("--format", data[ending], SAME)
            made = run(settings.command, words, path, folder, report)
            yield {
                slider: (_like(made.before, made.after), made.after),
                download: gr.DownloadButton(
                    f"Download {made.path.name}", value=made.path, interactive=True
                ),
                mask: _mask_button(folder / "mask.png"),
                told: "\n".join([*made.told, made.command]),
            }

    def halt(request):
        visits.stop(request.session_hash)

    for function in (work, halt):  # by this Gradio knows what to hand over
        function.__annotations__["request"] = gr.Request
    running = start.click(work, {source, ending, *settings.inputs}, [slider, download, mask, told])
    stop.click(halt, cancels=running, queue=False)


def _mask_button(path):
    if not path.exists():
        return gr.DownloadButton(visible=False)
    return gr.DownloadButton(value=path, visible=True)


def _like(before, after):
    return cv2.resize(before, after.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _compare_tab(max_megapixels):
    """A tab that makes the page of ``infer compare``."""
    types = sorted(READABLE)
    files = gr.File(label="Two or more pictures", file_types=types, file_count="multiple")
    reference = gr.File(label="True picture, for scores (optional)", height=140)
    start = gr.Button("Compare", variant="primary")
    download = gr.DownloadButton("Download page.html", interactive=False)
    shown = gr.HTML()

    def work(paths, truth):
        with as_sentence(), tempfile.TemporaryDirectory() as folder:
            for path in [*(paths or []), *([truth] if truth else [])]:
                read_picture(path, max_megapixels=max_megapixels)
            page = Path(folder, "page.html")
            page.write_bytes(compare(paths or [], truth).encode())
            frame = '<iframe class="page" sandbox="allow-scripts" srcdoc="{}"></iframe>'
            yield (
                frame.format(html.escape(page.read_text("utf-8"))),
                gr.DownloadButton(value=page, interactive=True),
            )

    start.click(work, [files, reference], [shown, download])
