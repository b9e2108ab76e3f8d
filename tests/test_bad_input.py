"""Wrong input of users: one clear line, exit status 2, no traceback and no incomplete files."""

import dataclasses
import os
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from kgan import cli, parsing
from kgan.export import export_litert, export_saved_model
from kgan.networks.generators import ResNetGenerator
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig


def png_claiming(width, height):
    """A PNG of a hundred bytes whose header claims that size."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def picture(path, seed=0, size=(40, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def truncated(path):
    whole = picture(path, size=(200, 200)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    identity = ResNetGenerator(filters=4, blocks=1, residual=True)
    identity(np.zeros((1, 32, 32, 3), np.float32))
    return export_saved_model(identity, folder / "saved_model"), export_litert(identity, folder / "model.tflite")


@pytest.fixture
def place(tmp_path, monkeypatch, models):
    """The current folder, with valid and invalid files of all kinds."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for k in range(4):
        picture(here / "photos" / f"{k}.png", k)
        picture(here / "paintings" / "deep" / f"{k}.jpg", 9 + k)
        picture(here / "root" / "trainB" / f"{k}.png", k)
    (here / "empty").mkdir()
    (here / "texts").mkdir()
    (here / "texts" / "a.txt").write_text("words", encoding="utf-8")
    (here / "disguised").mkdir()
    (here / "disguised" / "a.jpg").write_text("words", encoding="utf-8")
    (here / "broken").mkdir()
    truncated(here / "broken" / "a.jpg")
    (here / "bomb").mkdir()
    (here / "bomb" / "a.png").write_bytes(png_claiming(60000, 60000))
    (here / "a.txt").write_text("words", encoding="utf-8")
    (here / "a.tflite").write_text("words", encoding="utf-8")
    (here / "garbage").mkdir()
    (here / "garbage" / "saved_model.pb").write_text("words", encoding="utf-8")
    (here / "untrained").mkdir()
    parsing.parse(TrainConfig, [], "kgan train").save(here / "untrained" / "config.json")
    (here / "odd").mkdir()
    (here / "odd" / "config.json").write_text('{"recipe": 3}', encoding="utf-8")
    (here / "dangling").symlink_to(here / "nowhere")
    (here / "model").symlink_to(models[0])
    (here / "model.tflite").symlink_to(models[1])
    return here


def listing(folder):
    return sorted((str(path), path.is_file() and path.stat().st_size) for path in folder.rglob("*"))


def refused(place, capsys, words, status=2):
    """The error message of a command, which must be one line and leave no files."""
    before = listing(place)
    args = words.split()
    if args[0] == "train" and "--resume" not in args:
        args += ["--cache", str(place.parent / "cache")]
    assert cli.main(args) == status
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if not line.startswith("kgan: preparing ")]
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert listing(place) == before
    assert not [path for path in place.parent.rglob("*") if "partial" in path.name]
    return lines[0]


FOLDERS = (
    "train --content photos --style paintings --size 32 --steps 1 --filters 4 --blocks 1 --discriminator-filters 4"
)
"""Valid settings of a short run, in case a command below is not refused."""

TRAINING = {
    "train --content nowhere --style paintings": "nowhere: no such folder",
    "train --content photos --style nowhere": "nowhere: no such folder",
    "train --content empty --style paintings": "empty: no pictures in this folder",
    "train --content texts --style paintings": "texts: no pictures in this folder",
    "train --content a.txt --style paintings": "a.txt: should be a folder of pictures",
    "train --content disguised --style paintings": "not a JPEG, PNG, WebP or GIF picture",
    "train --content broken --style paintings": "a.jpg: damaged or truncated",
    "train --content bomb --style paintings": "its header claims 60000x60000 pixels (3600 megapixels)",
    "train --content photos": "--style is missing",
    "train --style paintings": "--content is missing",
    "train --data root --style paintings": "either --data or --content and --style",
    "train --data root": "should hold trainA (content) and trainB (style). Received: no trainA",
    "train --data nowhere": "nowhere: no such folder",
    "train --data tfds:no_such_set": "tfds:no_such_set: no such set",
    "train --recipe paired --content photos --style empty": "empty: no pictures",
    "train --recipe paired --content photos --style paintings": "should have equal file names",
    f"{FOLDERS} --recipe cyclegn": "no such recipe; did you mean cyclegan?",
    f"{FOLDERS} --lerning-rate 1": "no such option; did you mean --learning-rate?",
    f"{FOLDERS} --learning-rate fast": "--learning-rate fast: should be a number",
    f"{FOLDERS} --learning-rate nan": "--learning-rate",
    f"{FOLDERS} --size 130": "multiple of --stride 4: 128 or 132",
    f"{FOLDERS} --size 4": "--size",
    f"{FOLDERS} --size 8": "--size should be at least 11, the window of SSIM. Received: 8",
    f"{FOLDERS} --size 0": "--size should be above 0",
    f"{FOLDERS} --steps 0": "--steps should be above 0",
    f"{FOLDERS} --stop-after 0": "--stop-after should be above 0",
    f"{FOLDERS} --batch-size -1": "--batch-size should be above 0",
    f"{FOLDERS} --batch-size 1048577": "a batch may have 1074 megapixels. Received: 1074",
    f"{FOLDERS} --blocks -1": "--blocks",
    f"{FOLDERS} --noise-channels -1": "--noise-channels",
    f"{FOLDERS} --image-pool -1": "--image-pool",
    f"{FOLDERS} --truncation 0": "--truncation",
    f"{FOLDERS} --seed -1": "--seed",
    f"{FOLDERS} --weight cycle=nan": "--weight cycle=nan",
    f"{FOLDERS} --recipe cyclegan --weight cycel=1": "did you mean cycle?",
    f"{FOLDERS} --generator resnext": "did you mean resnet?",
    f"{FOLDERS} --devices 0": "--devices should be above 0",
    f"{FOLDERS} --devices 2": "--devices 2 needs --strategy mirrored",
    f"{FOLDERS} --strategy mirrored --devices 2 --batch-size 3": "--batch-size 3 should be a multiple of the 2 devices",
    f"{FOLDERS} --strategy mirorred": "--strategy",
    f"{FOLDERS} --feature-weights nowhere.h5 --weight features=1": "--feature-weights nowhere.h5: no such file",
    f"{FOLDERS} --init-from nowhere": "--init-from nowhere",
    f"{FOLDERS} --init-from photos": "--init-from photos",
    f"{FOLDERS} --run photos": "--run photos: exists already",
    f"{FOLDERS} --run a.txt": "--run a.txt: is a file",
    f"{FOLDERS} --run a.txt/run": "--run a.txt/run: cannot be written",
    f"{FOLDERS} --run dangling/run": "--run dangling/run: cannot be written (Not a directory)",
    "train --resume": "--resume needs --run",
    "train --resume --run nowhere": "nowhere: no run to resume there",
    "train --resume --run photos": "photos: no run to resume there",
    "train --resume --run untrained --ema 0.5": "--ema 0.5: this run was started with None",
}


@pytest.mark.parametrize("words", TRAINING, ids=lambda words: words.replace(FOLDERS, "train ..."))
def test_training(place, capsys, words):
    assert TRAINING[words] in refused(place, capsys, words)


RESOLVED = recipes.resolve(TrainConfig(recipe="cut", content="a", style="b"))

UNFIT = {
    f"{FOLDERS} --run dangling": "--run dangling: is a link to nothing",
    f"{FOLDERS} --recipe cut --init-from foreign": "give --trust",
    f"{FOLDERS} --recipe cut --init-from fresh": "--init-from fresh: fresh: holds no checkpoint yet",
    f"{FOLDERS} --recipe cut --init-from vangogh": "to fit, give --filters",
    "train --recipe distill --content photos --distill-from foreign --size 32 --steps 1": "give --trust",
    "train --recipe distill --content photos --distill-from program --size 32 --steps 1": "give --trust",
}


@pytest.mark.parametrize("words", UNFIT, ids=lambda words: words.replace(FOLDERS, "train ..."))
def test_models_and_folders_are_checked_before_pictures_are_prepared(place, capsys, words):
    for name, recipe in {"foreign": "module:RECIPE", "fresh": "cut"}.items():
        (place / name).mkdir()
        dataclasses.replace(RESOLVED, recipe=recipe).save(place / name / "config.json")
    (place / "program").mkdir()
    (place / "program" / "saved_model.pb").write_text("words", encoding="utf-8")
    assert cli.main([*words.split(), "--cache", str(place / "cache")]) == 2
    said = capsys.readouterr().err
    assert UNFIT[words] in said
    assert said.count("\n") == 1
    assert not (place / "cache").exists()


@pytest.mark.parametrize("model", ["nowhere", "photos", "a.txt", "a.tflite", "garbage", "untrained", "odd"])
@pytest.mark.parametrize(
    "command",
    [
        "stylize photos --output out --model",
        "generate --output out --model",
        "evaluate --content photos",
        "export --output out --run",
    ],
    ids=lambda command: command.split()[0],
)
def test_no_model(place, capsys, command, model):
    assert model in refused(place, capsys, f"{command} {model}")


USING = {
    "stylize --model model --output out": "pictures are missing",
    "check": "folders are missing",
    "stylize nowhere --model model --output out": "nowhere: no such file or folder",
    "stylize empty --model model --output out": "empty: no pictures",
    "stylize texts --model model --output out": "texts: no pictures",
    "stylize a.txt --model model --output out": "a.txt: not a JPEG, PNG, WebP or GIF picture",
    "stylize broken/a.jpg --model model --output out": "a.jpg: damaged or truncated",
    "stylize bomb --model model.tflite --output out": "its header claims 60000x60000 pixels (3600 megapixels)",
    "stylize photos --model model --output photos": "is the picture itself",
    "stylize photos/1.png --model model --output root/trainB": "1.png: exists already",
    "stylize photos --model model --output a.txt": "--output a.txt: exists and is no folder",
    "stylize photos --model model --output a.txt/out": "--output a.txt/out: cannot be written",
    "stylize photos --model model --output out --variants 0": "--variants should be at least 1",
    "stylize photos --model model --output out --variants 99999999999": "at most 10000",
    "stylize photos --model model --output out --variants 2": "takes no noise",
    "stylize photos --model model --output out --memory 0": "--memory should be above 0",
    "stylize photos --model model --output out --strokes 0.5": "--strokes should be at least 1",
    "stylize photos --model model --output out --strokes nan": "--strokes should be at least 1",
    "stylize photos --model model --output out --seed -1": "--seed",
    "generate --model model --output out": "use kgan stylize",
    "generate --model model --output out --count 0": "--count should be at least 1",
    "generate --model model --output out --size big": "--size should be HEIGHTxWIDTH",
    "generate --model model --output out --seed -1": "--seed",
    "evaluate model": "--content is missing",
    "evaluate model --content nowhere": "nowhere: no such folder",
    "evaluate model --content texts": "texts: no pictures",
    "evaluate model --content photos --truth paintings/nowhere": "no such folder",
    "evaluate model --content photos --truth disguised": "should have the file names of the content",
    "evaluate model --content photos --style empty": "empty: no pictures",
    "evaluate model --content photos --size 0": "--size",
    "evaluate model --content photos --size 4": "at least",
    "export --run model": "is no run folder",
    "export --run model --output new": "is no run folder",
    "check nowhere": "nowhere: no such folder",
    "check empty": "empty: no pictures",
    "sample a.txt": "a.txt: cannot be written",
    "sample a.txt/folder": "cannot be written",
}


@pytest.mark.parametrize("words", USING)
def test_using(place, capsys, words):
    assert USING[words] in refused(place, capsys, words)


def test_more_gpus_than_there_are(place, capsys, monkeypatch):
    import tensorflow as tf

    devices = {"GPU": [tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")]}
    monkeypatch.setattr(tf.config, "list_physical_devices", devices.get)
    line = refused(place, capsys, f"{FOLDERS} --strategy mirrored --devices 2 --batch-size 4")
    assert "--devices 2: this machine has 1 GPU" in line


def test_one_bad_picture_does_not_stop_the_others(place, capsys):
    (place / "photos" / "bad.jpg").write_text("words", encoding="utf-8")
    assert cli.main(["stylize", "photos", "--model", "model", "--output", "out", "--quiet"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "photos/bad.jpg: not a JPEG, PNG, WebP or GIF picture" in lines[0]
    assert "1 of 5 pictures could not be restyled" in lines[1]
    assert sorted(path.name for path in (place / "out").iterdir()) == ["0.png", "1.png", "2.png", "3.png"]


def test_check_lists_every_bad_file(place, capsys):
    truncated(place / "photos" / "bad.jpg")
    assert cli.main(["check", "photos", "bomb"]) == 2
    out = capsys.readouterr().out.splitlines()
    assert "photos/bad.jpg: damaged or truncated" in out[0]
    assert "bomb/a.png: its header claims 60000x60000 pixels (3600 megapixels)" in out[1]
    assert out[2] == "6 pictures checked, 2 cannot be used"


@pytest.mark.slow
def test_the_real_command_has_no_traceback(place):
    """A new process prints the same line and status as the tests above, and nothing from TensorFlow."""
    script = pathlib.Path(__file__).parents[1] / "scripts" / "train.py"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, script, "--content", "nowhere", "--style", "x"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "kgan: error: nowhere: no such folder; check the path\n"
