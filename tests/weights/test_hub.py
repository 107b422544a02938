"""Networks published to and fetched from a hub: a local server that speaks its calls."""

import json
import sys

import numpy as np
import pytest

from infer.__main__ import main
from model import weight_file
from model.edsr import edsr
from tests.hub_server import serving
from weights.load import find, load_model
from weights.model_card import openmodeldb

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")

# httpx2's own, on how huggingface_hub uploads large files
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

SCORES = {"psnr_y_db": 31.5, "ssim_y": 0.88, "psnr_rgb_db": 29.6, "ssim_rgb": 0.85, "lpips": 0.15}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A server, an empty cache, and a token for it."""
    with serving() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        url = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        yield server.hub
    huggingface_hub.close_session()


@pytest.fixture
def weights(tmp_path):
    """A small network's file that knows its licence, scores and training."""
    path = tmp_path / "small.weights.h5"
    edsr(2, 4, 1).save_weights(path)
    facts = {"licence": "Apache-2.0; pictures: see there", "scores": {"Set5": SCORES}}
    weight_file.write_note(path, facts | {"training": {"hr": ["photos"], "steps": 7}})
    return path


def output(name, **options):
    lr = np.random.default_rng(0).uniform(0, 255, (1, 7, 11, 3)).astype(np.float32)
    return np.asarray(load_model(name, report=lambda _: None, **options)(lr))


def safetensors(folder, seed):
    """A network's file as bytes, and its output."""
    import keras

    keras.utils.set_random_seed(seed)
    edsr(2, 4, 1).save_weights(folder / "one.safetensors")
    return (folder / "one.safetensors").read_bytes(), output(folder / "one.safetensors")


def test_a_folder_holds_what_a_hub_needs(weights, tmp_path, capsys):
    folder = tmp_path / "out"
    assert main(["weights", "publish", str(weights), "--to", str(folder)]) == 0
    names = ["README.md", "config.json", "example.png", "model.safetensors"]
    assert sorted(f.name for f in folder.iterdir()) == names
    np.testing.assert_array_equal(output(folder / "model.safetensors"), output(weights))
    config = json.loads((folder / "config.json").read_text())
    assert config["builder"] == "edsr" and config["arguments"]["scale"] == 2
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert card.data.license == "apache-2.0" and card.data.library_name == "whole-pictures"
    found = {(r.dataset_name, r.metric_name): r.metric_value for r in card.data.eval_results}
    assert found["Set5", "PSNR (luma, border 2 px)"] == 31.5
    for part in ("see there", "31.50 / 0.8800 / 0.150", "photos", "infer upscale", "example.png"):
        assert part in card.text
    assert "written and checked" in capsys.readouterr().out
    assert main(["weights", "publish", str(weights), "--to", str(folder)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_card_needs_a_licence(tmp_path, capsys):
    edsr(2, 4, 1).save_weights(tmp_path / "mine.weights.h5")
    command = ["weights", "publish", str(tmp_path / "mine.weights.h5")]
    command += ["--to", str(tmp_path / "out")]
    assert main(command) == 2
    assert "does not say its licence, and a card needs one: give --licence" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
    assert main([*command, "--licence", "My own terms"]) == 0
    data = huggingface_hub.ModelCard.load(tmp_path / "out" / "README.md").data
    assert (data.license, data.license_name) == ("other", "my-own-terms")
    assert weight_file.read_note(tmp_path / "out" / "model.safetensors")["licence"] == (
        "My own terms"
    )


def test_what_is_published_loads_everywhere(hub, weights, tmp_path, capsys):
    assert main(["weights", "publish", str(weights), "--to", "hf://me/small"]) == 0
    assert "/me/small, commit " in capsys.readouterr().out
    files = hub.commits["me/small"][-1]
    assert {"README.md", "config.json", "example.png", "model.safetensors"} <= files.keys()
    assert b'load_model("hf://me/small")' in files["README.md"]
    np.testing.assert_array_equal(output("hf://me/small"), output(weights))
    from data.pictures.write import save_image

    save_image(tmp_path / "photo.png", np.full((9, 11, 3), 90, np.uint8))
    out = tmp_path / "big.png"
    command = ["upscale", str(tmp_path / "photo.png"), "-o", str(out), "--model", "hf://me/small"]
    assert main(command) == 0 and out.exists()


def test_a_revision_that_changed_is_told_and_an_old_one_can_be_had(hub, tmp_path):
    first, first_output = safetensors(tmp_path, 1)
    second, second_output = safetensors(tmp_path, 2)
    old = hub.commit("me/net", {"model.safetensors": first})
    said = []
    assert find("hf://me/net", said.append).read_bytes() == first and not said
    new = hub.commit("me/net", {"model.safetensors": second})
    np.testing.assert_array_equal(output("hf://me/net"), second_output)
    assert find("hf://me/net", said.append) and not said
    np.testing.assert_array_equal(output(f"hf://me/net@{old}"), first_output)
    hub.commit("me/net", {"model.safetensors": first})
    find("hf://me/net", said.append)
    assert "hf://me/net has changed" in said[0] and f"@{new} in the address" in said[0]


def test_without_a_network_the_cache_serves(hub, tmp_path, monkeypatch):
    content, expected = safetensors(tmp_path, 1)
    hub.commit("me/net", {"model.safetensors": content, "other.safetensors": content})
    output("hf://me/net")
    hub.status = 503
    np.testing.assert_array_equal(output("hf://me/net"), expected)
    hub.status = None
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    np.testing.assert_array_equal(output("hf://me/net"), expected)
    with pytest.raises(OSError, match=r"cannot be reached, and .*other.* is not on this machine"):
        load_model("hf://me/net/other.safetensors")


def test_a_damaged_copy_is_fetched_again(hub, tmp_path):
    content, expected = safetensors(tmp_path, 1)
    hub.commit("me/net", {"model.safetensors": content})
    path = find("hf://me/net").resolve()
    path.write_bytes(content[:-4] + b"oops")
    with pytest.raises(OSError, match="the copy in the cache is damaged .* fetches it again"):
        load_model("hf://me/net")
    np.testing.assert_array_equal(output("hf://me/net"), expected)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hf://me", "an address must be hf://owner/name"),
        ("hf://datasets/me/net", "an address must be hf://owner/name"),
        ("hf://me/none", "has no me/none, or it is private"),
        ("hf://me/net@v9", "me/net has no revision v9"),
        ("hf://me/net", "there is no model.safetensors; weight files there are hf://me/net/a.pth"),
        ("hf://me/net/a.pth", "is refused"),
        ("hf://me/net/notes.txt", "is no weight file"),
    ],
)
def test_what_is_not_there_or_no_network_is_one_line(hub, golden, capsys, name, sentence):
    evil = (golden / "torch" / "malicious-zip.pth").read_bytes()
    hub.commit("me/net", {"a.pth": evil, "notes.txt": b"nothing"})
    assert main(["upscale", __file__, "-o", "/tmp/never.png", "--model", name]) in (1, 2)
    assert sentence in capsys.readouterr().err


def test_publishing_says_what_fails(hub, weights, tmp_path, monkeypatch, capsys):
    command = ["weights", "publish", str(weights), "--to"]
    for options, sentence in (
        (["hf://me"], "an address must be"),
        (["hf://me/net/file.h5"], "publish to a repository"),
        ([str(tmp_path / "x"), "--openmodeldb", "me"], "give --to hf://owner/name"),
    ):
        assert main([*command, *options]) == 2
        assert sentence in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert main([*command, "hf://me/net"]) == 1
    assert "is `hf auth login` done?" in capsys.readouterr().err
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert main([*command, "hf://me/net"]) == 1
    assert "http://127.0.0.1:9 cannot be reached" in capsys.readouterr().err


def test_the_entry_for_openmodeldb(hub, weights, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"a network")
    note = weight_file.read_note(weights) | {"name": "my small_net"}
    name, entry = openmodeldb(note, tmp_path / "model.onnx", "me", "hf://me/small")
    assert name == "2x-my-small-net.json"
    assert (entry["scale"], entry["architecture"], entry["license"]) == (2, "edsr", "Apache-2.0")
    (resource,) = entry["resources"]
    assert resource["urls"] == [f"{constants.ENDPOINT}/me/small/resolve/main/model.onnx"]
    assert (resource["size"], resource["type"]) == (9, "onnx")
    with pytest.raises(ValueError, match="vggface is not"):
        openmodeldb(note | {"builder": "vggface", "arguments": {}}, tmp_path, "me", "hf://me/x")


def test_a_missing_package_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["export", "hf://me/net", "-o", "/tmp/never.onnx", "--format", "onnx"]) == 1
    error = capsys.readouterr().err
    assert "pip install 'whole-pictures[hub]'" in error and error.count("\n") == 1
