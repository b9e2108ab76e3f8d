"""The public names of kgan, their signatures, and their error messages."""

import contextlib
import dataclasses
import inspect
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import small_runs
from gan_runs import eagerly
from PIL import Image

import kgan
from kgan import cli
from kgan.errors import RunError, UserError, call, for_command_line, worded
from kgan.runs.settings import TrainConfig
from kgan.training.call import settings_from

SIGNATURES = {
    "stylize": ("pictures", "model", "output", "seed", "variants", "overwrite", "strokes", "memory", "mask", "feather",
                "strength", "keep_colour", "format", "quality", "strip_metadata", "skip_existing", "max_megapixels",
                 "exact", "film", "start", "duration", "fps", "codec", "crf", "resume", "steady",
                 "precision", "jit", "trust", "smooth"),
    "Film": ("path", "start", "duration", "fps"),
    "generate": ("model", "output", "count", "seed", "size", "truncation", "between", "overwrite", "format", "quality",
                 "skip_existing", "trust"),
    "evaluate": ("model", "content", "truth", "style", "size", "crops", "baseline", "output", "seed", "fail_under",
                 "fail_over", "max_megapixels", "film", "moves", "steady", "start", "duration", "stylized",
                 "networks", "trust", "smooth"),
    "compare": ("a", "b", "photos", "output", "size", "question", "seed", "max_megapixels", "trust"),
    "export": ("run", "output", "name", "litert", "sizes", "licence", "source", "format", "trust", "onnx"),
    "check": ("paths", "max_megapixels"),
    "load": ("model", "trust", "precision"),
    "push": ("run", "to", "private", "revision", "space", "licence", "source", "without_samples", "dry_run", "trust"),
    "Client": ("server", "name", "version", "label", "timeout", "retries", "max_message_bytes"),
}  # fmt: skip
"""The parameters of public functions in their order. Renaming or moving one breaks programs."""


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)).save(path)
    return path


def test_the_public_names():
    assert set(kgan.__all__) <= {*SIGNATURES, "train", "data", "networks", "losses", "metrics", "RECIPES", "Recipe",
                                 "LossTerm", "UserError", "RunError", "OneWay", "TwoWay", "LossInputs"}  # fmt: skip
    assert {*SIGNATURES, "train"} <= set(kgan.__all__)
    assert kgan.__all__ == sorted(kgan.__all__, key=lambda name: (name[0].islower(), not name.isupper(), name))
    assert set(kgan.__all__) <= set(dir(kgan))
    for name in kgan.__all__:
        assert inspect.getdoc(getattr(kgan, name)), name
    with pytest.raises(AttributeError, match="trian"):
        kgan.trian  # noqa: B018


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name):
    assert tuple(inspect.signature(getattr(kgan, name)).parameters) == SIGNATURES[name]


def test_train_takes_every_setting_by_its_name():
    parameters = inspect.signature(kgan.train).parameters
    assert {*parameters} == {field.name for field in dataclasses.fields(TrainConfig)} - {"extended_at"}
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert defaults == {name: getattr(TrainConfig(), name) for name in parameters}


def test_the_commands_take_what_the_functions_take():
    for name in ("stylize", "generate", "evaluate", "export", "push"):
        options = {field.name for field in dataclasses.fields(cli.COMMANDS[name].options)}
        assert options - {"max_megapixels"} <= {*SIGNATURES[name]}, name


def test_what_needs_no_tensorflow_imports_none():
    code = """
import sys, kgan
assert [name for name in sys.modules if name.startswith("kgan")] == ["kgan"]
kgan.Recipe, kgan.RECIPES, kgan.LossTerm, kgan.Client, kgan.check, kgan.train, kgan.UserError, dir(kgan)
for call in (lambda: kgan.train("cyclgan"), lambda: kgan.train(batch_size=0), lambda: kgan.train(resume=True),
             lambda: kgan.Client("x", "y"), lambda: kgan.check("nowhere")):
    try:
        call()
    except kgan.UserError:
        continue
    raise SystemExit("no error")
assert not {"tensorflow", "keras"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_callbacks_of_a_training():
    assert settings_from({"callback": "a:B"}).callback == ("a:B",)
    assert settings_from({"callback": ["a:B", 'c:D={"e": 1}']}).callback == ("a:B", 'c:D={"e": 1}')


# --- errors -----------------------------------------------------------------------------------------------------------

WRONG = {
    "train": [
        {"recipe": "cyclgan"}, {"batch_size": 0}, {"batch_size": "many"}, {"size": 130}, {"min_crop": 2.0},
        {"weight": {"cycel": 1.0}}, {"weight": {"ssim": -1}}, {"weight": "ssim"}, {"features": "vgg"}, {"ema": 1.0},
        {"stride": 3}, {"flip": "yes"}, {"data": "nowhere"}, {"content": "a"}, {"style": "a"}, {"resume": True},
        {"resume": True, "run": "nowhere"}, {"distill_from": "nowhere"}, {"init_from": "vangohg", "data": "sample"},
        {"feature_weights": "nowhere.h5"}, {"discriminator_learning_rate": -1.0}, {"max_megapixels": 0.0},
        {"generator_optimizer": "adm"}, {"augment": "colur"}, {"precision": "half"}, {"steps": True},
        {"weight": 3}, {"callback": 3}, {"callback": [3]},
        {"run": ""}, {"content": b"nowhere", "style": "a"}, {"batch_size": 10**9},
    ],
    "stylize": [
        {"pictures": "nowhere.png"}, {"pictures": []}, {"model": "vangohg"}, {"model": "nowhere.tflite"}, {"seed": -1},
        {"variants": 0}, {"variants": 2}, {"memory": 0}, {"strength": 2}, {"feather": 1}, {"mask": "nowhere.png"},
        {"format": "tiff"}, {"quality": 0}, {"quality": 5}, {"strokes": 0}, {"max_megapixels": 0},
        {"film": True, "fps": 0}, {"crf": 5}, {"resume": True}, {"steady": 0}, {"steady": 17},
        {"overwrite": True, "skip_existing": True}, {"output": "x.heic"}, {"format": "png", "output": "r.jpg"},
    ],
    "generate": [
        {}, {"seed": -1}, {"count": 0}, {"size": "axb"}, {"size": (0, 9)}, {"size": 0}, {"truncation": -1},
        {"between": (1, 2), "count": 1}, {"format": "tiff"}, {"quality": 101}, {"model": "nowhere"},
    ],
    "evaluate": [
        {"content": None}, {"size": 1}, {"content": "nowhere"}, {"crops": 3}, {"crops": 0, "size": 32},
        {"fail_under": "x=1"}, {"fail_under": ("truth_mse=1",)}, {"fail_over": ("truth_psnr=1",)},
        {"fail_under": ("truth_psnr",)}, {"fail_over": {"content_ssm": 1}}, {"baseline": "nowhere"},
        {"truth": "nowhere"}, {"model": "nowhere"}, {"max_megapixels": 0},
    ],
    "export": [
        {}, {"run": "nowhere"}, {"name": "A b"}, {"name": "x"}, {"litert": "int9", "output": "o"},
        {"litert": ["float16"], "name": "x"}, {"litert": "float16", "sizes": 17, "output": "o"},
        {"format": "onnx", "output": "o"}, {"format": "litert", "name": "x", "output": "o"},
        {"onnx": "int8", "output": "o"}, {"onnx": "float16", "name": "x", "output": "o"},
        {"onnx": "float16", "sizes": 17, "output": "o"},
    ],
    "compare": [
        {"a": "nowhere"}, {"b": "vangohg"}, {"b": "others"}, {"photos": "nowhere"}, {"photos": "empty"}, {"size": 31},
        {"question": " "}, {"seed": -1}, {"output": "photos"}, {"output": "votes.html"}, {"max_megapixels": 0},
    ],
    "check": [{"paths": "nowhere"}, {"paths": []}, {"max_megapixels": -1}],
    "Film": [{"path": "nowhere.mp4"}, {"path": "empty"}, {"start": -1}, {"duration": 0}, {"fps": -2}],
    "load": [{"model": "nowhere"}, {"model": ""}, {"model": "."}],
    "Client": [
        {"server": "localhost:8501"}, {"server": "grpc://x/y"}, {"timeout": 0}, {"name": ""}, {"version": -1},
        {"version": 1, "label": "new"}, {"label": "a/b"}, {"retries": -1},
    ],
    "data.from_folders": [
        {}, {"content": "nowhere"}, {"size": 0}, {"batch_size": 0}, {"seed": -1}, {"channels": 2}, {"min_crop": 0},
        {"min_crop": 0.9, "max_crop": 0.5}, {"max_crop": 2}, {"content": ".", "paired": True}, {"content": "empty"},
        {"content": "photos", "max_megapixels": 0},
    ],
    "data.validation_from_folders": [
        {"content": "nowhere"}, {"content": "photos", "truth": "others"}, {"content": "photos", "count": 0},
        {"content": "photos", "size": 0},
    ],
}  # fmt: skip
USUAL = {
    "train": {},
    "stylize": {"pictures": "photos", "model": "vangogh-mobile", "output": "out"},
    "generate": {"model": "vangogh-mobile", "output": "out"},
    "evaluate": {"model": "vangogh-mobile", "content": "photos"},
    "compare": {"a": "photos", "b": "photos", "photos": "photos", "output": "out"},
    "export": {"run": "vangogh"},
    "check": {"paths": "photos"},
    "Film": {"path": "photos"},
    "load": {},
    "Client": {"server": "http://localhost:8501", "name": "sky"},
    "data.from_folders": {"cache": "cache"},
    "data.validation_from_folders": {"cache": "cache"},
}


@pytest.mark.parametrize(("name", "wrong"), [(name, wrong) for name, rows in WRONG.items() for wrong in rows], ids=str)
def test_wrong_arguments_are_value_errors_without_words_of_the_command_line(name, wrong, photo, monkeypatch):
    monkeypatch.chdir(photo.parents[1])
    pathlib.Path("empty").mkdir()
    pathlib.Path("others").mkdir()
    Image.new("RGB", (32, 32)).save("others/b.png")
    function = kgan
    for part in name.split("."):
        function = getattr(function, part)
    with pytest.raises(ValueError, match=r"\w") as caught:
        function(**USUAL[name] | wrong)
    assert isinstance(caught.value, UserError)
    said = str(caught.value)
    assert "--" not in said
    assert "kgan train" not in said
    assert "\n" not in said
    assert not pathlib.Path("out").exists()


def test_a_setting_that_does_not_exist():
    with pytest.raises(TypeError, match=r"batchsize.*did you mean batch_size"):
        kgan.train(batchsize=3)


def test_the_same_error_for_both_readers(photo, capsys):
    words = ["stylize", str(photo), "--model", "vangogh", "--output", "out", "--variants", "0"]
    assert cli.main(words) == 2
    assert capsys.readouterr().err == "kgan: error: --variants should be at least 1. Received: 0\n"
    with pytest.raises(UserError, match=r"^variants should be at least 1\. Received: 0$"):
        kgan.stylize(photo, model="vangogh", output="out", variants=0)


def test_words_of_messages():
    text = "give --batch-size 4 or --no-flip; a--b.png, --odd.png and /x/--y stay, --size: too"
    assert worded(text) == "give batch_size 4 or no_flip; a--b.png, --odd.png and /x/--y stay, size: too"
    with for_command_line():
        assert worded(text) == text
        assert str(UserError("--size is 3")) == "--size is 3"
        assert call("train", run="my runs/a", resume=True, steps=9) == "kgan train --run 'my runs/a' --resume --steps 9"
        assert call("check", pathlib.Path("a b")) == "kgan check 'a b'"
    assert call("train", run=pathlib.Path("my runs/a"), resume=True, steps=9) == (
        "kgan.train(run='my runs/a', resume=True, steps=9)"
    )
    assert call("check", pathlib.Path("a b")) == "kgan.check('a b')"
    assert str(RunError("--size is 3")) == "size is 3"


def test_the_words_come_back_after_a_command_that_fails():
    with contextlib.suppress(SystemExit):
        cli.main(["train", "--size", "x"])
    assert str(UserError("--size")) == "size"


# --- calls ------------------------------------------------------------------------------------------------------------


def test_one_picture_needs_no_list(photo, tmp_path):
    assert kgan.check(photo.parent) == kgan.check([photo]) == []
    (made,) = kgan.stylize(photo, model="vangogh-mobile", output=tmp_path / "one")
    (same,) = kgan.stylize([str(photo.parent)], "vangogh-mobile", str(tmp_path / "two"))
    assert made == tmp_path / "one" / "a.png"
    with Image.open(made) as image:
        assert image.size == (48, 40)
    assert made.read_bytes() == same.read_bytes()


def test_the_largest_picture_is_an_argument(photo, tmp_path):
    assert kgan.check(photo, max_megapixels=0.01) == []
    ((path, reason),) = kgan.check(photo, max_megapixels=0.001)
    assert path == photo
    assert "limit is 0.001" in reason
    with pytest.raises(UserError, match=r"limit is 0\.001"):
        kgan.stylize(photo, "vangogh-mobile", tmp_path / "out", max_megapixels=0.001)


@pytest.mark.long
def test_a_training_and_what_comes_of_it(tmp_path, photo):
    settings = {name: value for name, value in small_runs.SMALL.items() if name != "size"} | {"steps": 9}
    with eagerly():  # and stopped before its end, when it would be exported
        run = kgan.train(
            "paired", data=pathlib.Path(small_runs.pictures()), size=np.int64(16), run=tmp_path / "run",
            cache=small_runs.home() / "cache", weight={"features": 0}, stop_after=1, **settings,
        )  # fmt: skip
        assert run == tmp_path / "run"
        with pytest.raises(UserError, match=r"^batch_size 8: this run was started with 4"):
            kgan.train(run=run, resume=True, batch_size=8)
        assert kgan.train(run=run, resume=True, stop_after=2) == run
    config = TrainConfig.load(run / "config.json")
    assert (config.size, config.weight, config.steps) == (16, ("features=0",), 9)
    assert kgan.load(run)(np.zeros((20, 24, 3), np.uint8)).shape == (20, 24, 3)
    report = kgan.evaluate(run, size=16)
    assert report["pictures"] == 3
    exported = kgan.export(run, output=tmp_path / "exported", format="saved_model")
    assert {path.name for path in exported} >= {"saved_model"}
