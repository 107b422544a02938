"""benchmarks/mask_ablation.py: three networks from the same weights, and their table."""

import re

import numpy as np
import pytest
from PIL import Image

from benchmarks import mask_ablation


@pytest.mark.slow
def test_prints_a_row_for_each_network_asked_for(tmp_path, capsys):
    random = np.random.default_rng(0)
    for i in range(2):
        (tmp_path / "clean").mkdir(exist_ok=True)
        pixels = random.integers(0, 256, (3, 4, 3), dtype=np.uint8).repeat(17, 0).repeat(13, 1)
        Image.fromarray(pixels).save(tmp_path / "clean" / f"{i}.png")
    words = ["--clean", str(tmp_path / "clean"), "--valid-clean", str(tmp_path / "clean")]
    words += ["--caches-dir", str(tmp_path / "caches"), "--steps", "2", "--dim", "8"]
    names = ["plain", "mask-aware", "mask-aware, filled, embedding"]
    words += ["--num-blocks", *"0000", "--networks", *names]
    mask_ablation.main([*words, "--crop-px", "16", "--batch-size", "2", "--valid-size", "1"])
    rows = re.findall(r"^\| (\S.*?) \| ([\d,]*) +\| (\d+\.\d\d) \|", capsys.readouterr().out, re.M)
    assert [name for name, *_ in rows] == ["none", *names]
    plain, masked, embedded = (int(count.replace(",", "")) for _, count, _ in rows[1:])
    assert plain == masked == embedded - 8


def test_all_networks_start_with_the_same_weights():
    options = mask_ablation.parser().parse_args(["--clean", "a", "--valid-clean", "b"])
    plain, *others = (mask_ablation.network(options, m) for m in mask_ablation.NETWORKS.values())
    for other in others:
        for layer in (layer for layer in plain.layers if layer.weights):
            for a, b in zip(
                layer.get_weights(), other.get_layer(layer.name).get_weights(), strict=True
            ):
                np.testing.assert_array_equal(a, b)
