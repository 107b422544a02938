"""Networks of PyTorch files: recognised, loaded, and their answers the stored ones."""

import itertools
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from model.esrgan import rrdb_net
from model.layers import DIV2K_RGB_MEAN
from tests.conftest import RRDB, torch_error
from weights.convert import load_foreign
from weights.load import load_model
from weights.tensor_file import read_tensors
from weights.torch_networks import expansion_of


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("edsr-x3-nf16-nb2", {}),
        ("edsr-x4-nf16-nb2", {"res_block_scaling": 0.1}),
        (f"{RRDB}-legacy", {}),
    ],
)
def test_torch_files_give_their_answer(golden, name, arguments):
    said = []
    path = golden / "torch" / f"{name}.pth"
    model = load_model(path, arguments, report=said.append)
    assert torch_error(model, golden / "torch" / f"{name.removesuffix('-legacy')}.npz") < 1e-4
    assert len(said) == 1
    guesses = "edsr" in name and not arguments
    assert ("does not say res_block_scaling (taken as None)" in said[0]) == guesses


def test_half_precision_is_near(golden):
    model = load_foreign(golden / "torch" / f"{RRDB}-module-half.pth")
    assert 1e-4 < torch_error(model, golden / "torch" / f"{RRDB}.npz") < 1e-2


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("withbias", {"layer_norm": "with_bias", "use_bias": False, "in_channels": 3}),
        ("biasfree", {"layer_norm": "bias_free", "use_bias": False, "in_channels": 3}),
        ("convbias-gray", {"layer_norm": "with_bias", "use_bias": True, "in_channels": 1}),
        ("dualpixel", {"dual_pixel": True, "in_channels": 6, "out_channels": 3}),
    ],
)
def test_restormer_gives_its_answer(shared, name, facts):
    folder = shared / "reference" / "torch"
    said = []
    model = load_foreign(folder / f"restormer-{name}.pth", report=said.append)
    assert said[0].endswith("the weights its authors published are for academic use only")
    facts |= {"dim": 8, "num_blocks": (1, 2, 1, 2), "num_refinement_blocks": 1}
    facts |= {"heads": (1, 2, 4, 8), "ffn_expansion": 2.66}
    assert facts.items() <= model.built_by.arguments.items()
    assert torch_error(model, folder / f"restormer-{name}.npz") < 1e-4


def test_restormers_mask_is_a_matter_of_arguments(shared):
    """The weights are the same: any of the published networks can be made mask-aware."""
    path = shared / "reference" / "torch" / "restormer-biasfree.pth"
    model = load_model(path, {"mask_aware": True})
    expected = np.load(path.with_suffix(".npz"))
    mask = np.ones((*expected["input"].shape[:3], 1), "f4")
    output = model([255 * expected["input"], mask]).numpy() / 255
    np.testing.assert_allclose(output, expected["output"], atol=1e-4 * expected["output"].std())


def test_restormers_expansion_is_recovered():
    for dim, expansion in itertools.product((6, 8, 24, 48), (2.66, 2.0, 1.5, 3.14, 1 / 3)):
        widths = [(dim * 2**level, int(dim * 2**level * expansion)) for level in range(4)]
        found = expansion_of(widths)
        assert [int(channels * found) for channels, _ in widths] == [width for _, width in widths]
        assert found == expansion or (dim, expansion) not in ((48, 2.66), (8, 2.66), (24, 1.5))


def test_restormers_widths_of_no_expansion():
    with pytest.raises(ValueError, match="no ffn_expansion gives these widths"):
        expansion_of([(8, 16), (16, 48)])


OLD_NAMES = {  # BasicSR's names in the first two styles of ESRGAN's authors
    r"conv_first\.": ("conv_first.", "model.0."),
    r"body\.(\d)\.rdb(\d)\.conv(\d)\.": (
        r"RRDB_trunk.\1.RDB\2.conv\3.",
        r"model.1.sub.\1.RDB\2.conv\3.0.",
    ),
    r"conv_body\.": ("trunk_conv.", "model.1.sub.2."),
    r"conv_up1\.": ("upconv1.", "model.3."),
    r"conv_up2\.": ("upconv2.", "model.6."),
    r"conv_hr\.": ("HRconv.", "model.8."),
    r"conv_last\.": ("conv_last.", "model.10."),
}


@pytest.mark.parametrize("style", [0, 1])
def test_older_names_of_rrdbnet(golden, tmp_path, style):
    tensors = {}
    for name, tensor in read_tensors(golden / "torch" / f"{RRDB}.pth").items():
        pattern, styles = next(item for item in OLD_NAMES.items() if re.match(item[0], name))
        tensors[re.sub(pattern, styles[style], name)] = tensor
    save_file(tensors, tmp_path / "old.safetensors")
    model = load_foreign(tmp_path / "old.safetensors")
    assert torch_error(model, golden / "torch" / f"{RRDB}.npz") < 1e-4


@pytest.mark.parametrize(
    ("style", "scale"), [("bsrgan", 2), ("oldest", 1), ("oldest", 2), ("oldest", 8), ("oldest", 16)]
)
def test_rrdbnet_of_other_scales_without_unshuffling(tmp_path, scale, style):
    """BSRGAN ×2 and ESRGAN's old models: one doubling fewer or more, nothing un-shuffled."""
    model = rrdb_net(scale, 5, 1, 3, unshuffle=False)
    doublings = {1: 0, 2: 1, 4: 2, 8: 3, 16: 4}[scale]
    oldest = {"conv_first": "0", "conv_body": "1.sub.1", "conv_hr": str(2 + 3 * doublings)}
    oldest |= {"conv_last": str(4 + 3 * doublings)}
    oldest |= {f"conv_up{i}": str(3 * i) for i in range(1, doublings + 1)}
    bsrgan = {"conv_body": "trunk_conv", "conv_hr": "HRconv"}
    bsrgan |= {f"conv_up{i}": f"upconv{i}" for i in range(1, doublings + 1)}
    tensors = {}
    for layer in (layer for layer in model.layers if layer.weights):
        kernel, bias = layer.get_weights()
        block = re.fullmatch(r"body_0_rdb(\d)_conv(\d)", layer.name)
        if style == "bsrgan":
            name = bsrgan.get(layer.name, layer.name)
            name = f"RRDB_trunk.0.RDB{block[1]}.conv{block[2]}" if block else name
        elif block:
            name = f"model.1.sub.0.RDB{block[1]}.conv{block[2]}.0"
        else:
            name = f"model.{oldest[layer.name]}"
        tensors[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        tensors[f"{name}.bias"] = bias
    save_file(tensors, tmp_path / "a.safetensors")
    again = load_foreign(tmp_path / "a.safetensors")
    assert again.built_by.arguments["scale"] == scale
    picture = np.random.default_rng(0).uniform(0, 255, (1, 5, 7, 3)).astype("f4")
    assert again(picture).shape == (1, 5 * scale, 7 * scale, 3)
    np.testing.assert_array_equal(again(picture), model(picture))


@pytest.mark.parametrize("prefix", ["net_g.module.", "model."])
def test_a_prefix_of_all_names(golden, tmp_path, prefix):
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    save_file({prefix + n: t for n, t in tensors.items()}, tmp_path / "a.safetensors")
    model = load_foreign(tmp_path / "a.safetensors")
    assert torch_error(model, golden / "torch" / f"{RRDB}.npz") < 1e-4


EDSR_PYTORCH = {
    r"conv_first\.": "head.0.",
    r"body\.(\d)\.conv1\.": r"body.\1.body.0.",
    r"body\.(\d)\.conv2\.": r"body.\1.body.2.",
    r"conv_after_body\.": "body.2.",
    r"upsample\.(\d)\.": r"tail.0.\1.",
    r"conv_last\.": "tail.1.",
}


@pytest.mark.parametrize("value_range", [255, 1])
def test_edsr_pytorchs_names_and_mean_layers(golden, tmp_path, value_range):
    """The same network on pictures 0..R: first weights by 255/R, last by R/255."""
    tensors = {}
    for name, tensor in read_tensors(golden / "torch" / "edsr-x3-nf16-nb2.pth").items():
        pattern, other = next(item for item in EDSR_PYTORCH.items() if re.match(item[0], name))
        if name == "conv_first.weight":
            tensor = tensor * (255 / value_range)
        elif name.startswith("conv_last."):
            tensor = tensor / (255 / value_range)
        tensors[re.sub(pattern, other, name)] = tensor.astype("f4")
    mean = np.array(DIV2K_RGB_MEAN, "f4") / 255 * value_range
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        tensors[f"{name}.weight"] = np.eye(3, dtype="f4").reshape(3, 3, 1, 1)
        tensors[f"{name}.bias"] = sign * mean
    save_file(tensors, tmp_path / "edsr.safetensors")
    model = load_foreign(tmp_path / "edsr.safetensors")
    assert torch_error(model, golden / "torch" / "edsr-x3-nf16-nb2.npz") < 1e-4
    tensors["sub_mean.bias"] = tensors["sub_mean.bias"] * np.float32([1, 1, 1.2])
    save_file(tensors, tmp_path / "edsr.safetensors")
    with pytest.raises(ValueError, match="subtracts another mean than DIV2K's"):
        load_foreign(tmp_path / "edsr.safetensors")


def test_wide_edsr_is_taken_to_scale_its_residuals(tmp_path):
    random = np.random.default_rng(0)
    shapes = {"conv_first": (256, 3), "body.0.conv1": (256, 256), "body.0.conv2": (256, 256)}
    shapes |= {"conv_after_body": (256, 256), "upsample.0": (1024, 256), "conv_last": (3, 256)}
    tensors = {}
    for name, (outputs, inputs) in shapes.items():
        tensors[f"{name}.weight"] = random.normal(size=(outputs, inputs, 3, 3)).astype("f4")
        tensors[f"{name}.bias"] = np.zeros(outputs, "f4")
    np.savez(tmp_path / "edsr.npz", **tensors)
    said = []
    model = load_foreign(tmp_path / "edsr.npz", report=said.append)
    assert model.built_by.arguments["res_block_scaling"] == 0.1
    assert "the file does not say res_block_scaling (taken as 0.1)" in said[0]
