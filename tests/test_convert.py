"""Files from elsewhere: recognised, loaded with the stored answers, converted, or refused."""

import itertools
import json
import re

import h5py
import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from infer.__main__ import main
from infer.convert import convert, is_foreign, load_foreign
from infer.tensor_file import read_tensors
from infer.torch_networks import expansion_of
from infer.weights import load_model
from model import weight_file
from model.edsr import edsr
from model.layers import DIV2K_RGB_MEAN
from model.wdsr import wdsr_b

RRDB = "rrdbnet-x4-nf16-nb2-gc8"


def torch_error(model, answer):
    """Largest difference from a stored answer on 0..1, over its standard deviation."""
    expected = np.load(answer)
    output = model(255 * expected["input"], training=False).numpy() / 255
    return np.abs(output - expected["output"]).max() / expected["output"].std()


# --- PyTorch -----------------------------------------------------------------------------------


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


# --- Keras 2 -----------------------------------------------------------------------------------

BLOG = {
    "edsr-x2": ("edsr", {"scale": 2, "num_filters": 16, "num_res_blocks": 2}),
    "edsr-x3": ("edsr", {"scale": 3, "num_res_blocks": 2, "res_block_scaling": 0.1}),
    "edsr-x4": ("edsr", {"scale": 4, "num_res_blocks": 3, "res_block_scaling": None}),
    "wdsr-a-x2": ("wdsr_a", {"scale": 2, "num_filters": 8, "res_block_expansion": 4}),
    "wdsr-b-x3": ("wdsr_b", {"scale": 3, "num_res_blocks": 2, "res_block_scaling": None}),
    "wdsr-b-x4": ("wdsr_b", {"scale": 4, "num_res_blocks": 3, "res_block_scaling": 0.1}),
    "srgan-generator": ("sr_resnet", {"num_filters": 16, "num_res_blocks": 2}),
    "srgan-discriminator": ("discriminator", {"num_filters": 4}),
}


@pytest.mark.parametrize("name", BLOG)
def test_blog_files_are_recognised_and_give_their_answer(golden, request, name):
    folder = golden / "krasserm"
    if not (folder / f"{name}.h5").exists():  # the discriminator's is too large to copy
        folder = request.getfixturevalue("shared") / "reference" / "krasserm"
    model = load_model(folder / f"{name}.h5")
    builder, arguments = BLOG[name]
    assert model.built_by.name == builder
    assert arguments.items() <= model.built_by.arguments.items()
    expected = np.load(folder / f"{name}.npz")
    output = model(expected["input"].astype("f4"), training=False).numpy()
    np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-2)


def test_the_published_wdsr_is_recognised(shared):
    model = load_model(shared / "data" / "weights" / "krasserm-wdsr-b-32-x4.h5")
    assert model.built_by.name == "wdsr_b"
    expected = {"scale": 4, "num_filters": 32, "num_res_blocks": 32, "res_block_expansion": 6}
    assert expected.items() <= model.built_by.arguments.items()


def edited(source, target, edit):
    """A copy of an old file with each layer's names and tensors as `edit` returns them."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        root = new.create_group("model_weights")
        root.attrs["layer_names"] = old.attrs["layer_names"]
        for layer in old.attrs["layer_names"]:
            tensors = {n.decode(): old[layer][n][()] for n in old[layer].attrs["weight_names"]}
            tensors = edit(tensors)
            group = root.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in tensors]
            for name, tensor in tensors.items():
                group[name] = tensor
        new.attrs["model_config"] = json.dumps({"Lambda": "code that is never looked at"})
        new.create_group("optimizer_weights").attrs["weight_names"] = []
    return target


def weight_norm(tensors):
    """Names of a layer's tensors by their last part if it is weight-normalised, else nothing."""
    leaves = {name.rpartition("/")[2].removesuffix(":0"): name for name in tensors}
    return leaves if "g" in leaves else {}


def direction_norm(tensors, leaves):
    return np.sqrt((tensors[leaves["kernel"]] ** 2).sum((0, 1, 2)))


def test_full_models_without_initialised_flags(golden, tmp_path):
    """The flags of these files are off: the stored answer has magnitudes equal to the norms."""

    def write_magnitudes(tensors):
        if leaves := weight_norm(tensors):
            assert not tensors.pop(leaves["initialized"])
            tensors[leaves["g"]] = direction_norm(tensors, leaves)
        return tensors

    path = edited(golden / "krasserm/wdsr-b-x4.h5", tmp_path / "m.h5", write_magnitudes)
    expected = np.load(golden / "krasserm/wdsr-b-x4.npz")
    output = load_model(path)(expected["input"].astype("f4")).numpy()
    np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-2)


@pytest.mark.parametrize("flag", [None, True])
def test_magnitudes_count_once_initialised_or_without_a_flag(golden, tmp_path, flag):
    """Magnitudes three times the norms are plain kernels three times as large."""

    def with_magnitude(tensors):
        if leaves := weight_norm(tensors):
            tensors[leaves["g"]] = 3 * direction_norm(tensors, leaves)
            if flag is None:
                del tensors[leaves["initialized"]]
            else:
                tensors[leaves["initialized"]] = np.array(flag)
        return tensors

    def plain(tensors):
        if leaves := weight_norm(tensors):
            kernel = 3 * tensors[leaves["kernel"]]
            return {leaves["kernel"]: kernel, leaves["bias"]: tensors[leaves["bias"]]}
        return tensors

    source = golden / "krasserm" / "wdsr-b-x3.h5"
    pictures = np.load(source.with_suffix(".npz"))["input"].astype("f4")
    models = [
        load_model(edited(source, tmp_path / f"{edit.__name__}.h5", edit))
        for edit in (with_magnitude, plain)
    ]
    assert models[0].built_by == models[1].built_by
    outputs = [model(pictures).numpy() for model in models]
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-4 * outputs[0].std())


def test_plain_convolutions_are_wdsr_too(golden, tmp_path):
    def plain(tensors):
        if leaves := weight_norm(tensors):
            return {leaves[leaf]: tensors[leaves[leaf]] for leaf in ("kernel", "bias")}
        return tensors

    path = edited(golden / "krasserm/wdsr-b-x3.h5", tmp_path / "plain.h5", plain)
    expected = np.load(golden / "krasserm/wdsr-b-x3.npz")
    output = load_model(path)(expected["input"].astype("f4")).numpy()
    np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-2)


def test_names_split_over_several_attributes(golden, tmp_path):
    """Keras 2 did so when a list of names was longer than 64 kB."""
    path = tmp_path / "split.h5"
    path.write_bytes((golden / "krasserm/edsr-x2.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        names = file.attrs.pop("layer_names")
        for i in range(12):
            file.attrs[f"layer_names{i}"] = names[i : i + 1] if i < 11 else names[11:]
    assert load_model(path).built_by.arguments["num_res_blocks"] == 2


def test_an_override_replaces_what_is_guessed(golden):
    said = []
    path = golden / "krasserm" / "wdsr-b-x4.h5"
    model = load_model(path, {"res_block_scaling": 0.3}, report=said.append)
    assert model.built_by.arguments["res_block_scaling"] == 0.3
    assert "does not say" not in said[0]
    with pytest.raises(ValueError, match="wdsr_b has no argument 'blocks'; it has scale, num_fil"):
        load_model(path, {"blocks": 3})


# --- conversion --------------------------------------------------------------------------------


def test_converted_files_are_ours_and_say_where_they_came_from(golden, tmp_path):
    source = golden / "torch" / "edsr-x4-nf16-nb2.pth"
    said = []
    out = convert(
        source,
        tmp_path / "new" / "edsr.weights.h5",
        arguments={"res_block_scaling": 0.1},
        origin={"licence": "Apache-2.0"},
        report=said.append,
    )
    assert not is_foreign(out)
    assert "18 tensors, 31,043 numbers; a random picture comes out the same" in said[1]
    note = weight_file.read_note(out)
    assert note["origin"] == ["edsr-x4-nf16-nb2.pth"]
    assert note["source_sha256"] == [
        "771cbdb288b313ad78b7fb17e8ab05380f0b0fa111be816251ef98b8d9ed4393"
    ]
    assert note["licence"] == "Apache-2.0"
    assert torch_error(load_model(out), golden / "torch" / "edsr-x4-nf16-nb2.npz") < 1e-4


def test_the_command_line(golden, tmp_path, capfd):
    source = tmp_path / "old.h5"
    source.write_bytes((golden / "krasserm" / "edsr-x3.h5").read_bytes())
    assert main(["convert", str(source), "--set", "res_block_scaling=0.2"]) == 0
    out = capfd.readouterr().out
    assert "EDSR, edsr(scale=3, num_filters=16, num_res_blocks=2, res_block_scaling=0.2)" in out
    note = weight_file.read_note(tmp_path / "old.weights.h5")
    assert note["arguments"]["res_block_scaling"] == 0.2
    assert note["licence"] == "not stated; that of the origin applies"


def test_two_files_at_the_command_line(golden, tmp_path, capfd):
    """Any split of a network's tensors over files will do."""
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    names = list(tensors)
    save_file({n: tensors[n] for n in names[:30]}, tmp_path / "a.safetensors")
    save_file({n: tensors[n] for n in names[30:]}, tmp_path / "b.safetensors")
    files = [str(tmp_path / name) for name in ("a.safetensors", "b.safetensors", "ab.h5")]
    assert main(["convert", files[0], files[2], "--with", files[1], "--licence", "mine"]) == 0
    note = weight_file.read_note(files[2])
    assert note["origin"] == ["a.safetensors", "b.safetensors"] and note["licence"] == "mine"
    assert torch_error(load_model(files[2]), golden / "torch" / f"{RRDB}.npz") < 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["malicious-zip.pth"], r"names posix\.system"),
        (["nothing.pth"], "no weight file at .*nothing.pth"),
        ([f"{RRDB}.pth", f"{RRDB}.pth"], "is the source itself: name another file"),
        ([f"{RRDB}.pth", "OUT.txt"], "a weight file's name must end in .h5"),
        ([f"{RRDB}.pth", "--set", "blocks=3"], "rrdb_net has no argument 'blocks'"),
    ],
)
def test_mistakes_at_the_command_line(golden, tmp_path, capfd, arguments, message):
    paths = [str(golden / "torch" / a) if a.endswith(".pth") else a for a in arguments]
    paths = [str(tmp_path / a) if a == "OUT.txt" else a for a in paths]
    assert main(["convert", *paths]) == 2
    error = capfd.readouterr().err
    assert re.search(message, error)
    assert error.startswith("error: ") and error.count("\n") == 1


# --- what is refused ---------------------------------------------------------------------------


def test_what_is_missing_unexpected_or_of_another_shape_is_named(golden, tmp_path):
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    del tensors["conv_hr.bias"]
    tensors["conv_extra.weight"] = np.zeros((3, 3), "f4")
    tensors["conv_last.weight"] = np.zeros((3, 17, 3, 3), "f4")
    for i in range(12):
        tensors[f"attention.{i}.weight"] = np.zeros(2, "f4")
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="another network") as error:
        load_foreign(tmp_path / "a.safetensors")
    lines = str(error.value).splitlines()
    assert lines[1] == "  missing: conv_hr.bias"
    assert lines[2].startswith("  unexpected: attention.0.weight") and "and 3 more" in lines[2]
    assert lines[3] == "  wrong shape: conv_last.weight is (3, 17, 3, 3), not (3, 16, 3, 3)"


def test_a_file_with_too_many_blocks_asked_of_it(golden):
    with pytest.raises(ValueError, match="another network") as error:
        load_model(golden / "torch" / f"{RRDB}.pth", {"num_blocks": 3})
    assert "missing: body_2_rdb1_conv1.bias" in str(error.value)
    assert "and 20 more" in str(error.value)


def test_a_huge_block_number_builds_no_huge_network(golden, tmp_path):
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    tensors["body.999999999.rdb1.conv1.weight"] = np.zeros((8, 16, 3, 3), "f4")
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"unexpected: body\.999999999\.rdb1"):
        load_foreign(tmp_path / "a.safetensors")


def test_forged_shapes_make_no_giant(golden, tmp_path):
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    np.savez(tmp_path / "a.npz", **tensors | {"conv_first.weight": np.zeros((5000, 3, 1, 1), "f4")})
    with pytest.raises(ValueError, match="with num_filters=5000 is not believable"):
        load_foreign(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **tensors | {"conv_first.weight": np.zeros((4000, 3, 0, 3), "f4")})
    with pytest.raises(ValueError, match=r"tensors without numbers: conv_first\.weight"):
        load_foreign(tmp_path / "a.npz")
    path = tmp_path / "a.h5"
    path.write_bytes((golden / "krasserm/edsr-x2.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        del file["conv2d/conv2d/kernel:0"]
        file.create_dataset("conv2d/conv2d/kernel:0", (3, 3, 3, 10**9), "f4", chunks=True)
    with pytest.raises(ValueError, match="bytes and would unpack to 108000"):
        load_model(path)
    with pytest.raises(ValueError, match="bytes and would unpack to 108000"):
        edsr(2, num_filters=16, num_res_blocks=2).load_weights(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"fc.weight": (2, 3)}, "no network known here: its first tensors are fc.weight"),
        ({"conv_first.weight": (4,), "body.0.rdb1.conv1.weight": (4,)}, "no network known here"),
        ({"patch_embed.proj.weight": (4, 3), "output.weight": (3, 4)}, "no network known here"),
        (
            {"conv_first.weight": (4, 5, 3, 3), "body.0.rdb1.conv1.weight": (2, 4, 3, 3)},
            "must take 3, 12 or 48 channels .* got 5",
        ),
    ],
)
def test_tensors_of_no_network(tmp_path, tensors, message):
    np.savez(tmp_path / "a.npz", **{n: np.ones(shape, "f4") for n, shape in tensors.items()})
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "a.npz")


def test_numbers_that_are_not_finite(golden, tmp_path, capfd):
    tensors = read_tensors(golden / "torch" / f"{RRDB}.pth")
    tensors["conv_hr.bias"] = np.full(16, np.nan, "f4")
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="not finite in conv_hr/bias; --allow-nan"):
        load_model(tmp_path / "a.safetensors")
    assert main(["convert", str(tmp_path / "a.safetensors")]) == 2
    assert "conv_hr/bias; --allow-nan" in capfd.readouterr().err
    assert not (tmp_path / "a.weights.h5").exists()
    assert main(["convert", str(tmp_path / "a.safetensors"), "--allow-nan"]) == 0
    with pytest.raises(ValueError, match="not finite in conv_hr/bias"):
        load_model(tmp_path / "a.weights.h5")
    model = load_model(tmp_path / "a.weights.h5", allow_nan=True)
    assert np.isnan(model.get_layer("conv_hr").bias).all()


def test_hdf5_of_no_network(tmp_path, capfd):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["pictures"] = np.zeros((2, 3))
    with pytest.raises(ValueError, match="is HDF5 without a network's weights"):
        load_model(path)
    assert main(["convert", str(path)]) == 2
    assert capfd.readouterr().err == f"error: {path} is HDF5 without a network's weights\n"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = [b"dense/kernel:0"]
        file["dense"]["dense/kernel:0"] = np.zeros((2, 3))
    with pytest.raises(ValueError, match="HDF5 of no network known here: .* are dense"):
        load_model(path)


def test_our_layout_without_a_note(tmp_path):
    path = tmp_path / "a.weights.h5"
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save_weights(path)
    with pytest.raises(ValueError, match="does not say which network it is for; build one"):
        load_model(path)


@pytest.mark.parametrize("kept", [0.2, 0.9])
def test_truncated_hdf5(golden, tmp_path, kept):
    data = (golden / "krasserm" / "edsr-x2.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match="is not a whole HDF5 weight file"):
        load_model(tmp_path / "a.h5")


def test_a_web_page_under_any_name(tmp_path, capfd):
    for name in ("a.pth", "a.h5", "a.safetensors"):
        (tmp_path / name).write_text("<!doctype html><title>Not Found</title>")
        assert main(["convert", str(tmp_path / name)]) == 2
        assert "is a web page, not a weight file" in capfd.readouterr().err


def test_a_keras_2_file_of_a_changed_network(golden, tmp_path):
    """One tensor less: recognised, and the missing name is given."""
    path = edited(golden / "krasserm/edsr-x2.h5", tmp_path / "a.h5", _without_one_bias)
    with pytest.raises(ValueError, match="another network") as error:
        load_model(path)
    assert "missing: conv2d_2/1" in str(error.value)


def _without_one_bias(tensors):
    return {n: t for n, t in tensors.items() if not n.endswith("conv2d_2/bias:0")}


def test_our_own_files_take_other_arguments_too(tmp_path):
    wdsr_b(2, num_filters=8, num_res_blocks=1).save_weights(tmp_path / "a.weights.h5")
    model = load_model(tmp_path / "a.weights.h5", {"res_block_scaling": 0.5})
    assert model.built_by.arguments["res_block_scaling"] == 0.5
    with pytest.raises(ValueError, match="wdsr_b has no argument 'depth'"):
        load_model(tmp_path / "a.weights.h5", {"depth": 0.5})
    edsr(2, num_filters=8, num_res_blocks=1).save_weights(tmp_path / "b.weights.h5")
    with pytest.raises(ValueError, match="another network"):
        load_model(tmp_path / "b.weights.h5", {"num_res_blocks": 2})
