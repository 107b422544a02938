"""``python -m infer evaluate``: score a network on a folder of pictures."""

import functools
import json
import sys
from pathlib import Path

from data.quiet_start import load_tensorflow
from infer.commands import evaluate_restoration as restoring
from infer.commands.faces import add_faces, fusion_of
from infer.commands.options import add_model, add_tile, add_variants, load_enlarging, network_of
from infer.commands.restore import FOUNDATION
from infer.commands.specialists import mask_options

HELP = "Score a network on a folder of pictures: PSNR, SSIM, LPIPS."
EXAMPLE = "evaluate --model wdsr-b-32-x4 --hr Set5/HR --json scores.json"


def add_options(parser):
    """Add the options of ``evaluate``."""
    add_model(
        parser,
        "wdsr-b-32-x4; with --face-model what `faces` takes for clean pictures; with --task or "
        f"--real {FOUNDATION}",
    )
    parser.add_argument(
        "--hr", metavar="DIR", help="folder of high-resolution pictures; with --task of clean ones"
    )
    parser.add_argument(
        "--lr",
        metavar="DIR",
        help="folder of their low-resolution pictures (default: made of --hr by MATLAB's bicubic)",
    )
    parser.add_argument(
        "--jpeg",
        type=int,
        nargs="+",
        metavar="QUALITY",
        help="make LR of --hr as JPEGs of this quality, colours halved (4:2:0); with two qualities "
        "a JPEG of twice LR's size first",
    )
    parser.add_argument("--json", metavar="FILE", help="also write all scores as JSON")
    parser.add_argument(
        "--record",
        metavar="DATA_SET",
        help="keep the mean scores in the weight file, under this name of the data set; with "
        "--half what half precision costs on it",
    )
    parser.add_argument(
        "--lpips",
        metavar="NAME_OR_FILE",
        help="weights of LPIPS, to score with it too: lpips-squeeze, once fetched by "
        "`python -m infer weights get lpips-squeeze`",
    )
    restoring.add_restoration(parser)
    group = add_faces(parser)
    group.add_argument(
        "--face-model",
        metavar="NAME_OR_FILE",
        help="network for faces: score it mixed with --model, beside --model alone",
    )
    group.add_argument(
        "--face-features",
        metavar="NAME_OR_FILE",
        help="weights of face features, to score how alike faces are: vggface2-senet50, once "
        "fetched",
    )
    add_variants(parser)
    parser.set_defaults(full_precision=True)  # scores are of the plain network
    add_tile(parser)


def run(options):
    """Score a network; returns the exit status."""
    failures = []
    if options.record and (options.self_ensemble or options.blend):
        raise ValueError("--record keeps the scores of the plain network; leave the others out")
    if options.jpeg and (options.lr or options.task or options.real or options.record):
        raise ValueError("--jpeg makes LR of --hr; leave --lr, --task, --real and --record out")
    if options.json:
        from infer.jobs import check_free

        check_free(options.json, overwrite=True)
    if options.task and options.half and options.record:
        _keep_half(*restoring.in_both_precisions(options))
    elif options.task or options.real:
        _write_json(options, restoring.scores(options))
    elif not options.hr or options.strength is not None:
        raise ValueError("evaluate needs --hr DIR, or --real LAYOUT=DIR; --strength needs --task")
    elif options.face_model:
        _fusion(options, failures)
    elif options.half and options.record:
        _half_precision(options, failures)
    elif options.face_features:
        raise ValueError("--face-features scores fusion; give --face-model too")
    else:
        _enlarging(options, failures)
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _enlarging(options, failures):
    """Score a network beside bicubic."""
    model = network_of(options)
    from data.degrade import imresize
    from infer import evaluate
    from infer.upscaler import Upscaler
    from weights.load import DEFAULT, load_lpips
    from weights.tables import record

    network = Upscaler(model, self_ensemble=options.self_ensemble)
    scale, lpips = network.reach.scale, load_lpips(options.lpips)
    columns = evaluate.ENLARGED + (evaluate.PERCEPTUAL if lpips else [])
    print(
        f"PSNR in dB / SSIM of 8-bit pictures, ×{scale}. Y: BT.601 luma (16..235), {scale} px "
        f"border cut; RGB: all channels, nothing cut, as for LPIPS. {evaluate.EXACT}",
        evaluate.heading(columns),
        sep="\n",
    )
    table = {}
    for pair in _pairs(options, scale, failures):
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
    print(evaluate.gains(table))
    if any(row["hr_cropped"] for row in table.values()):
        print(f"* HR cut to a multiple of {scale} px")
    _write_json(options, {"scale": scale, "luma_border_px": scale, "mean": mean, "pictures": table})
    if options.record:
        record(options.model or DEFAULT, options.record, mean["network"])


def _half_precision(options, failures):
    """Keep what bfloat16, the coarser of both half-precision types, costs a network."""
    model = load_enlarging(options.model)
    from infer import evaluate
    from infer.upscaler import Upscaler
    from model.precision import in_half
    from weights.load import DEFAULT

    networks = {"float32": Upscaler(model), "bfloat16": Upscaler(in_half(model, "bfloat16"))}
    scale = networks["float32"].reach.scale
    table = {
        pair.name: {
            who: evaluate.score(network(pair.lr, tile=options.tile), pair.hr, scale)
            for who, network in networks.items()
        }
        for pair in _pairs(options, scale, failures)
    }
    means = evaluate.means(table, networks)
    _keep_half(options.model or DEFAULT, "psnr_y_db", means["float32"], means["bfloat16"])


def _keep_half(name, key, full, half):
    from weights.tables import record_half

    loss_db = full[key] - half[key]
    print(f"{name}: PSNR {full[key]:.3f} dB; in bfloat16 {loss_db:.4f} dB less")
    record_half(name, loss_db)


def _pairs(options, scale, failures):
    from infer.evaluate import pairs

    shrink = functools.partial(_shrunk, scale=scale, qualities=options.jpeg or ())
    return pairs(options.hr, options.lr, scale, shrink, failures.append)


def _shrunk(hr, scale, qualities):
    """LR by MATLAB's bicubic, once or twice as a JPEG."""
    from data.degrade import compress, imresize, to_uint8
    from data.resize import resize

    if len(qualities) > 2:
        raise ValueError(f"--jpeg takes one or two qualities, got {len(qualities)}")
    if len(qualities) < 2:
        lr = imresize(hr, 1 / scale)
    else:
        size = [n // scale for n in hr.shape[:2]]
        first = to_uint8(resize(hr, [2 * n for n in size]))
        lr = to_uint8(resize(compress(first, qualities[0]), size))
    return compress(lr, qualities[-1]) if qualities else lr


def _write_json(options, scores):
    from data.pictures.whole_file import whole_file

    if options.json:
        given = {key: vars(options)[key] for key in ("model", "blend", "self_ensemble", "half")}
        text = json.dumps(given | scores, indent=1, allow_nan=False)
        with whole_file(Path(options.json)) as file:
            file.write(text.encode())


def _fusion(options, failures):
    """Score fusion beside the general network alone and bicubic, on pictures and on faces."""
    if options.record:
        raise ValueError("--record keeps the scores of one network; leave --face-model out")
    if options.self_ensemble:
        raise ValueError("scoring fusion has no --self-ensemble")
    load_tensorflow()
    from data.degrade import imresize
    from infer import detect, evaluate, face_scores
    from infer.first_look import choose
    from infer.upscaler import Upscaler
    from model.metrics import face_similarity_of
    from weights.load import load_face_features, load_lpips, manifest

    if not options.blend:
        options.model = options.model or choose("faces", "clean", manifest())
    general = network_of(options)
    fusion, _ = fusion_of(options, general)

    upscaler, tiles = Upscaler(general), {"tile": options.tile, "overlap_px": options.overlap_px}
    scale = upscaler.reach.scale
    networks = {
        "bicubic": lambda lr: imresize(lr, scale),
        "general": functools.partial(upscaler, **tiles),
        "fusion": lambda lr: fusion(lr, **tiles).pixels,
    }
    masks = mask_options(options)
    limits = {"least_confidence": masks.least_confidence, "least_px": masks.least_px}
    features = load_face_features(options.face_features)
    table = dict(
        face_scores.fusion_scores(
            _pairs(options, scale, failures),
            networks,
            functools.partial(detect.find, detect.Mtcnn(masks.least_px), **limits),
            scale=scale,
            lpips=load_lpips(options.lpips),
            similarity=features and face_similarity_of(features),
        )
    )
    print(
        f"General network: {options.model or ' '.join(options.blend)}. "
        f"8-bit pictures, ×{scale}. Y: BT.601 luma (16..235), {scale} px border cut; RGB and "
        "LPIPS: nothing cut. Faces: found in HR, with the padding that fusion uses. "
        f"{evaluate.EXACT}",
        *face_scores.lines(table),
        sep="\n",
    )
    _write_json(options, {"mean": face_scores.summary(table), "pictures": table})
