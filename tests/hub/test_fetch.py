"""Models from the stand-in of the hub: which files are fetched, the cache, interruptions and refusals."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from hub_server import TOKEN
from PIL import Image

from kgan import cli
from kgan.assembly import build_generator
from kgan.errors import UserError
from kgan.evaluation.networks import trained_on
from kgan.export import export_weights
from kgan.runs import hub as addresses
from kgan.runs import places, recipes
from kgan.runs.models import ModelSource, resolve_model
from kgan.runs.settings import TrainConfig
from kgan.runs.trust import trusting

NUMBERS = {"config.json": b"{}", "model.safetensors": b"\0" * 200_000, "README.md": b"# x"}
PROGRAMS = {"saved_model/saved_model.pb": b"pb", "saved_model/variables/variables.index": b"i"}
STRANGE = {"model.pkl": b"p", "pytorch_model.bin": b"p", "run.py": b"p", "model.keras": b"p", "a/model.tflite": b"p",
           "../model.onnx": b"p", "saved_model/../x.pb": b"p", ".gitattributes": b"p"}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The files of a model, and its settings."""
    folder = tmp_path_factory.mktemp("model")
    config = recipes.resolve(TrainConfig(recipe="fastcut", data="x", size=16, filters=4, blocks=1, stride=2))
    config.save(folder / "config.json")
    generator = build_generator(config)
    generator.head[-1].bias.assign([1.0, 0.0, -1.0])
    export_weights(generator, folder / "model.safetensors")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fetched(word, **options):
    folder = addresses.fetch(word, **options).path
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def refusal(word):
    with pytest.raises(UserError) as caught:
        addresses.fetch(word)
    assert TOKEN not in str(caught.value)
    return str(caught.value)


# --- what is fetched --------------------------------------------------------------------------------------------------


def test_numbers_alone_are_fetched(hub):
    more = {"model_int8.tflite": b"t", "model_int8.json": b"j", "model_int8.vectors.bin": b"v", "samples.jpg": b"s"}
    hub.put("someone/vg", NUMBERS | more | PROGRAMS | STRANGE)
    assert fetched("hf://someone/vg") == {*NUMBERS, *more}
    asked = {path.partition("/resolve/")[2].partition("/")[2] for _, path in hub.requests if "/resolve/" in path}
    assert asked == {*NUMBERS, *more}


def test_a_saved_model_needs_trust(hub):
    hub.put("someone/vg", {"config.json": b"{}"} | PROGRAMS | STRANGE)
    assert "has a SavedModel alone" in refusal("hf://someone/vg")
    with trusting():
        assert fetched("hf://someone/vg") == {"config.json", *PROGRAMS}


def test_a_single_litert_or_onnx_file_and_no_model(hub):
    for kind, name in (("litert", "style.tflite"), ("onnx", "style.onnx")):
        hub.put(f"someone/{kind}", {name: b"TFL3", "model.pkl": b"p"})
        assert resolve_model(f"hf://someone/{kind}").kind == kind
    hub.put("someone/two", {"a.tflite": b"TFL3", "b.onnx": b"TFL3"})
    assert "has no model that kgan reads" in refusal("hf://someone/two")
    hub.put("someone/pickle", {"config.json": b"{}", "pytorch_model.bin": b"p"})
    assert "It has config.json, pytorch_model.bin" in refusal("hf://someone/pickle")


def test_too_many_bytes(hub, monkeypatch):
    hub.put("someone/vg", NUMBERS)
    monkeypatch.setattr(addresses, "MOST_BYTES", 1000)
    assert "more than 0.0 GB" in refusal("hf://someone/vg")
    assert not any("/resolve/" in path for _, path in hub.requests)


@pytest.mark.parametrize(
    "word", ["hf://", "hf://a", "hf://a/b/c", "hf://a/../b", "hf://a/b@../../x", "hf://a/b@", "hf:/.a/b"]
)
def test_what_is_no_address(word):
    with pytest.raises(UserError, match="should be hf://OWNER/NAME"):
        resolve_model(word)


def test_a_path_keeps_the_meaning_of_an_address():
    assert addresses.parse(pathlib.Path("hf://a/b@v1")) == addresses.Address("a/b", "v1")


# --- revisions, and without a network ---------------------------------------------------------------------------------


def test_revisions(hub):
    old = hub.put("someone/vg", NUMBERS)
    new = hub.put("someone/vg", {"config.json": b'{"new": 1}'})
    for word, commit in (("", new), ("@main", new), (f"@{old}", old), (f"@{new}", new)):
        source = resolve_model(f"hf://someone/vg{word}")
        assert source.address == f"hf://someone/vg@{commit}"
        assert (source.path / "config.json").read_bytes() == (b'{"new": 1}' if commit == new else b"{}")
    assert "the hub has no revision v9 of it" in refusal("hf://someone/vg@v9")


def test_without_a_network_the_cache_is_used_and_named(hub, offline, capsys):
    commit = hub.put("someone/vg", NUMBERS)
    assert resolve_model("hf://someone/vg").address.endswith(commit)
    hub.put("someone/vg", {"config.json": b"newer"})
    hub.status = 503
    assert resolve_model("hf://someone/vg").address.endswith(commit)
    assert resolve_model("hf://someone/vg").address.endswith(commit)
    said = capsys.readouterr().err
    assert said == f"hf://someone/vg: uses commit {commit[:12]} of the cache, without the hub\n"  # once
    hub.status = None
    offline()
    asked = len(hub.requests)
    assert resolve_model("hf://someone/vg").address.endswith(commit)
    assert "is not in the cache" in refusal("hf://someone/other")
    assert len(hub.requests) == asked


def test_no_server_at_all(hub, monkeypatch):
    commit = hub.put("someone/vg", NUMBERS)
    fetched("hf://someone/vg")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert resolve_model("hf://someone/vg").address.endswith(commit)
    assert "the hub cannot be reached (ConnectError)" in refusal("hf://someone/other")


def test_an_interrupted_download_goes_on(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)  # what it keeps is a multiple of this
    hub.put("someone/vg", NUMBERS)
    hub.breaks_after = 0
    source = resolve_model("hf://someone/vg")
    assert (source.path / "model.safetensors").read_bytes() == NUMBERS["model.safetensors"]
    assert hub.resumed == [100_000]  # half of it was there


@pytest.mark.long
def test_a_connection_that_breaks_before_anything_is_kept(hub):
    hub.put("someone/vg", NUMBERS)
    hub.breaks_after = 0
    assert "the connection to the hub broke" in refusal("hf://someone/vg")
    hub.breaks_after = None
    assert fetched("hf://someone/vg") == {*NUMBERS}


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_private_models_and_missing_ones(hub, monkeypatch):
    hub.put("someone/secret", NUMBERS, private=True)
    assert fetched("hf://someone/secret") == {*NUMBERS}
    assert "no such model, or it is private" in refusal("hf://someone/none")
    assert "the hub allows no such name" in refusal("hf://someone/two--dashes")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "no such model, or it is private" in refusal("hf://someone/secret2")


def test_the_extra_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"not installed: pip install 'kgan\[hub\]'"):
        resolve_model("hf://someone/vg")


def test_one_line_and_status_2(hub, tmp_path, capsys):
    hub.status = 403
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    words = ["stylize", str(tmp_path / "x.png"), "--model", "hf://someone/vg", "--output", str(tmp_path / "out")]
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"kgan: error: hf://someone/vg: the hub does not allow it \(status 403\).*\n", said)
    assert TOKEN not in said


def test_what_is_fetched_is_checked_as_strangers_folders_are(hub, model):
    settings = json.loads(model["config.json"])
    hub.put("someone/code", model | {"config.json": json.dumps(settings | {"recipe": "os:RECIPE"}).encode()})
    hub.put("someone/large", model | {"config.json": json.dumps(settings | {"filters": 10**6}).encode()})
    from kgan import load

    with pytest.raises(UserError, match="a program that kgan did not write here"):
        load("hf://someone/code")
    with pytest.raises(UserError, match="filters should be from"):
        load("hf://someone/large")


# --- where an address may stand ---------------------------------------------------------------------------------------


def test_stylize(hub, model, tmp_path):
    hub.put("someone/orange", model)
    Image.new("RGB", (20, 16), (90, 90, 90)).save(tmp_path / "a.png")
    words = ["stylize", str(tmp_path / "a.png"), "--model", "hf://someone/orange", "--output", str(tmp_path / "out")]
    assert cli.main(words) == 0
    with Image.open(tmp_path / "out" / "a.png") as made:
        red, _, blue = np.asarray(made).mean(axis=(0, 1))
    assert red > blue + 50


def test_training_notes_the_commit(hub, model):
    first = hub.put("someone/orange", model)
    config = recipes.resolve(TrainConfig(recipe="fastcut", data="x", init_from="hf://someone/orange"))
    kept = places.absolute(config)
    hub.put("someone/orange", {"README.md": b"newer"})
    assert kept.init_from == f"hf://someone/orange@{first}"
    asked = len(hub.requests)
    assert places.absolute(kept).init_from == kept.init_from
    assert places.without_folders(kept).init_from == kept.init_from
    assert len(hub.requests) == asked
    with pytest.raises(UserError, match="distill_from hf://someone/none: the hub has no such model"):
        recipes.resolve(TrainConfig(recipe="distill", content="x", distill_from="hf://someone/none"))


def test_a_teacher_that_settings_of_others_name_is_not_fetched(hub, model, tmp_path):
    hub.put("someone/orange", model)
    config = recipes.resolve(TrainConfig(recipe="distill", content="x", distill_from="hf://someone/orange"))
    config.save(tmp_path / "config.json")
    hub.requests.clear()
    addresses_before = trained_on(ModelSource("run", tmp_path))
    assert hub.requests == []
    assert addresses_before == ["mobilenet"]


def test_borrowed_models_stay_as_they_are(hub, model, capsys):
    hub.put("someone/orange", model)
    assert cli.main(["export", "--run", "hf://someone/orange"]) == 2
    assert "hf://someone/orange came from the hub and stays as it is" in capsys.readouterr().err
    assert cli.main(["evaluate", "hf://someone/orange"]) == 2
    assert "hf://someone/orange came from the hub, without pictures" in capsys.readouterr().err


@pytest.mark.slow
def test_a_new_process_with_the_variables_of_the_hub(hub, tmp_path):
    """Nothing of huggingface_hub is imported before, and its addresses come from the environment."""
    commit = hub.put("someone/vg", NUMBERS)
    code = "from kgan.runs.models import resolve_model; print(resolve_model('hf://someone/vg').address)"
    own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", code]
    for _ in range(2):
        done = subprocess.run(command, env=os.environ | own, capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (f"hf://someone/vg@{commit}\n", "")
    done = subprocess.run(command, env=os.environ | own | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    assert done.stdout == f"hf://someone/vg@{commit}\n"
    assert "uses commit" in done.stderr
