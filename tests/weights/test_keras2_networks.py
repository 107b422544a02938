"""Networks of files that Keras 2 wrote: recognised, loaded, and their answers the stored ones."""

import json

import h5py
import numpy as np
import pytest

from weights.load import load_model

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


def test_a_keras_2_file_of_a_changed_network(golden, tmp_path):
    """One tensor less: recognised, and the missing name is given."""
    path = edited(golden / "krasserm/edsr-x2.h5", tmp_path / "a.h5", _without_one_bias)
    with pytest.raises(ValueError, match="another network") as error:
        load_model(path)
    assert "missing: conv2d_2/1" in str(error.value)


def _without_one_bias(tensors):
    return {n: t for n, t in tensors.items() if not n.endswith("conv2d_2/bias:0")}
