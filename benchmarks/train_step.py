"""Steps a second of training, with and without its data pipeline.

    python benchmarks/train_step.py [--networks edsr wdsr srgan …] [--rounds 5] [--steps 20]

Each network trains as `python -m train` does it, on the same batch again and again and on batches
read from a store of generated pictures, in turns, so that both see the same load; the cost of the
pipeline is the median over the rounds. The pipeline's share of the CPU time is the same cost where
all cores are busy with training, and hardly changes with what else the machine does. On a GPU this
is done in float32 and in mixed precision with XLA. The last columns set the multiplications of the
network's convolutions and matrices against a large matrix product, timed in the same rounds.
Random weights, also of VGG.

    python benchmarks/train_step.py --against REV [--networks restormer_small …]

compares steps alone, on one thread, with those of another revision of this repository, and
`--peer torch` with those of equal networks in PyTorch (torch_networks.py).
"""

import argparse
import functools
import math
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import revisions
import tensorflow as tf
from PIL import Image

from data import ImageFolder
from data.tasks import TASKS, DamagedPictures, clean_store, rotation
from model.edsr import edsr
from model.esrgan import unet_discriminator
from model.lpips import lpips
from model.restormer import restormer_lite
from model.srgan import discriminator, sr_resnet
from model.vgg import vgg_54
from model.wdsr import wdsr_b
from train import (
    EdsrTrainer,
    EsrganTrainer,
    FoundationTrainer,
    SrganTrainer,
    TrainerOptions,
    WdsrTrainer,
)
from train.distribute import distributed
from train.losses import lpips_content_loss, vgg_content_loss

LR_PX, SCALE, PX = 24, 4, 64
FORWARD_AND_BACKWARD = 3  # a gradient by inputs and one by weights cost what the forward pass does
_UNTIMED = 5  # steps before each round: more than the pipeline holds ready


def main():
    """Print one line a network and precision."""
    parser = argparse.ArgumentParser(description="Steps a second with and without the pipeline.")
    parser.add_argument("--networks", nargs="+", help=", ".join(CASES))
    parser.add_argument("--against", metavar="REV", help="a commit: compare one step with its")
    parser.add_argument("--peer", choices=["torch"], help="compare one step with another library's")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of rounds (default 5)")
    parser.add_argument("--steps", type=int, default=20, help="steps a round (default 20)")
    parser.add_argument("--steps-per-call", type=int, default=1, help="see TrainerOptions")
    parser.add_argument(
        "--batch-size", type=int, help="default 16, of esrgan 8, of srgan and restormer 4"
    )
    options = parser.parse_args()
    known = revisions.PEERED if options.peer else revisions.NETWORKS if options.against else CASES
    names = options.networks or list(known)
    if set(names) - set(known):
        parser.error(f"--networks must be of {', '.join(known)}, got {' '.join(names)}")
    if options.against:
        revisions.compare(options.against, names, options.rounds, options.steps)
        return
    if options.peer:
        revisions.compare_with_torch(names, options.rounds, options.steps)
        return
    if options.steps % options.steps_per_call:
        parser.error(f"--steps must be a multiple of --steps-per-call, {options.steps_per_call}")
    tf.config.threading.set_inter_op_parallelism_threads(1)  # as in train/__main__.py
    modes = {"float32": False}
    if tf.config.list_physical_devices("GPU"):
        modes["mixed_bfloat16"] = True
    print(f"{'network':10} {'precision':15} {'B':>3} {'constant/s':>10} {'loader/s':>9}", end=" ")
    print(f"{'pipeline':>16} {'of CPU':>7} {'TFLOP/s':>8} {'of matrices':>11}")
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder, "hr"))
        for precision, jit_compile in modes.items():
            for name in names:
                trainer_options = TrainerOptions(
                    precision=precision,
                    jit_compile=jit_compile,
                    steps_per_call=options.steps_per_call,
                )
                run = Path(folder, f"{name}-{precision}")
                case = CASES[name](Path(folder), run, trainer_options, options.batch_size)
                print_case(name, *case, options)


def write_pictures(folder, count=12):
    """Write smooth noise of 680×1020 px."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        low = Image.fromarray(random.integers(0, 256, (170, 255, 3), dtype=np.uint8))
        low.resize((1020, 680), Image.Resampling.BICUBIC).save(folder / f"{number}.bmp")


def pixel_case(build, recipe, folder, run, options, batch_size):
    """Return trainer, batches and operations a step of a network with pixel loss."""
    trainer = recipe(build(), run, options=options, report=str)
    flops = FORWARD_AND_BACKWARD * forward_flops(trainer.model, _lr_shape(batch_size or 16))
    return trainer, _pairs(folder, batch_size or 16), flops


def srgan_case(folder, run, options, batch_size):
    """Return the same of SRGAN with VGG's features."""
    features = vgg_54(None)
    trainer = SrganTrainer(
        sr_resnet(),
        discriminator(),
        vgg_content_loss(features),
        checkpoint_dir=run,
        options=options,
        report=str,
    )
    return _gan_case(trainer, (features, 1), folder, batch_size or 4)


def esrgan_case(folder, run, options, batch_size):
    """Return the same of a WDSR trained as the bundled GANs are."""
    features = lpips("squeeze")
    trainer = EsrganTrainer(
        wdsr_b(SCALE, num_res_blocks=32),
        unet_discriminator(32),
        lpips_content_loss(features),
        checkpoint_dir=run,
        grid_weight=1000,
        options=options,
        report=str,
    )
    return _gan_case(trainer, (features, 2), folder, batch_size or 8)


def _gan_case(trainer, features, folder, batch_size):
    network, inputs = features
    hr_shape = (batch_size, LR_PX * SCALE, LR_PX * SCALE, 3)
    flops = FORWARD_AND_BACKWARD * forward_flops(trainer.model, _lr_shape(batch_size))
    # both pictures forward, back to the weights for its own loss, back to SR for the generator's
    flops += 7 * forward_flops(trainer.discriminator, hr_shape)
    # both forward, back to SR
    flops += 3 / inputs * forward_flops(network, *[hr_shape] * inputs)
    return trainer, _pairs(folder, batch_size), flops


def restormer_case(folder, run, options, batch_size):
    """Return the same of a small mask-aware Restormer, another task at each step."""
    batch_size = batch_size or 4
    trainer = FoundationTrainer(restormer_lite(), run, options=options, report=str)
    store = clean_store([folder / "hr"], folder / "caches", report=str)
    sources = [DamagedPictures(task, store) for task in TASKS]
    batches = rotation(sources, [(0, PX, batch_size)], every=1)
    shape = (batch_size, PX, PX)
    flops = FORWARD_AND_BACKWARD * forward_flops(trainer.model, (*shape, 3), (*shape, 1))
    return trainer, batches, flops


CASES = {
    "edsr": functools.partial(
        pixel_case, lambda: edsr(SCALE, num_filters=64, num_res_blocks=16), EdsrTrainer
    ),
    "wdsr": functools.partial(pixel_case, lambda: wdsr_b(SCALE, num_res_blocks=32), WdsrTrainer),
    "srgan": srgan_case,
    "esrgan": esrgan_case,
    "restormer": restormer_case,
}
"""Name → function (folder, run, options, batch size) → (trainer, batches, operations a step)."""


def _lr_shape(batch_size):
    return batch_size, LR_PX, LR_PX, 3


def _pairs(folder, batch_size):
    source = ImageFolder(folder / "hr", scale=SCALE, caches_dir=folder / "caches")
    return source.dataset(batch_size, hr_crop_px=LR_PX * SCALE)


def print_case(name, trainer, batches, flops, options):
    """Time a network and print its line."""
    rates, step_cpu_s = time_rounds(trainer, batches, options)
    constant, loader, matrix = map(np.array, rates.values())
    costs = 100 * (1 - loader / constant)
    cost = f"{np.median(costs):.1f} % ({costs.min():.0f}…{costs.max():.0f})"
    cells = (
        f"{name:10} {trainer.options.precision:15} {len(next(iter(batches))[0]):>3}",
        f"{np.median(constant):>10.2f} {np.median(loader):>9.2f} {cost:>16}",
        f"{cpu_s_of_batch(batches, 5 * options.steps) / step_cpu_s:>7.2%}",
        f"{np.median(constant) * flops / 1e12:>8.3f} {np.median(constant * flops / matrix):>11.1%}",
    )
    print(*cells, flush=True)


def time_rounds(trainer, batches, options):
    """Rates of constant, loader and matrix rounds, taken in turns, and CPU seconds of a step."""
    kinds = {"constant": batches.take(1).cache().repeat(), "loader": batches}
    iterators = {
        kind: iter(distributed(dataset, 0, trainer.strategy)) for kind, dataset in kinds.items()
    }
    multiply, matrix_flops = matrix_product(trainer.options.precision)
    rates, cpu_s = {"constant": [], "loader": [], "matrix": []}, []
    for _ in range(options.rounds):
        for kind, iterator in iterators.items():
            steps_per_s(trainer, iterator, _UNTIMED)  # the first also traces
            before = time.process_time()
            rates[kind].append(steps_per_s(trainer, iterator, options.steps))
            cpu_s.append((time.process_time() - before) / options.steps)
        start = time.perf_counter()
        multiply().numpy()
        rates["matrix"].append(matrix_flops / (time.perf_counter() - start))
    return rates, np.median(cpu_s)


def cpu_s_of_batch(batches, count):
    """CPU seconds of one batch, without any training."""
    iterator, before = iter(batches), time.process_time()
    for _ in range(count):
        next(iterator)
    return (time.process_time() - before) / count


def steps_per_s(trainer, iterator, steps):
    """Make updates as `Trainer.train` does, waiting for each call's losses."""
    count = min(trainer.options.steps_per_call, steps)
    start = time.perf_counter()
    for _ in range(steps // count):
        trainer.updates.run(iterator, tf.constant(count, tf.int64)).numpy()
    return steps / (time.perf_counter() - start)


def forward_flops(model, *shapes):
    """Operations of a network's convolutions and matrix products, two for each multiplication."""
    inputs = [tf.TensorSpec(shape) for shape in shapes]
    function = tf.function(lambda *x: model(list(x) if len(x) > 1 else x[0]), autograph=False)
    graph = function.get_concrete_function(*inputs).graph
    return sum(_flops(operation) for operation in graph.get_operations())


def _flops(operation):
    if operation.type not in ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2"):
        return 0
    first, second = (tensor.shape.as_list() for tensor in operation.inputs)
    if operation.type == "Conv2D":
        products = math.prod(second[:3])
    elif operation.type == "DepthwiseConv2dNative":
        products = math.prod(second[:2])
    else:
        swapped = "transpose_a" if operation.type == "MatMul" else "adj_x"
        products = first[-2] if operation.get_attr(swapped) else first[-1]
    return 2 * products * operation.outputs[0].shape.num_elements()


def matrix_product(precision):
    """Return a function that multiplies large matrices, and the operations that takes."""
    gpu = bool(tf.config.list_physical_devices("GPU"))
    n, repeats = (8192, 20) if gpu else (2048, 3)
    a = tf.random.normal((n, n))
    a = tf.cast(a, tf.bfloat16) if "bfloat16" in precision else a

    @tf.function
    def multiply():
        b = a
        for _ in range(repeats):
            b = tf.matmul(a, b) / n  # each needs the one before
        return tf.reduce_sum(tf.cast(b, tf.float32))

    multiply()
    return multiply, repeats * 2 * n**3


if __name__ == "__main__":
    main()
