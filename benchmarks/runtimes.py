"""One network on seven runtimes: what each gives, how long it takes, and how large its file is.

    python benchmarks/runtimes.py [--networks wdsr-b-32-x4 restormer-small-denoise] [--rounds 7]

Keras on its TensorFlow, JAX and PyTorch back ends, ONNX Runtime, OpenVINO, TensorFlow Lite, and the
page in headless Chromium. Each runs in a process of its own, because Keras' back end is chosen at
its import. All take the same picture in turn, so that all see the same load, with one thread of
computation each, and processor time is counted, which on an idle machine is what one waits for. A
runtime that is not installed is one line that says what to install.
"""

import argparse
import contextlib
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import psutil

NEEDS = {
    "Keras on TensorFlow": (),
    "Keras on JAX": ("jax",),
    "Keras on PyTorch": ("torch",),
    "ONNX Runtime": ("onnx", "tf2onnx", "onnxruntime"),
    "OpenVINO": ("onnx", "tf2onnx", "openvino"),
    "TensorFlow Lite": (),
    "page in Chromium": ("playwright",),
}
FIRST = next(iter(NEEDS))
ONE_THREAD = {
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}


def main():
    """Print a table for each network, or be one of its runtimes."""
    parser = argparse.ArgumentParser(description="One network on seven runtimes.")
    parser.add_argument(
        "--networks", nargs="+", default=["wdsr-b-32-x4", "restormer-small-denoise"]
    )
    parser.add_argument("--size", type=int, default=96, help="side of the picture in px (96)")
    parser.add_argument("--rounds", type=int, default=7, help="the median counts (default 7)")
    parser.add_argument(
        "--runtimes", nargs="+", choices=NEEDS, default=list(NEEDS), help="which (default: all)"
    )
    parser.add_argument(
        "--onnx",
        type=Path,
        help="an ONNX file of the network, written before: of a Restormer that takes ten minutes",
    )
    parser.add_argument("--runtime", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.runtime:
        serve(options.runtime, options.networks[0], options.folder)
        return
    for name in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            if options.onnx:
                shutil.copy(options.onnx, Path(folder, "network.onnx"))
            compare(name, Path(folder), options)


def compare(name, folder, options):
    """Print the table of one network."""
    import skimage.data

    size, rounds = options.size, options.rounds
    titles = [FIRST, *(title for title in options.runtimes if title != FIRST)]
    picture = skimage.data.astronaut()[:size, 150 : 150 + size]
    np.save(folder / "picture.npy", picture)
    with contextlib.ExitStack() as stack:
        runtimes = [Runtime(title, name, folder, stack) for title in titles if not missing(title)]
        started = [runtime for runtime in runtimes if not runtime.trouble]
        for _ in range(rounds):
            for runtime in started:
                runtime.run()
    expected = np.load(folder / f"{FIRST}.npy")
    megapixels = expected.shape[0] * expected.shape[1] / 1e6
    height, width = expected.shape[:2]
    print(f"\n{name}, {size} × {size} → {width} × {height} px, {rounds} rounds in turn")
    print(f"{'':22}{'largest difference':>20}{'ms a megapixel':>16}{'× TensorFlow':>14}{'MB':>7}")
    for runtime in runtimes:
        print(runtime.line(expected, megapixels, runtimes[0]))
    for title in filter(missing, titles):
        print(f"{title:22}not installed: {missing(title)}")


def missing(title):
    """What to install for a runtime, or an empty text."""
    absent = [p for p in NEEDS[title] if importlib.util.find_spec(p) is None]
    needed = f"pip install {' '.join(absent)}" if absent else ""
    if title == "page in Chromium" and not shutil.which("chromium"):
        return f"{needed} and Chromium (apt-get install chromium)".removeprefix(" and ")
    return needed


class Runtime:
    """A runtime in a process of its own, which runs the network whenever it is told to.

    Args:
        title: One of `NEEDS`.
        name: Of the network.
        folder: Where the picture is, and its output goes.
        stack: Ends the process.
    """

    def __init__(self, title, name, folder, stack):
        self.title, self.output, self.seconds = title, folder / f"{title}.npy", []
        backend = title.removeprefix("Keras on ").lower()
        backend = {"jax": "jax", "pytorch": "torch"}.get(backend, "tensorflow")
        command = [sys.executable, __file__, "--runtime", title, "--folder", str(folder)]
        self.process = stack.enter_context(
            subprocess.Popen(
                [*command, "--networks", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(folder / f"{title}.log").open("wb"),
                text=True,
                env=os.environ | ONE_THREAD | {"KERAS_BACKEND": backend},
            )
        )
        stack.callback(self.process.stdin.close)
        line = self.process.stdout.readline()
        self.bytes = int(line) if line.strip().isdecimal() else 0
        self.trouble = "" if self.bytes else self._last_words(folder)

    def _last_words(self, folder):
        lines = (folder / f"{self.title}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it ended without a word"

    def run(self):
        """Run once, and note how long it took."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seconds.append(float(self.process.stdout.readline()))

    def line(self, expected, megapixels, first):
        """Return this runtime's line of the table."""
        if self.trouble:
            return f"{self.title:22}{self.trouble}"
        found = np.load(self.output)
        if found.dtype == np.uint8:  # what a page saves is rounded, and ends at 0 and 255
            expected = expected.clip(0, 255)
        difference = np.abs(found - expected).max()
        ms = 1000 * statistics.median(self.seconds) / megapixels
        ratios = [s / f for s, f in zip(self.seconds, first.seconds, strict=True)]
        return (
            f"{self.title:22}{difference:20.1g}{ms:16,.0f}{statistics.median(ratios):14.2f}"
            f"{self.bytes / 1e6:7.2f}"
        )


def serve(title, name, folder):
    """Be a runtime: say how many bytes the file has, then run once for each line that comes."""
    picture = np.load(folder / "picture.npy")
    batch = picture[None].astype(np.float32)
    with contextlib.ExitStack() as stack:
        file, run = RUNNERS[title](name, folder, stack)
        output = np.asarray(run(batch))  # compiles, too
        np.save(folder / f"{title}.npy", output[0] if output.ndim == 4 else output)
        print(file.stat().st_size, flush=True)
        for _ in sys.stdin:
            before_s = processor_s()
            run(batch)
            print(processor_s() - before_s, flush=True)


def processor_s():
    """Processor time of this process and of those that it started."""
    children = psutil.Process().children(recursive=True)
    times = [t for child in children for t in child.cpu_times()[:2]]
    return time.process_time() + sum(times)


def keras_on_tensorflow(name, *_):
    """Keras' model as one `tf.function`."""
    from weights.load import find, load_model

    model = load_model(name)
    return find(name), lambda batch: model.traced(batch).numpy()


def keras_on_jax(name, *_):
    """Keras' model, compiled by XLA for this size."""
    import jax

    from weights.load import find, load_model

    model = load_model(name)
    kinds = (model.trainable_variables, model.non_trainable_variables)
    values = [[v.value for v in kind] for kind in kinds]
    forward = jax.jit(lambda values, batch: model.stateless_call(*values, batch)[0])
    return find(name), lambda batch: np.asarray(forward(values, batch))


def keras_on_pytorch(name, *_):
    """Keras' model, one operation after the other."""
    import torch

    from weights.load import find, load_model

    model = load_model(name)

    def run(batch):
        with torch.inference_mode():
            return model(torch.from_numpy(batch), training=False).numpy()

    return find(name), run


def exported(name, folder, kind):
    """Write the network for another runtime, unless it is there, and return the file."""
    from infer.export import export
    from weights import load_model

    path = folder / f"network.{kind}"
    if not path.exists():
        export(load_model(name), path, kind)
    return path


def onnx_runtime(name, folder, _):
    """ONNX Runtime on its CPU provider."""
    import onnxruntime

    path = exported(name, folder, "onnx")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), settings, ["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    return path, lambda batch: session.run(None, {entry.name: batch})[0]


def openvino_runtime(name, folder, _):
    """OpenVINO on the ONNX file, in float32 also where the processor has bfloat16."""
    import openvino

    path = exported(name, folder, "onnx")
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.compile_model(path, "CPU", settings)
    return path, lambda batch: next(iter(compiled(batch).values()))


def tensorflow_lite(name, folder, _):
    """TensorFlow Lite in float32."""
    from infer import tflite

    path = exported(name, folder, "tflite")
    return path, tflite.run(path, 1)


def page(name, folder, stack):
    """The page: from a PNG file given to it until it shows the one to save."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    path = exported(name, folder, "html")
    Image.fromarray(np.load(folder / "picture.npy")).save(folder / "picture.png")
    started = stack.enter_context(sync_playwright())
    program = shutil.which("chromium")
    browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
    stack.callback(browser.close)
    tab = browser.new_page()
    tab.goto(path.as_uri())
    tab.evaluate(_COUNT)

    def run(_):
        before = tab.evaluate("timesDone")
        tab.evaluate("document.getElementById('file').value = ''")  # the same file is a change then
        tab.set_input_files("#file", str(folder / "picture.png"))
        tab.wait_for_function(f"timesDone > {before}", timeout=600_000)

    run(None)
    with tab.expect_download() as download:
        tab.keyboard.press("s")
    with Image.open(download.value.path()) as image:
        saved = np.asarray(image.convert("RGB"))
    return path, lambda batch: run(batch) or saved


_COUNT = """
window.timesDone = 0;
new MutationObserver(() => { timesDone += document.body.dataset.state === "done"; })
  .observe(document.body, { attributeFilter: ["data-state"] });
"""

RUNNERS = {
    "Keras on TensorFlow": keras_on_tensorflow,
    "Keras on JAX": keras_on_jax,
    "Keras on PyTorch": keras_on_pytorch,
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino_runtime,
    "TensorFlow Lite": tensorflow_lite,
    "page in Chromium": page,
}


if __name__ == "__main__":
    main()
