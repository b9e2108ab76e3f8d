"""Models of strangers: nothing of them runs, memory is bounded, and each is refused with one line."""

import json
import os
import pathlib
import re
import shutil
import sys

import hostile
import numpy as np
import pytest
import tensorflow as tf
from hostile import bounded
from PIL import Image

import kgan
from kgan import cli
from kgan.assembly import build_generator
from kgan.errors import UserError
from kgan.export import check_litert
from kgan.export.litert.convert import with_facts
from kgan.export.weights import export_weights
from kgan.inference.litert import FACTS as LITERT_FACTS
from kgan.inference.stylist import Facts
from kgan.kinds import GENERATORS
from kgan.networks import features
from kgan.registry import Row
from kgan.runs import recipes, trust
from kgan.runs.settings import TrainConfig

SMALL = {"recipe": "paired", "filters": 2, "blocks": 1, "size": 16}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A good run of numbers alone, a good program that kgan did not write, and a good .tflite file."""
    folder = tmp_path_factory.mktemp("good")
    config = recipes.completed(TrainConfig(**SMALL))
    (folder / "run").mkdir()
    config.save(folder / "run" / "config.json")
    export_weights(build_generator(config), folder / "run" / "model.safetensors")
    hostile.write_tiny(folder / "program")
    tiny = hostile.Tiny()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([tiny.stylized.get_concrete_function()], tiny)
    (folder / "model.tflite").write_bytes(converter.convert())
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty current folder, and a module that leaves a canary when it is imported."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code = f"open({str(tmp_path / 'canary')!r}, 'w').close()\nRECIPE = None\n"
    pathlib.Path("hostile_module.py").write_text(code, encoding="utf-8")
    return tmp_path / "here"


def refused(model, trust=False):
    """The message with which a model is refused, within the memory allowed. Nothing ran."""
    with bounded(), pytest.raises(UserError) as caught:
        kgan.load(model, trust=trust)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    assert caught.value.status == 2
    assert "hostile_module" not in sys.modules
    assert not list(pathlib.Path("..").glob("canary*"))
    return message


def copied(source, *parts):
    """A copy of a folder whose files can be replaced."""
    shutil.copytree(source, pathlib.Path(*parts))
    return pathlib.Path(*parts)


# --- programs ---------------------------------------------------------------------------------------------------------


def test_a_program_of_a_stranger_needs_trust_and_then_runs(good, place):
    picture = np.full((4, 4, 3), 200, np.uint8)
    message = refused(good / "program")
    assert "saved_model.pb: is a SavedModel, a program that kgan did not write" in message
    assert "trust" in message
    assert kgan.load(good / "program", trust=True)(picture).max() == 100
    refused(good / "program")  # trust is given for one call


def test_control_tensorflow_alone_writes_the_canary_and_kgan_does_not(place):
    canary = place.parent / "canary"
    hostile.write_tiny("program", str(canary))
    loaded = tf.saved_model.load("program")
    loaded.signatures["serving_float"](image=tf.zeros([1, 2, 2, 3]))
    assert canary.read_text(encoding="ascii") == "here"
    canary.unlink()
    assert "WriteFile" in refused("program", trust=True)
    assert "WriteFile" in refused("program")


def test_hostile_programs_are_refused_although_they_are_trusted(good, place):
    """The reason is in the message: for an operation its name."""
    content = (good / "program" / "saved_model.pb").read_bytes()
    folder = copied(good / "program", "program")
    for name, changed in hostile.programs(content).items():
        (folder / "saved_model.pb").write_bytes(changed)
        message = refused(folder, trust=True)
        if " in " in name and "own" not in name:
            assert name.partition(" ")[0] in message, name
    (folder / "saved_model.pb").write_bytes(content)
    kgan.load(folder, trust=True)


def test_a_run_of_a_stranger_with_a_program_alone_needs_trust(good, place):
    run = copied(good / "run", "run")
    (run / "model.safetensors").unlink()
    program = copied(good / "program", "run", "saved_model")
    assert "trust" in refused(run)
    for words in (
        "evaluate run --content .",
        "export --run run --output out",
        "train --data sample --cache cache --init-from run",
    ):
        assert "saved_model.pb: is a SavedModel, a program that kgan did not write" in said(words), words
    (program / "saved_model.pb").write_bytes(b"words")
    refused(run, trust=True)


def said(words):
    """What a command that is refused prints on stderr, one line."""
    with pytest.MonkeyPatch.context() as patched:
        lines = []
        patched.setattr("kgan.console.warn", lines.append)
        assert cli.main(words.split()) == 2
    assert not pathlib.Path("out").exists()
    return lines[-1]


def test_weights_of_a_program_are_bounded_by_its_files(good, place):
    """Its variables claim more than the file has, or are cut."""
    folder = copied(good / "program", "program")
    data = folder / "variables" / "variables.data-00000-of-00001"
    content = data.read_bytes()
    for shorter in (content[:4], b""):
        data.write_bytes(shorter)
        refused(folder, trust=True)
    data.write_bytes(content)
    (folder / "variables" / "variables.index").write_bytes(b"words")
    refused(folder, trust=True)
    shutil.rmtree(folder / "variables")
    refused(folder, trust=True)


def test_facts_are_checked(good, place):
    folder = copied(good / "program", "program")
    (folder / "assets.extra").mkdir()
    tflite = (good / "model.tflite").read_bytes()
    for name, content in hostile.FACTS.items():
        (folder / "assets.extra" / "kgan.json").write_bytes(content)
        refused(folder, trust=True)
        pathlib.Path("model.tflite").write_bytes(tflite + hostile.archive({LITERT_FACTS: content}))
        assert "facts" in refused("model.tflite"), name
    good_facts = with_facts(tflite, Facts(3, 0, True))
    pathlib.Path("model.tflite").write_bytes(good_facts)
    kgan.load("model.tflite")
    for part in range(8):
        pathlib.Path("model.tflite").write_bytes(tflite[: len(tflite) * part // 8])
        refused("model.tflite")
    pathlib.Path("model.tflite").write_bytes(tflite + hostile.archive({"../../canary": "x", "/tmp/canary": "x"}))
    kgan.load("model.tflite")  # other files in the archive are left alone
    assert not list(pathlib.Path("..").glob("canary*"))


def test_files_beside_a_model_are_checked(good, place):
    """Its facts, with a hash, and its test vectors."""
    shutil.copy(good / "model.tflite", "model.tflite")
    pathlib.Path("model.vectors.bin").write_bytes(bytes(16))
    for name, content in hostile.SIDECARS.items():
        pathlib.Path("model.json").write_bytes(content)
        with bounded(), pytest.raises(UserError, match=r"^model\.tflite: [^\n]+$") as caught:
            check_litert("model.tflite")
        assert ("its sha256 differs" in str(caught.value)) == (name == "another hash")


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_a_good_folder_of_numbers_needs_no_trust(good, place):
    made = kgan.load(good / "run")(np.zeros((16, 16, 3), np.uint8))
    assert made.shape == (16, 16, 3)


@pytest.mark.long
def test_hostile_numbers_are_refused(good, place):
    run = copied(good / "run", "run")
    content = (run / "model.safetensors").read_bytes()
    for name, changed in hostile.weights(content).items():
        (run / "model.safetensors").write_bytes(changed)
        if name == "a terabyte more":
            os.truncate(run / "model.safetensors", 2**40)
        assert "model.safetensors: " in refused(run), name
    (run / "model.safetensors").write_bytes(content)
    kgan.load(run)


def test_hostile_settings_are_refused(good, place):
    run = copied(good / "run", "run")
    good_settings = json.loads((run / "config.json").read_text(encoding="utf-8"))
    for name, text in hostile.settings(good_settings).items():
        (run / "config.json").write_bytes(text.encode(errors="surrogateescape"))
        message = refused(run)
        assert "run" in message, name
        assert "module" not in name or "trust" in message, name


def test_files_that_are_none_are_refused(good, place):
    """Pipes, devices, folders and links that lead nowhere or to other files."""
    for name in ("config.json", "model.safetensors"):
        for number, make in enumerate((
            os.mkfifo, os.mkdir, lambda path: os.symlink(path, path), lambda path: os.symlink("/dev/zero", path),
            lambda path: os.symlink("/etc/passwd", path), lambda path: os.symlink("/proc/self/mem", path),
            lambda path: os.symlink("../../hostile_module.py", path),
        )):  # fmt: skip
            run = copied(good / "run", f"{name}-{number}")
            (run / name).unlink()
            make(run / name)
            message = refused(run)
            assert "root:" not in message
    sockets = copied(good / "program", "program")
    (sockets / "saved_model.pb").unlink()
    os.mkfifo(sockets / "saved_model.pb")
    refused(sockets, trust=True)


def test_hostile_checkpoints_are_refused(good, place):
    run = copied(good / "run", "run")
    (run / "model.safetensors").unlink()
    (run / "checkpoints").mkdir()
    for name in ("variables.index", "variables.data-00000-of-00001"):
        shutil.copy(good / "program" / "variables" / name, run / "checkpoints" / name.replace("variables", "ckpt-1"))
    assert "ckpt-1" in refused(run)
    (run / "checkpoints" / "ckpt-1.data-00000-of-00001").write_bytes(b"")
    assert "claims" in refused(run)
    (run / "checkpoints" / "ckpt-1.index").write_bytes(b"words")
    refused(run)


# --- code that settings name ------------------------------------------------------------------------------------------


def test_code_that_settings_name_is_imported_with_trust_alone(good, place):
    run = copied(good / "run", "run")
    settings = json.loads((run / "config.json").read_text(encoding="utf-8"))
    (run / "config.json").write_text(json.dumps({**settings, "recipe": "hostile_module:RECIPE"}), encoding="utf-8")
    for words in ("evaluate run --content .", "export --run run --output out", "train --resume --run run",
                  "generate --model run --output out", "web run --output out"):  # fmt: skip
        assert "recipe hostile_module:RECIPE" in said(words), words
    assert not (place.parent / "canary").exists()
    with pytest.raises(UserError, match=r"should be a kgan\.Recipe"):
        kgan.load(run, trust=True)
    assert (place.parent / "canary").exists()
    del sys.modules["hostile_module"]


def test_a_generator_of_another_package_needs_trust(good, place, monkeypatch):
    def load():
        (place.parent / "canary").touch()
        return Row(name="theirs", target=GENERATORS["resnet"].target)

    monkeypatch.setitem(GENERATORS._others, "theirs", load)
    run = copied(good / "run", "run")
    settings = json.loads((run / "config.json").read_text(encoding="utf-8"))
    (run / "config.json").write_text(json.dumps({**settings, "generator": "theirs"}), encoding="utf-8")
    assert "generator theirs" in refused(run)
    kgan.load(run, trust=True)
    assert (place.parent / "canary").exists()


def test_callbacks_and_trust_are_never_read_from_settings(good):
    text = (good / "run" / "config.json").read_text(encoding="utf-8")
    path = good / "asking.json"
    path.write_text(text[:-2] + ', "callback": ["os:system"], "trust": true}', encoding="utf-8")
    if '"callback"' in text:
        settings = {**json.loads(text), "callback": ["os:system"], "trust": True}
        path.write_text(json.dumps(settings), encoding="utf-8")
    read = TrainConfig.load(path)
    assert read.callback == ()
    assert not read.trust


# --- what kgan wrote --------------------------------------------------------------------------------------------------


def test_what_kgan_wrote_is_known_by_its_content(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(trust, "_own", set())
    file, moved = tmp_path / "a.pb", tmp_path / "moved.pb"
    file.write_bytes(b"program")
    assert not trust.is_own(file)
    trust.remember(file)
    monkeypatch.setattr(trust, "_own", set())  # as in another process
    shutil.copy(file, moved)
    assert trust.is_own(file)
    assert trust.is_own(moved)
    moved.write_bytes(b"program!")
    assert not trust.is_own(moved)
    with pytest.raises(UserError, match=r"moved\.pb: is mine, a program that"):
        trust.require(moved, "is mine")
    with trust.trusting():
        trust.require(moved, "is mine")


def test_a_home_folder_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(trust, "_own", set())
    trust.remember(tmp_path / "file")
    assert trust.is_own(tmp_path / "file")


# --- files of others --------------------------------------------------------------------------------------------------


def test_files_of_other_programs_are_not_opened(place):
    for name, content in hostile.foreign(place.parent / "canary").items():
        pathlib.Path(name).write_bytes(content)
        assert name in refused(name)
        assert name in refused(name, trust=True)
    assert "can contain programs" in refused("lambda.keras")


def test_feature_weights_are_bounded(place):
    """HDF5 files of a few bytes whose arrays are large, or the bytes of any other file."""
    pathlib.Path("secret").write_bytes(bytes(400))
    layouts = {
        "claim": {"shape": (2**20, 2**20), "chunks": (2**10, 2**10), "compression": "gzip"},
        "in other files": {"shape": (10, 10), "external": [("secret", 0, 400)]},
    }
    for reason, layout in layouts.items():
        pathlib.Path("features.weights.h5").write_bytes(hostile.hdf5(**layout))
        with bounded(), pytest.raises(UserError, match=rf"feature_weights features\.weights\.h5: [^\n]*{reason}"):
            features.build("mobilenet", "features.weights.h5")


def test_commands_refuse_them_with_one_line(good, place, capsys):
    pathlib.Path("photos").mkdir()
    Image.new("RGB", (16, 16)).save("photos/a.png")
    run = copied(good / "run", "run")
    (run / "model.safetensors").write_bytes(b"words")
    pathlib.Path("x.keras").write_bytes(b"")
    for model in ("run", str(good / "program"), "x.keras"):
        for words in ("stylize photos --output out --model", "compare vangogh --photos photos --output out",
                      "train --data sample --cache cache --distill-from"):  # fmt: skip
            assert cli.main([*words.split(), model]) == 2
            message = capsys.readouterr().err.strip()
            assert re.fullmatch(r"[^\n]*error: [^\n]+", message.splitlines()[-1]), message
            assert "Traceback" not in message
    assert not pathlib.Path("out").exists()
    with pytest.raises(UserError, match="needs"):
        check_litert("x.keras")
