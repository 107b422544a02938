"""Write what sureal computes of its published example data: ``python make.py DATASET_FOLDER``.

Needs ``pip install sureal==0.9.0`` and the folder ``resource/dataset`` of github.com/Netflix/sureal
(commit 526715c, Apache-2.0). Ratings are stored as one row of digits an item, a column a person;
a space is a rating that is not there.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sureal import BT500Model, MosModel, P910AnnexEModel
from sureal.dataset_reader import RawDatasetReader
from sureal.tools.misc import import_python_file

NAMES = ("NFLX_dataset_public_raw", "NFLX_dataset_public_raw_last4outliers", "VQEGHD3_dataset_raw")
LISTS = ("quality_scores", "quality_scores_std", "observer_bias", "observer_inconsistency")
STATS = ("observer_rejected", "observer_rejected_1st_stats", "observer_rejected_2nd_stats")


def results(data):
    """Ratings of a data set, and sureal's results by name of the model."""
    reader = RawDatasetReader(data)
    rows = reader.opinion_score_3darray[..., 0]
    text = ["".join(" " if np.isnan(x) else str(int(x)) for x in row) for row in rows]
    found = {"ratings": text}
    for model, keys in ((MosModel, LISTS[:2]), (P910AnnexEModel, LISTS), (BT500Model, STATS)):
        result = model(reader).run_modeling()
        found[model.TYPE] = {key: np.asarray(result[key]).tolist() for key in keys}
    return found


def main(folder):
    """Compute all; the last one again with every third rating left out."""
    for name in NAMES:
        data = import_python_file(str(Path(folder, f"{name}.py")))
        write(name, results(data))
    for number, video in enumerate(data.dis_videos):
        scores = {f"s{i:02}": s for i, s in enumerate(video["os"]) if (i + number) % 3}
        video["os"] = scores
    write(f"{name}_partial", results(data))


def write(name, found):
    """Write one file."""
    Path(__file__).with_name(f"{name}.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
