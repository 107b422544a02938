"""The fusion study: one network for everything, one for faces, one of both, or two of them fused.

Every variant has the same budget: the two stages of ESRGAN from the same first weights. What is
trained is kept as a weight file and what is scored as JSON, so nothing is done twice after an
interruption; table and figure are made from these files.
"""

import csv
import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from model import resolve
from train.atomic_write import write_text
from train.gan import Adversary
from train.options import TrainerOptions
from train.recipes import PIXEL_WEIGHT, EsrganGeneratorTrainer, EsrganTrainer
from train.schedules import Trapezoid
from train.studies.tables import draw_comparison, middle

FACE_LOSS = "faces, face loss"
TRAINED = {
    "general": ("general", False),
    "faces": ("faces", False),
    "both": ("both", False),
    FACE_LOSS: ("faces", True),
}
"""Variant → training set, and whether the face-feature loss is added in the second stage."""

FUSION = "fusion"
"""The variant that is not trained: "general", and where faces are the one with face loss."""

ON_FACES_ONLY = ("face_similarity",)
"""Metrics that say nothing about other pictures."""

_FALL_SHARE = 0.4
_PICTURES = 2  # of each test set in the figure


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What all variants share.

    Attributes:
        new_networks: Function () → (generator, discriminator), with the same weights each time.
        content_loss: See `EsrganTrainer`.
        face_loss: Function ``(hr, sr) → scalar``; None: that variant is left out, and fusion takes
            the plain face network.
        psnr_steps, gan_steps: Updates of the two stages.
        learning_rates: Highest of the two stages, falling to zero in their last 40 %; None: the
            paper's.
        pixel_weight: Of L1 in the second stage, see `EsrganTrainer`.
        adversary, grid_weight: As in `EsrganTrainer`.
        options: Of both trainers.
    """

    new_networks: Callable
    content_loss: Callable
    face_loss: Callable | None
    psnr_steps: int
    gan_steps: int
    learning_rates: tuple = (None, None)
    pixel_weight: float = PIXEL_WEIGHT
    adversary: Adversary = Adversary()
    grid_weight: float | None = None
    options: TrainerOptions = TrainerOptions(ema_decay=0.999)

    def __post_init__(self):
        if self.psnr_steps < 1 or self.gan_steps < 1:
            raise ValueError(
                f"both stages must have steps, got {self.psnr_steps} and {self.gan_steps}"
            )

    @property
    def budget(self):
        """What the results of a study depend on, and can be written down."""
        return {
            "psnr_steps": self.psnr_steps,
            "gan_steps": self.gan_steps,
            "learning_rates": list(self.learning_rates),
            "pixel_weight": self.pixel_weight,
            "face_loss": self.face_loss is not None,
            "adversary": dataclasses.asdict(self.adversary),
            "grid_weight": self.grid_weight,
            **self.options.that_change_results(),
        }

    def rate(self, stage):
        """The learning rate of stage 0 or 1: a schedule, or None for the paper's."""
        peak, steps = self.learning_rates[stage], (self.psnr_steps, self.gan_steps)[stage]
        fall = round(_FALL_SHARE * steps)
        return peak and Trapezoid(peak, steps, rise_steps=min(50, steps - fall), fall_steps=fall)


class FusionStudy:
    """Trains and scores the variants that are not there yet, then writes table and figure.

    Args:
        recipe: The `Recipe`.
        train_sets: "general", "faces" and "both" → endless batches ``(lr, hr)``.
        test_sets: Name → batches ``(lr, hr)`` of one picture, to be gone through several times.
        fuse: Function of the general and the face network → function of an LR batch to an SR batch,
            uint8.
        metrics: Name → function (hr, sr) → (B,); `ON_FACES_ONLY` are left out elsewhere.
        directory: Where everything goes.
        report: Called with one sentence an event.
    """

    def __init__(self, recipe, train_sets, test_sets, fuse, metrics, directory, *, report=print):
        self._recipe, self._train_sets, self._test_sets = recipe, train_sets, test_sets
        self._fuse, self._metrics, self._report = fuse, metrics, report
        self.directory, self._answers = Path(directory), {}

    @property
    def trained(self):
        """Names of the variants that are trained."""
        return [name for name in TRAINED if self._recipe.face_loss or name != FACE_LOSS]

    @property
    def variants(self):
        """Names of all variants."""
        return [*self.trained, FUSION]

    def run(self):
        """Do what is missing, then write table and figure.

        Raises:
            ValueError: The folder has results of another budget.
        """
        self._check_budget()
        for name in self.trained:
            if not self._weights(name).exists():
                self._train(name)
                self._report(f"trained {name}")
        for name in self.variants:
            if not self._scores(name).exists():
                scores = {key: self._score(name, key) for key in self._test_sets}
                write_text(self._scores(name), json.dumps(scores, indent=1))
                self._report(f"scored {name}")
        self.write()

    def _check_budget(self):
        file, budget = self.directory / "budget.json", self._recipe.budget
        if not file.exists():
            write_text(file, json.dumps(budget, indent=1))
        before = json.loads(file.read_text())
        other = [
            f"{key} {before.get(key)}, not {budget[key]}"
            for key in budget
            if before.get(key) != budget[key]
        ]
        if other:
            raise ValueError(
                f"{self.directory} has results with {'; '.join(other)}: take another folder"
            )

    def write(self):
        """Write table 1 (CSV, Markdown) and figure 1 (PNG)."""
        scores = {name: json.loads(self._scores(name).read_text()) for name in self.variants}
        write_table(self.directory / "table-1", scores)
        draw_comparison(self.directory / "figure-1.png", self._examples())

    def _file_name(self, name):
        return name.replace(", ", "-").replace(" ", "-")

    def _weights(self, name):
        return self.directory / f"{self._file_name(name)}.weights.h5"

    def _scores(self, name):
        return self.directory / "scores" / f"{self._file_name(name)}.json"

    def _train(self, name):
        train_set, with_face_loss = TRAINED[name]
        recipe, runs = self._recipe, self.directory / "runs"
        data, (generator, discriminator) = self._train_sets[train_set], recipe.new_networks()
        first = EsrganGeneratorTrainer(
            generator,
            runs / f"{train_set}-psnr",
            recipe.rate(0),
            options=recipe.options,
            report=self._report,
        )
        first.train(data, None, recipe.psnr_steps, save_best_only=False)
        first.restore()
        second = EsrganTrainer(
            generator,
            discriminator,
            recipe.content_loss,
            recipe.rate(1),
            runs / self._file_name(name),
            pixel_weight=recipe.pixel_weight,
            face_loss=recipe.face_loss if with_face_loss else None,
            adversary=recipe.adversary,
            grid_weight=recipe.grid_weight,
            options=recipe.options,
            report=self._report,
        )
        second.train(data, None, recipe.gan_steps)
        second.restore()
        generator.save_weights(self._weights(name))

    def _load(self, name):
        generator, _ = self._recipe.new_networks()
        generator.load_weights(self._weights(name))
        return generator

    def _answer(self, name):
        """Function of an LR batch to an SR batch, uint8."""
        if name not in self._answers:
            face = FACE_LOSS if FACE_LOSS in self.trained else "faces"
            self._answers[name] = (
                self._fuse(self._load("general"), self._load(face))
                if name == FUSION
                else functools.partial(resolve, self._load(name))
            )
        return self._answers[name]

    def _score(self, name, test_set):
        answer, values = self._answer(name), []
        metrics = {
            key: metric
            for key, metric in self._metrics.items()
            if test_set == "faces" or key not in ON_FACES_ONLY
        }
        for lr, hr in self._test_sets[test_set]:
            sr = answer(lr)
            values.append([np.asarray(metric(hr, sr)) for metric in metrics.values()])
        if not values:
            raise ValueError("nothing to score: a test set is empty")
        means = [float(np.mean(np.concatenate(column))) for column in zip(*values, strict=True)]
        return dict(zip(metrics, means, strict=True))

    def _examples(self):
        """Crops of the first pictures of each test set, by every variant and as they were."""
        rows = {}
        answers = {name: self._answer(name) for name in self.variants}
        for key, pairs in self._test_sets.items():
            for number, (lr, hr) in enumerate(pairs.take(_PICTURES), 1):
                row = {name: middle(answer(lr)) for name, answer in answers.items()}
                rows[f"{key} {number}"] = row | {"truth": middle(hr)}
        return rows


def write_table(path, scores):
    """Write scores as PATH.csv and PATH.md, a row a variant, the best of each column bold.

    Args:
        path: Without ending.
        scores: Variant → test set → metric → number; all but ``lpips`` are better when higher.
    """
    first = next(iter(scores.values()))
    columns = [(key, metric) for key, values in first.items() for metric in values]
    head = ["variant"] + [f"{key} {metric}" for key, metric in columns]
    rows = {name: [values[k][m] for k, m in columns] for name, values in scores.items()}
    with open(f"{path}.csv", "w", newline="") as file:
        csv.writer(file).writerows([head, *([name, *row] for name, row in rows.items())])
    best = [
        min(column) if metric == "lpips" else max(column)
        for (_, metric), column in zip(columns, zip(*rows.values(), strict=True), strict=True)
    ]
    lines = [head, ["---"] * len(head)]
    for name, row in rows.items():
        cells = zip(row, best, columns, strict=True)
        lines.append([name, *(_cell(value, top, metric) for value, top, (_, metric) in cells)])
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    with open(f"{path}.md", "w") as file:
        file.write(text + "\n\nRGB, 8-bit, no border cut.\n")


def _cell(value, best, metric):
    text = f"{value:.{2 if metric.endswith('db') else 4}f}"
    return f"**{text}**" if value == best else text
