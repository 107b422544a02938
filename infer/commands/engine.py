"""Options on where pictures are made: here, or on the machines of a Ray cluster."""

import functools
import os
from pathlib import Path

from infer.commands.options import not_negative
from infer.commands.pictures import run, settings_of


def add_engine(parser):
    """Add ``--engine`` and its options."""
    group = parser.add_argument_group("many machines")
    group.add_argument(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="ray: make the pictures on the Ray cluster that RAY_ADDRESS names or that runs here, "
        "else on one of this machine alone (default: local)",
    )
    group.add_argument(
        "--concurrency",
        type=not_negative,
        metavar="N",
        help="ray: number of workers (default: as many as there are cores or GPUs for)",
    )
    group.add_argument(
        "--num-cpus", type=float, default=1, metavar="N", help="ray: cores of a worker (default: 1)"
    )
    group.add_argument(
        "--num-gpus",
        type=float,
        default=0,
        metavar="N",
        help="ray: GPUs of a worker; 0.5 lets two share one (default: 0)",
    )


def run_on(todo, maker, options, folder):
    """Make pictures where ``--engine`` says.

    Args:
        todo: The jobs.
        maker: Function of a module, options → ``(make, key)``.
        options: Of the command.
        folder: Where results go.

    Raises:
        ValueError: A single picture goes to a file, which is no work for a cluster.
    """
    if options.engine == "local":
        make, key = maker(options)
        return run(todo, make, options, lambda job: key, folder)
    if folder is None:
        raise ValueError("--engine ray makes many pictures; give a folder as -o")
    from infer import distributed

    if options.model and Path(options.model).is_file():
        options.model = os.path.abspath(options.model)
    _, key = maker(options)
    return distributed.run(
        todo,
        functools.partial(maker, options),
        settings_of(options, lambda job: key),
        folder,
        concurrency=options.concurrency,
        num_cpus=options.num_cpus,
        num_gpus=options.num_gpus,
    )
