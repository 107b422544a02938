"""What the commands of ``python -m train`` share: options of the run, the rate and the machines."""

SCHEDULES = ("constant", "trapezoid", "cosine", "two-cycles")


def add_seed_options(group):
    """Add what makes a command repeatable."""
    group.add_argument("--seed", type=int, default=0, help="of weights and batches (default 0)")
    group.add_argument(
        "--deterministic", action="store_true", help="bit for bit repeatable on a GPU too; slower"
    )


def add_damage_option(group):
    """Add what LR pictures go through before a network sees them."""
    group.add_argument(
        "--damage",
        metavar="mild|strong|FILE",
        help="blur, noise, JPEG in LR, drawn for each crop: a preset, or a JSON file of its own",
    )


def add_run_options(command):
    """Add the options of every training run."""
    group = command.add_argument_group("run")
    group.add_argument("--out", required=True, metavar="FILE.weights.h5", help="trained weights")
    group.add_argument("--half", action="store_true", help="write 16-bit numbers: half as large")
    group.add_argument("--checkpoint-dir", help="folder of the run (default .ckpt/OUT)")
    group.add_argument("--evaluate-every", type=int, default=1000, metavar="N", help="default 1000")
    group.add_argument(
        "--allow-changes",
        action="store_true",
        help="go on from the last checkpoint though arguments or data have changed",
    )
    add_seed_options(group)
    _add_update_options(command.add_argument_group("updates"))
    _add_machine_options(command.add_argument_group("machine"))


def add_rate_options(command, schedule):
    """Add the options of the learning rate, with a default schedule."""
    group = command.add_argument_group("learning rate")
    group.add_argument("--learning-rate", type=float, help="highest rate; the paper's by default")
    group.add_argument(
        "--schedule",
        choices=SCHEDULES,
        default=schedule,
        help=f"of --learning-rate (default {schedule})",
    )
    warm_up = 200 if schedule == "trapezoid" else 0
    group.add_argument(
        "--warm-up-steps",
        type=int,
        default=warm_up,
        help=f"trapezoid, cosine: steps of the rise from zero (default {warm_up})",
    )
    group.add_argument("--fall-steps", type=int, default=0, help="trapezoid: last steps, to zero")
    group.add_argument("--last-rate", type=float, default=1e-6, help="cosine, two-cycles: at end")


def _add_update_options(group):
    group.add_argument("--ema-decay", type=float, help="average the weights, for example 0.999")
    group.add_argument("--clip-norm", type=float, help="largest norm of the gradient")
    group.add_argument(
        "--accumulate", type=int, default=1, metavar="N", help="compute a batch in N parts"
    )
    group.add_argument(
        "--max-bad-steps",
        type=int,
        default=10,
        metavar="N",
        help="steps in a row that may be skipped for not being finite (default 10)",
    )
    group.add_argument(
        "--after-bad-steps",
        choices=["stop", "rollback"],
        default="stop",
        help="rollback: to the last checkpoint, at half the rate (default stop)",
    )


def _add_machine_options(group):
    group.add_argument(
        "--precision",
        choices=["float32", "mixed_bfloat16", "mixed_float16"],
        default="float32",
        help="default float32",
    )
    group.add_argument("--jit-compile", action="store_true", help="compile with XLA; for GPUs")
    group.add_argument(
        "--steps-per-call", type=int, default=1, metavar="N", help="updates a call (default 1)"
    )
    group.add_argument(
        "--strategy",
        choices=["mirrored", "multi-worker"],
        help="all GPUs of this machine, or all machines of TF_CONFIG",
    )


def trainer_options(options, strategy):
    """Make `TrainerOptions` of the command's options."""
    from train.options import TrainerOptions

    return TrainerOptions(
        ema_decay=options.ema_decay,
        clip_norm=options.clip_norm,
        accumulate=options.accumulate,
        precision=options.precision,
        jit_compile=options.jit_compile,
        steps_per_call=options.steps_per_call,
        max_bad_steps=options.max_bad_steps,
        after_bad_steps=options.after_bad_steps,
        allow_changes=options.allow_changes,
        strategy=strategy,
    )


def learning_rate(options):
    """Return the schedule that the options ask for; None: the paper's."""
    from train.schedules import Trapezoid, TwoCycles, cosine

    rate, steps = options.learning_rate, options.steps
    if rate is None or options.schedule == "constant":
        return rate
    if options.schedule == "trapezoid":
        return Trapezoid(rate, steps, options.warm_up_steps, options.fall_steps)
    if options.schedule == "two-cycles":
        return TwoCycles(rate, options.last_rate, steps)
    return cosine(rate, options.last_rate, steps, warm_up_steps=options.warm_up_steps)


def _add_few(group):
    group.add_argument("--model", required=True, metavar="NAME_OR_FILE", help="foundation weights")
    group.add_argument("--crop-px", type=int, default=128, help="side of crops (default 128)")
    group.add_argument("--batch-size", type=int, default=8, help="crops a step (default 8)")
