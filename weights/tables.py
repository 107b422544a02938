"""What is bundled as Markdown tables: one of networks that enlarge, one of those that restore."""

import hashlib
import inspect
import json
import re

from model import weight_file
from model.restormer import restormer
from weights.load import ENDING, WEIGHTS_DIR, find

_TABLE_START, _TABLE_END = "<!-- table: python -m infer weights --rebuild -->", "<!-- /table -->"
_ROW = re.compile(r"(\| `([\w-]+)` \| )[\d.]+( dB|)( | LPIPS )(on ([\w-]+)(, [^|]+?|) \|)")
_FACTS = ["name", "network", "parameters", "MB"]
_RESTORER = "restormer"
_ENLARGED = (
    "Super-resolution; PSNR in dB / SSIM on BT.601 luma, border of the scale in px cut; after it "
    "LPIPS (SqueezeNet, less is better) of RGB where it was measured."
)
_RESTORED = "Restoration; PSNR in dB / SSIM on RGB, nothing cut, damage the same for all networks."


def tables(manifest):
    """Return `weights.load.manifest` as Markdown: each table below a line on its convention."""
    restorers = {n: fact for n, fact in manifest.items() if fact["builder"] == _RESTORER}
    others = {n: fact for n, fact in manifest.items() if n not in restorers}
    parts = [(_ENLARGED, _enlarged, others), (_RESTORED, _restored, restorers)]
    return "\n\n".join(f"{line}\n\n{_table(rows(facts))}" for line, rows, facts in parts if facts)


def _enlarged(facts):
    """A row a network, a column a data set."""
    data_sets = sorted({name for fact in facts.values() for name in fact.get("scores", {})})
    rows = [[*_FACTS, *data_sets]]
    for name, fact in facts.items():
        scores = [_score(fact.get("scores", {}).get(data_set), "y") for data_set in data_sets]
        rows.append([*_facts(name, fact), *scores])
    return rows


def _restored(facts):
    """A column a task. Rows of a data set: the damaged input, then each network."""
    by_data_set = {"": {}}  # data set → network → task → scores
    for name, fact in facts.items():
        for data_set, scores in fact.get("restoration", {"": {}}).items():
            by_data_set.setdefault(data_set, {})[name] = scores
    found = [scores for networks in by_data_set.values() for scores in networks.values()]
    tasks = list(dict.fromkeys(task for scores in found for task in scores))
    rows = [["data set", *_FACTS, *tasks]]
    told = {name: _facts(name, fact) for name, fact in facts.items()}
    for data_set, networks in sorted(by_data_set.items()):
        damaged = {t: s["input"] for scores in networks.values() for t, s in scores.items()}
        if damaged:
            rows.append([data_set, "damaged input", "", "", "", *_cells(damaged, tasks)])
        for name, scores in networks.items():
            restored = {task: score["network"] for task, score in scores.items()}
            rows.append([data_set, *told[name], *_cells(restored, tasks)])
            told[name] = [name, "", "", ""]  # once is enough
    return rows


def _cells(scores, tasks):
    return [_score(scores.get(task), "rgb") for task in tasks]


def _facts(name, fact):
    arguments = {k: v for k, v in fact["arguments"].items() if v is not None}
    if fact["builder"] == _RESTORER:  # has many, most of them as usual
        usual = inspect.signature(restormer).parameters
        arguments = {k: v for k, v in arguments.items() if _unlike(v, usual[k].default)}
    text = ", ".join(f"{k}={v}" for k, v in arguments.items())
    size = f"{fact['bytes'] / 1e6:.1f}"
    return [name, f"{fact['builder']}({text})", f"{fact['parameters']:,}", size]


def _unlike(value, usual):
    return value != (list(usual) if isinstance(usual, tuple) else usual)  # JSON knows no tuples


def _score(score, convention):
    if score is None:
        return ""
    text = f"{score[f'psnr_{convention}_db']:.2f} / {score[f'ssim_{convention}']:.4f}"
    return f"{text} / {score['lpips']:.3f}" if score.get("lpips") is not None else text


def _table(rows):
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def record(name_or_path, data_set, scores, task=None):
    """Keep a network's mean scores on a data set in its weight file, beside those already there.

    Args:
        name_or_path: As for `load_model`.
        data_set: Its name, such as "Set5".
        scores: Dict of `infer.evaluate.score`; of a restoration task that of ``"network"`` and
            that of ``"input"``.
        task: Restoration task with its strength, such as "gaussian-noise 25"; None for
            super-resolution.
    """
    path = find(name_or_path)
    kind = "restoration" if task else "scores"
    kept = weight_file.read_note(path).get(kind, {})
    new = kept.get(data_set, {}) | {task: scores} if task else scores
    weight_file.write_note(path, {kind: kept | {data_set: new}})


def record_half(name_or_path, loss_db):
    """Keep in a weight file what half precision costs its network: the most of all data sets.

    Args:
        name_or_path: As for `load_model`.
        loss_db: PSNR-Y in float32 over that in half precision, dB.
    """
    path = find(name_or_path)
    kept = weight_file.read_note(path).get("half_loss_db", loss_db)
    weight_file.write_note(path, {"half_loss_db": float(max(kept, loss_db))})


def _stem(file):
    return file.name.removesuffix(ENDING)


def refreshed(page, manifest):
    """Return a page with the scores of `manifest` in its rows on networks.

    Such a row has the cells ``| `NAME` | 1.23 dB on DATA_SET |``, with luma's PSNR, or
    ``1.23 dB on DATA_SET, TASK`` with that of RGB, or ``0.123 LPIPS on DATA_SET``. A row stays as
    it is where there is no such score.
    """

    def with_score(row):
        start, name, db, unit, end, data_set, task = row.groups()
        kept = manifest.get(name, {}).get("restoration" if task else "scores", {}).get(data_set, {})
        scores = kept.get(task[2:], {}).get("network") if task else kept
        if not scores:
            return row.group()  # a new network, or an old name: scores are recorded, rows edited
        if task:
            return f"{start}{scores['psnr_rgb_db']:.2f}{db}{unit}{end}"
        score = f"{scores['psnr_y_db']:.2f}" if db else f"{scores['lpips']:.3f}"
        return f"{start}{score}{db}{unit}{end}"

    return _ROW.sub(with_score, page)


def rebuild(directory=WEIGHTS_DIR):
    """Write manifest.json, and the scores in README.md and docs/models.md, anew from the files."""
    facts = {}
    for file in sorted(directory.glob("*" + ENDING), key=_stem):
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        name = _stem(file)
        own = {"file": file.name, "bytes": file.stat().st_size, "sha256": sha256}
        facts[name] = own | weight_file.read_note(file)
    (directory / "manifest.json").write_text(json.dumps(facts, indent=1) + "\n")
    readme, models = directory.parent / "README.md", directory.parent / "docs" / "models.md"
    readme.write_text(refreshed(readme.read_text(), facts))
    before, rest = models.read_text().split(_TABLE_START)
    after = rest.split(_TABLE_END)[1]
    models.write_text(f"{before}{_TABLE_START}\n{tables(facts)}\n{_TABLE_END}{after}")
