"""``python -m infer evaluate``: score a network on a folder of pictures."""

import functools
import json
from pathlib import Path

from data.quiet_start import load_tensorflow
from infer.commands import faces as face_commands
from infer.commands import options as commands
from infer.commands import restore
from weights.load import load_face_features, load_lpips
from weights.tables import record


def _add_evaluate(command):
    commands.add_model(command)
    command.add_argument("--hr", metavar="DIR", help="HR pictures; with --task clean ones")
    command.add_argument("--lr", metavar="DIR", help="LR pictures (else made by MATLAB's bicubic)")
    command.add_argument("--json", metavar="FILE", help="also write the table as JSON")
    command.add_argument(
        "--record", metavar="DATA_SET", help="keep the mean in the weight file under this name"
    )
    group = command.add_argument_group("restoration networks")
    group.add_argument("--task", help="damage the pictures so first; a wrong one lists them")
    group.add_argument("--strength", type=float, help="of the damage, in the task's unit")
    group.add_argument("--real", metavar="LAYOUT=DIR", help="real pairs instead: polyu=DIR")
    group.add_argument("--caches-dir", default=".caches", help="decoded pictures (default .caches)")
    commands.add_quality(command)
    commands.add_tile(command)
    command.add_argument(
        "--lpips", metavar="NAME_OR_FILE", help="score LPIPS too: lpips-squeeze, if fetched"
    )
    group = face_commands.add_faces(command)
    group.add_argument("--face-model", metavar="NAME_OR_FILE", help="score fusion with this one")
    group.add_argument(
        "--face-features", metavar="NAME_OR_FILE", help="weights, to score how alike faces are"
    )


def _evaluate(options):
    if options.record and (options.self_ensemble or options.blend or options.half):
        raise ValueError("--record keeps the scores of the plain network; leave the others out")
    if options.task or options.real:
        _evaluate_restoration(options)
    elif not options.hr or options.strength is not None:
        raise ValueError("evaluate needs --hr DIR, or --real LAYOUT=DIR; --strength needs --task")
    elif options.face_model:
        _evaluate_fusion(options)
    elif options.face_features:
        raise ValueError("--face-features scores fusion; give --face-model too")
    else:
        _evaluate_enlarging(options)


def _evaluate_enlarging(options):
    """Score a network beside bicubic."""
    model = commands.network_of(options)
    from data.degrade import imresize
    from infer import evaluate
    from infer.upscaler import Upscaler
    from weights import load as weights

    network = Upscaler(model, self_ensemble=options.self_ensemble)
    scale, lpips = network.reach.scale, load_lpips(options.lpips)
    columns = evaluate.ENLARGED + (evaluate.PERCEPTUAL if lpips else [])
    print(
        f"PSNR in dB / SSIM of 8-bit pictures, ×{scale}. Y: BT.601 luma (16..235), {scale} px "
        "border cut; RGB: all channels, nothing cut, as for LPIPS.",
        evaluate.heading(columns),
        sep="\n",
    )
    table = {}
    for pair in evaluate.pairs(options.hr, options.lr, scale, lambda hr: imresize(hr, 1 / scale)):
        sr = network(pair.lr, tile=options.tile, overlap_px=options.overlap_px)
        table[pair.name] = {
            "network": evaluate.score(sr, pair.hr, scale, lpips),
            "bicubic": evaluate.score(imresize(pair.lr, scale), pair.hr, scale, lpips),
            "hr_cropped": pair.cropped,
        }
        star = " *" if pair.cropped else ""
        print(evaluate.row(pair.name + star, table[pair.name], columns))
    mean = evaluate.means(table, ("network", "bicubic"))
    print(evaluate.row("mean", mean, columns))
    if any(row["hr_cropped"] for row in table.values()):
        print(f"* HR cut to a multiple of {scale} px")
    _write_json(options, {"scale": scale, "luma_border_px": scale, "mean": mean, "pictures": table})
    if options.record:
        record(options.model or weights.DEFAULT, options.record, mean["network"])


def _write_json(options, scores):
    if options.json:
        facts = {key: vars(options)[key] for key in ("model", "blend", "self_ensemble", "half")}
        Path(options.json).write_text(json.dumps(facts | scores, indent=1))


def _evaluate_fusion(options):
    """Score fusion beside the general network alone and bicubic, on pictures and on faces."""
    if options.record:
        raise ValueError("--record keeps the scores of one network; leave --face-model out")
    if options.self_ensemble:
        raise ValueError("scoring fusion has no --self-ensemble")
    general = commands.network_of(options)
    fusion, _ = face_commands.fusion_of(options, general)
    from data.degrade import imresize
    from infer import evaluate, face_scores
    from infer.detect import Mtcnn, find
    from infer.upscaler import Upscaler
    from model.metrics import face_similarity_of

    scale, tiles = fusion.reach.scale, {"tile": options.tile, "overlap_px": options.overlap_px}
    networks = {
        "bicubic": lambda lr: imresize(lr, scale),
        "general": functools.partial(Upscaler(general), **tiles),
        "fusion": functools.partial(fusion, **tiles),
    }
    limits = {"least_confidence": options.least_confidence, "least_px": options.least_px}
    features = load_face_features(options.face_features)
    pairs = evaluate.pairs(options.hr, options.lr, scale, lambda hr: imresize(hr, 1 / scale))
    table = dict(
        face_scores.fusion_scores(
            pairs,
            networks,
            functools.partial(find, Mtcnn(options.least_px), **limits),
            scale=scale,
            lpips=load_lpips(options.lpips),
            similarity=features and face_similarity_of(features),
        )
    )
    print(
        f"8-bit pictures, ×{scale}. Y: BT.601 luma (16..235), {scale} px border cut; RGB and "
        "LPIPS: nothing cut. Faces: found in HR, with the padding that fusion uses.",
        *face_scores.lines(table),
        sep="\n",
    )
    _write_json(options, {"mean": face_scores.summary(table), "pictures": table})


def _evaluate_restoration(options):
    """Score a restoration network on damaged pictures or real pairs, each whole and in one pass."""
    damage, pictures = _damaged_pictures(options)
    load_tensorflow()
    from infer import evaluate
    from model.restoration import restored
    from weights import load as weights

    name = options.model or restore.FOUNDATION
    model = weights.load_model(name)
    if model.built_by.name != "restormer":
        raise ValueError(f"{name} is of {model.built_by.name}, but restormers restore")
    print(
        f"PSNR in dB / SSIM of 8-bit RGB pictures, nothing cut; {damage}.\n"
        f"{'':24}{'damaged':>16}{'restored':>16}"
    )
    table = evaluate.restoration_scores(functools.partial(restored, model), pictures)
    mean = evaluate.means(table, ("input", "network"))
    print(evaluate.row("mean", mean, evaluate.RESTORED))
    _write_json(options, {"damage": damage, "mean": mean, "pictures": table})
    if options.record:
        record(name, options.record, mean, damage)


def _damaged_pictures(options):
    """What the damage is called, and `data.restoration` pictures with it."""
    changed = (options.self_ensemble, options.blend, options.half, options.overlap_px, options.lr)
    if any(changed) or options.tile != "auto":
        raise ValueError(
            "restoration is scored by the plain network in one pass; leave --lr, "
            "--self-ensemble, --blend, --half, --tile and --overlap-px out"
        )
    if bool(options.task) == bool(options.real) or bool(options.task) != bool(options.hr):
        raise ValueError("give --task TASK with --hr DIR, or --real LAYOUT=DIR alone")
    if options.real and options.strength is not None:
        raise ValueError("--strength is of the damage that --task makes; real pairs have theirs")
    load_tensorflow()
    from data.restoration import parse_real, real_pictures, validation_pictures
    from data.tasks import find_task

    caches = {"caches_dir": options.caches_dir}
    if options.real:
        ((layout, folder),) = parse_real([options.real]).items()
        return f"real pairs of {layout}", real_pictures(layout, folder, **caches)
    strength = find_task(options.task).usual if options.strength is None else options.strength
    pictures = validation_pictures(options.task, options.hr, strength, **caches)
    return f"{options.task} {strength:g}", pictures
