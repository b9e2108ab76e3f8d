"""The shipped models: complete, small, unchanged, and found by name in all commands."""

import dataclasses
import pathlib
import re
import shlex
import shutil

import numpy as np
import pytest
import small_runs
import tensorflow as tf
from PIL import Image

import kgan
from kgan import cli, parsing
from kgan.assembly import build_gan, build_generator
from kgan.errors import UserError
from kgan.export import export_run, export_saved_model, load, load_generator
from kgan.runs import models, recipes
from kgan.runs.settings import TrainConfig
from kgan.training.train import GENERATOR_SETTINGS, _check_init_from, _init_from
from kgan.web.models import read_models

ROOT = pathlib.Path(kgan.__file__).parents[1]
FOLDER = ROOT / "saved_models"
STUDENTS = ("fluent3d-mobile", "ukiyoe-mobile", "vangogh-mobile")
NAMES = ("fluent3d", "ukiyoe", "vangogh", *STUDENTS)
MEGABYTE = 2**20
LEVELS = 2
"""The largest difference in levels of 255 to the recorded picture, due to float16 weights and other CPUs."""

HEADINGS = ("Use", "Data and licences", "Training", "Scores", "Limits", "Files")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="an installed package holds no tests of its own")


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


@pytest.mark.parametrize(
    ("name", "file"),
    [(name, "") for name in NAMES]
    + [pytest.param(name, "model_float16.tflite", marks=pytest.mark.long) for name in STUDENTS],
)
def test_it_makes_the_recorded_picture(name, file):
    content, expected = (pixels(FOLDER / name / f"test_{what}.png") for what in ("content", "stylized"))
    made = load(FOLDER / name / file)(content.astype(np.uint8))
    assert np.abs(made - expected).max() <= LEVELS
    assert np.abs(expected - content).max() > 16  # the picture tells something


@pytest.mark.parametrize("name", NAMES)
def test_its_card_says_what_one_must_know(name):
    card = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {name}\n")
    assert [line[3:] for line in card.splitlines() if line.startswith("## ")] == list(HEADINGS)
    assert "kgan train --recipe" in card
    assert "{" not in card
    assert "$" not in card
    with Image.open(FOLDER / name / "samples.jpg") as sheet:
        assert min(sheet.size) > 600
    assert (FOLDER / name / "samples.jpg").stat().st_size <= 250_000


def test_all_of_them_are_named_and_small():
    sizes = {path: path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()}
    assert set(NAMES) <= set(models.shipped()) == {path.parent.name for path in FOLDER.glob("*/README.md")}
    assert max(sizes.values()) <= 10 * MEGABYTE
    students = sum(size for path, size in sizes.items() if path.relative_to(FOLDER).parts[0] in STUDENTS)
    assert students <= 8 * MEGABYTE
    assert sum(sizes.values()) - students <= 22 * MEGABYTE


def test_those_for_phones_are_small():
    assert models.for_phones() == list(STUDENTS)
    assert all((FOLDER / name / "model_float16.tflite").stat().st_size < MEGABYTE / 2 for name in STUDENTS)


# --- weights in float16 -----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_half_takes_half_the_room_and_changes_nothing_one_sees(tmp_path):
    config = recipes.resolve(dataclasses.replace(small_runs.settings(tmp_path / "run", recipe="paired"), filters=16))
    generator = build_generator(config)
    draw = np.random.default_rng(0)
    generator.set_weights(
        [0.3 * draw.standard_normal(each.shape).astype("float32") for each in generator.get_weights()]
    )
    whole = export_saved_model(generator, tmp_path / "whole")
    half = export_saved_model(generator, tmp_path / "half", half=True)
    data = "variables/variables.data-00000-of-00001"
    assert 0.45 < (half / data).stat().st_size / (whole / data).stat().st_size < 0.55
    stored = tf.saved_model.load(str(half)).weights
    assert [each.dtype for each in stored] == [tf.float16] * len(generator.variables)
    for picture in draw.integers(0, 256, (2, 21, 34, 3), np.uint8):
        assert np.abs(load(whole)(picture).astype(int) - load(half)(picture)).max() <= LEVELS
    # The generator itself, which a training may go on with, keeps what float16 cannot hold.
    assert any((weight != weight.astype(np.float16)).any() for weight in generator.get_weights())


# --- by name ----------------------------------------------------------------------------------------------------------


def test_the_command_line_knows_it_by_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = FOLDER / "vangogh" / "test_content.png"
    assert cli.main(["stylize", str(content), "--model", "vangogh", "--output", "out"]) == 0
    assert np.abs(pixels("out/test_content.png") - pixels(FOLDER / "vangogh" / "test_stylized.png")).max() <= LEVELS
    assert cli.main(["stylize", str(content), "--model", "vangohg", "--output", "other"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "vangohg: no model there; did you mean vangogh? Give a run folder" in said
    assert ", ".join(sorted(NAMES)) in said
    assert not pathlib.Path("other").exists()


def test_a_model_of_ones_own_wins_and_a_folder_of_paintings_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert models.resolve_model("vangogh").path == models.FOLDER / "vangogh"
    pathlib.Path("vangogh").mkdir()
    shutil.copy(FOLDER / "vangogh" / "test_content.png", "vangogh")
    assert models.resolve_model("vangogh").path == models.FOLDER / "vangogh"
    with pytest.raises(UserError, match=r"^\./vangogh: is no model; expected a run folder"):
        models.resolve_model("./vangogh")
    pathlib.Path("vangogh/config.json").write_text("{}", encoding="utf-8")
    assert models.resolve_model("vangogh").path == pathlib.Path("vangogh")


def test_training_starts_from_it(tmp_path):
    config = starting("fluent3d", tmp_path)
    gan = build_gan(config)
    _init_from(gan, config)
    trained, _ = load_generator("fluent3d")
    for network in (gan.stylist, gan.generator):
        assert all((a == b).all() for a, b in zip(network.get_weights(), trained.get_weights(), strict=True))
    # The float32 weights are the float16 ones of the file, so that nothing but rounding was lost.
    assert all((weight == weight.astype(np.float16)).all() for weight in trained.get_weights())


def starting(name, tmp_path, **changes):
    shape = {"filters": 32, "blocks": 6, "residual": True, "discriminator_filters": 4, "init_from": name}
    return small_runs.settings(tmp_path / "new", **{"recipe": "cut", **shape, **changes})


def test_another_network_is_told_which_flags_fit(tmp_path):
    config = starting("vangogh", tmp_path, filters=8, blocks=1)
    with pytest.raises(UserError, match=r"init_from vangogh: .* to fit, give filters 32 blocks 6$"):
        _check_init_from(config)
    with pytest.raises(UserError, match=r"init_from vangohg: no model there; did you mean vangogh\?"):
        starting("vangohg", tmp_path)


def test_exports_of_it_go_elsewhere():
    before = sorted(FOLDER.rglob("*"))
    for run in ("ukiyoe", FOLDER / "ukiyoe", ROOT / "kgan" / "saved_models" / "ukiyoe"):
        with pytest.raises(UserError, match="output is missing"):
            export_run(run)
    assert sorted(FOLDER.rglob("*")) == before


def test_its_settings_can_be_read_and_name_no_folder_of_the_maker():
    for name in NAMES:
        config = TrainConfig.load(FOLDER / name / "config.json")
        folders = [config.content, config.style, config.data]
        assert all(folder in (None, "photos", "vangogh", "ukiyoe", "fluent", "flat") for folder in folders)
        assert config.cache == TrainConfig().cache


FORMER = {
    "former": "vangogh",
    "early": "ukiyoe",
    "first": "vangogh",
    "bold": "vangogh-mobile",
    "flat": "ukiyoe-mobile",
    "third": "ukiyoe",
}
"""Names in the prose of cards for former models and those of other cards, with a model that has the same network."""


@pytest.mark.parametrize("name", NAMES)
def test_the_command_on_its_card_is_the_one_that_made_it(name, tmp_path, monkeypatch):
    """The command in a card gives the model's settings, even if defaults changed. It may need earlier commands."""
    monkeypatch.chdir(tmp_path)
    page = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```sh.*?^```", "", page, flags=re.M | re.S)
    for former in {each for each in FORMER if f"`{each}`" in prose} - set(re.findall(r"--run (\w+)", page)):
        pathlib.Path(former).mkdir()
        shutil.copy(FOLDER / FORMER[former] / "config.json", former)
    commands = re.findall(r"^kgan train --(?:recipe|distill-from) .*?[^\\]$", page, re.M | re.S)
    made, runs = TrainConfig.load(FOLDER / name / "config.json"), set()
    for command in commands:
        asked = recipes.resolve(parsed(command))
        if asked.init_from:
            start = models.resolve_model(asked.init_from).run_config
            assert all(getattr(start, setting) == getattr(asked, setting) for setting in GENERATOR_SETTINGS)
        runs -= {asked.init_from, asked.distill_from, asked.distill_also}
        if command != commands[-1]:
            runs.add(asked.run)
            pathlib.Path(asked.run).mkdir()
            asked.save(pathlib.Path(asked.run, "config.json"))
    assert not runs  # each earlier run is used by a later command
    machine = {"devices", "jit", "deterministic", "log_every", "sample_every", "checkpoint_every"}
    differing = {key for key, value in vars(made).items() if getattr(asked, key) != value}
    assert differing <= machine


def parsed(command):
    return parsing.parse(TrainConfig, shlex.split(command.replace("\\\n", ""))[2:], "kgan train")


@pytest.mark.long
def test_the_page_takes_it():
    (page,) = read_models(["fluent3d"])
    assert page.name == "fluent3d"
    assert min(page.signatures) >= 128
