"""Curves of a run, and runs side by side."""

import argparse
import json

import numpy as np
import pytest
from PIL import Image

from train.commands import report
from train.curves import draw_run, read_metrics


def write_run(directory, lines, **facts):
    directory.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (directory / "metrics.jsonl").write_text(text)
    if facts:
        (directory / "run.json").write_text(json.dumps(facts))
    return directory


def pixel_lines(steps=7, session_s=3600.0, peak=3):
    """Lines of a pixel-loss run whose PSNR is highest at evaluation `peak`."""
    return [
        {
            "step": 100 * n,
            "session_s": session_s * n,
            "loss": 8 / n,
            "learning_rate": 1e-4,
            "psnr_rgb_db": 30 - abs(n - peak) / 10,
            "skipped_steps": 0,
        }
        for n in range(1, steps + 1)
    ]


def arguments(*words):
    parser = argparse.ArgumentParser()
    report.add_options(parser)
    return parser.parse_args([str(word) for word in words])


def test_the_table_has_what_the_runs_left(tmp_path):
    sessions = [{"commit": "aaaaaaaaaa"}, {"commit": "0123456789abcdef"}]
    lines = pixel_lines(5) + [{"step": 600, "session_s": 1800.0, "loss": 0.5}]
    first = write_run(tmp_path / "a", lines, sessions=sessions, data={"pictures": 800})
    second = write_run(tmp_path / "b", [{"step": 7, "perceptual_loss": 0.25, "x_loss": 9.0}])
    said = []
    png = tmp_path / "new" / "report.png"
    assert report.run(arguments(first, second, "-o", png), said.append) == 0
    head, one, two = (line.split("  ") for line in said[0].splitlines())
    cells = [cell.strip() for cell in one if cell.strip()]
    assert [cell.strip() for cell in head if cell.strip()] == list(report.COLUMNS)
    assert cells == [str(first), "600", "30.00", "300", "0.5", "–", "5.50", "–", "800", "0123456"]
    cells = [cell.strip() for cell in two if cell.strip()]
    assert cells == [str(second), "7", "–", "–", "0.25", "–", "–", "–", "–", "–"]
    assert said[1] == f"wrote {png}" and np.asarray(Image.open(png)).std() > 5


@pytest.mark.parametrize("parts", ["sources", "mixed"])
def test_pictures_of_a_mixture_are_those_of_all_its_parts(tmp_path, parts):
    run = write_run(tmp_path, [], data={parts: [{"pictures": 5}, {"pictures": 7}]})
    assert report.summary(run, [])["pictures"] == 12


def test_a_run_that_has_just_begun_is_in_the_table_and_not_drawn(tmp_path):
    run, said = write_run(tmp_path / "a", [], recipe={}), []
    assert report.run(arguments(run, "-o", tmp_path / "r.png"), said.append) == 0
    assert said[0].splitlines()[1].split()[1:] == ["–"] * 9
    assert said[1] == "no run has numbers to draw yet" and not (tmp_path / "r.png").exists()


def test_bad_runs_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run in .*absent: neither run.json nor metrics"):
        report.run(arguments(tmp_path / "absent"), str)
    run = write_run(tmp_path / "a", [])
    (run / "metrics.jsonl").write_text('{"step": 1}\nno numbers\n{"step": 2}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl is damaged in line 2"):
        report.run(arguments(run), str)
    run = write_run(tmp_path / "b", pixel_lines())
    (run / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is damaged .*Remove it"):
        report.run(arguments(run), str)


def test_a_line_still_being_written_is_left_out(tmp_path):
    run = write_run(tmp_path, pixel_lines(2))
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 300, "lo')
    assert [line["step"] for line in read_metrics(run)] == [100, 200]


def size_of(png):
    return np.asarray(Image.open(png)).shape[:2]


def test_every_run_gets_loss_and_psnr_and_a_learning_rate_that_changes(tmp_path):
    draw_run(write_run(tmp_path, pixel_lines()))
    assert size_of(tmp_path / "curves.png") == (350, 1000)  # two panels side by side
    lines = [line | {"learning_rate": 1e-4 / line["step"]} for line in pixel_lines()]
    draw_run(write_run(tmp_path, lines))
    assert size_of(tmp_path / "curves.png") == (700, 1000)


def test_tasks_get_panels_of_their_metrics(tmp_path):
    lines = [
        line | {f"{task}/{metric}": n for task in ("a", "b") for metric in ("psnr_rgb_db", "lpips")}
        for n, line in enumerate(pixel_lines())
    ]
    draw_run(write_run(tmp_path, lines))
    assert size_of(tmp_path / "curves.png") == (700, 1000)  # loss, PSNR, LPIPS


def test_nothing_is_drawn_of_nothing(tmp_path):
    draw_run(tmp_path)
    draw_run(write_run(tmp_path / "a", [{"step": 1, "session_s": 1, "learning_rate": 1e-4}]))
    assert not list(tmp_path.rglob("*.png"))
