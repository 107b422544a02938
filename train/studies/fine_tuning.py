"""The fine-tuning study: how many pictures and how many steps a foundation model needs.

For each kind of damage two series are run: more and more pictures at the same number of steps, and
more and more steps on the same pictures. Every finished run ("cell") is a JSON file, so nothing
is computed twice after an interruption; tables and figures are made from these files.
"""

import functools
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from model.restoration import restored
from train.atomic_write import write_text
from train.foundation import METRICS, fine_tune, mean_scores
from train.studies.tables import (
    draw_comparison,
    draw_error_maps,
    draw_series,
    middle,
    write_table,
)

TASKS = ("gaussian-noise", "motion-blur", "aliasing", "inpainting")
SIZES = ((10, 2), (20, 4), (40, 8), (80, 16))
"""Training and validation pictures of the first series."""
SIZES_STEPS = 200
STEPS = (100, 200, 300, 400, 500, 600, 700, 800)
"""Updates of the second series, on 40 training and 8 validation pictures."""
STEPS_SIZE = (40, 8)


@dataclass(frozen=True)
class Cell:
    """One run of the study."""

    task: str
    train_size: int
    valid_size: int
    steps: int

    @property
    def name(self):
        """Name of its files."""
        return f"{self.task}-{self.train_size}-{self.steps}"


class Study:
    """Runs the cells that are not there yet, then writes tables and figures.

    Args:
        load_model: Function () → the foundation model with its weights, anew at each call.
        datasets: Function (task, train_size, valid_size) → (training, validation batches).
        directory: Where everything goes.
        tasks: Tasks to study; tables and figures are numbered in this order from 2.
        sizes: (train_size, valid_size) of the first series, run for `sizes_steps` updates.
        sizes_steps: Updates of each run of the first series.
        steps: Updates of the second series, run on `steps_size` pictures.
        steps_size: (train_size, valid_size) of the second series.
        metrics: Name → function (clean, restored) → (B,).
        options: `TrainerOptions` of each run.
        report: Called with one sentence a cell.
    """

    def __init__(
        self,
        load_model,
        datasets,
        directory,
        *,
        tasks=TASKS,
        sizes=SIZES,
        sizes_steps=SIZES_STEPS,
        steps=STEPS,
        steps_size=STEPS_SIZE,
        metrics=None,
        options=None,
        report=print,
    ):
        self._load_model, self._datasets = load_model, datasets
        self.directory, self.tasks = Path(directory), tuple(tasks)
        self.metrics, self._options = dict(metrics or METRICS), options
        self._report, self._untuned = report, {}
        self._series = {
            "pictures": [(*size, sizes_steps) for size in sizes],
            "steps": [(*steps_size, n) for n in steps],
        }

    def cells(self, task, series):
        """Return the cells of one series, "pictures" or "steps"."""
        return [Cell(task, *numbers) for numbers in self._series[series]]

    def run(self):
        """Run what is missing, then `write`."""
        for task in self.tasks:
            cells = dict.fromkeys(self.cells(task, "pictures") + self.cells(task, "steps"))
            for cell in cells:
                if self._file(cell).exists():
                    self._report(f"{cell.name} is there")
                else:
                    self._run(cell)
        self.write()

    def _file(self, cell):
        return self.directory / "cells" / f"{cell.name}.json"

    def _weights(self, task):
        return self.directory / "fine-tuned" / f"{task}.weights.h5"

    def _run(self, cell):
        run_dir = self.directory / "runs" / cell.name
        valid = self._datasets(cell.task, cell.train_size, cell.valid_size)[1]
        model = self._load_model()
        pictures = cell.task, cell.valid_size
        if pictures not in self._untuned:
            self._untuned[pictures] = {
                "input": mean_scores(lambda damaged, _: damaged, valid, self.metrics),
                "foundation": self._scores(model, valid),
            }
        scores = dict(self._untuned[pictures])
        fine_tune(
            model,
            cell.task,
            cell.train_size,
            cell.steps,
            datasets=self._datasets,
            checkpoint_dir=run_dir,
            valid_size=cell.valid_size,
            metrics=self.metrics,
            options=self._options,
            report=self._report,
        )
        tuned = self._load_model()  # in float32, whatever it was trained in
        tuned.set_weights(model.get_weights())
        scores["fine-tuned"] = self._scores(tuned, valid)
        if cell == self.cells(cell.task, "steps")[-1]:
            model.save_weights(self._weights(cell.task))
        write_text(self._file(cell), json.dumps(asdict(cell) | {"scores": scores}, indent=1))
        shutil.rmtree(run_dir)
        self._report(f"finished {cell.name}")

    def _scores(self, model, dataset):
        return mean_scores(functools.partial(restored, model), dataset, self.metrics)

    def _results(self, task, series):
        return [json.loads(self._file(cell).read_text()) for cell in self.cells(task, series)]

    def write(self):
        """Write tables 1 to 5 (CSV, Markdown), figures 2 to 5, tables 6 and 7 (PNG)."""
        last = [self._results(task, "steps")[-1] for task in self.tasks]
        write_table(self.directory / "table-1", last, self.metrics)
        for number, task in enumerate(self.tasks, 2):
            results = self._results(task, "pictures") + self._results(task, "steps")
            unique = list({json.dumps(result): result for result in results}.values())
            write_table(self.directory / f"table-{number}-{task}", unique, self.metrics)
            png = self.directory / f"figure-{number}-{task}.png"
            draw_series(png, task, self._results(task, "steps"), self.metrics)
        rows = {task: self._example(task) for task in self.tasks}
        draw_comparison(self.directory / "table-6.png", rows)
        draw_error_maps(self.directory / "table-7.png", rows)

    def _example(self, task):
        """Crops of input, foundation, fine-tuned and truth of a task's first validation picture."""
        cell = self.cells(task, "steps")[-1]
        valid_dataset = self._datasets(task, cell.train_size, cell.valid_size)[1]
        damaged, clean, valid_mask = next(iter(valid_dataset))
        model = self._load_model()
        foundation = restored(model, damaged, valid_mask)
        model.load_weights(self._weights(task))
        tuned = restored(model, damaged, valid_mask)
        pictures = {"input": damaged, "foundation": foundation, "fine-tuned": tuned, "truth": clean}
        return {name: middle(batch) for name, batch in pictures.items()}
