"""Paths with "~" in all options of all commands, and in Python."""

import dataclasses
import os
import pathlib

import pytest

from kgan import cli, parsing
from kgan.errors import UserError
from kgan.paths import expanded, expands_paths, path_parameters
from kgan.runs import trust
from kgan.runs.settings import PLACES, TrainConfig
from kgan.runs.shipped import FOLDER


@pytest.fixture
def home(tmp_path, monkeypatch):
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    return home


def path_options(options):
    """The names of a command's options for paths and models."""
    fields = {field.name: str(field.type) for field in dataclasses.fields(options)}
    return {name for name, kind in fields.items() if "pathlib" in kind or "'PATH'" in kind or "'MODEL'" in kind}


def test_the_home_folder_is_expanded(home):
    assert expanded("~/a") == f"{home}/a"
    assert expanded(pathlib.Path("~/a")) == home / "a"
    assert expanded("~") == str(home)
    for other in ("a", "a/~", "~nobody-of-this-name/a", "$HOME/a", "tfds:~/a", "vangogh", ""):
        assert expanded(other) == other


def test_paths_may_be_bytes(home, tmp_path):
    @expands_paths
    def taken(paths: list[os.PathLike]):
        return paths

    (tmp_path / os.fsdecode(b"caf\xe9")).touch()
    (entry,) = (entry for entry in os.scandir(os.fsencode(tmp_path)) if entry.is_file())
    path = tmp_path / "caf\udce9"
    assert taken([b"~/a", os.fsencode(path), entry]) == [f"{home}/a", str(path), path]
    assert taken(b"a") == "a"


def test_without_a_home_folder_no_folder_is_called_like_one(home, monkeypatch):
    """A container often runs as a user that has no entry in /etc/passwd, and without HOME."""

    def nobody(number):
        raise KeyError(number)

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    for path in ("~", "~/a", pathlib.Path("~/a")):
        with pytest.raises(UserError, match="the home folder is not known; set HOME"):
            expanded(path)
    assert expanded("a/~") == "a/~"
    program = home / "program"
    program.write_bytes(b"1")
    trust.remember(program)
    assert trust.is_own(program)
    monkeypatch.setenv("KERAS_HOME", "")  # so that what the command sets is undone after the test
    monkeypatch.delenv("KERAS_HOME")
    assert cli.main(["check", "none"]) == 2
    assert os.path.isabs(os.environ["KERAS_HOME"])
    assert not list(pathlib.Path().iterdir())


def test_a_function_gets_whole_paths(home):
    @expands_paths
    def seen(model: str | os.PathLike, *, pictures: tuple[str | os.PathLike, ...] = (), name: str = "", output=None):
        """Words."""
        return model, pictures, name, output

    assert path_parameters(seen) == {"model", "pictures"}
    assert seen("~/a", name="~", output="~") == (f"{home}/a", (), "~", "~")
    assert seen(pathlib.Path("a"), pictures=["~/b", pathlib.Path("~/c")])[1] == [f"{home}/b", home / "c"]
    assert seen("a", pictures=(word for word in ("~", "b")))[1] == [str(home), "b"]
    assert seen(None)[0] is None
    assert seen.__doc__ == "Words."
    with pytest.raises(TypeError, match="model"):
        seen()


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "train"])
def test_every_path_of_every_command_is_expanded(command):
    options, run = cli.COMMANDS[command].options, cli.COMMANDS[command].load()
    assert path_options(options)
    assert path_options(options) <= path_parameters(run)
    assert run.__wrapped__  # by expands_paths


def test_every_path_of_the_settings_is_expanded(home):
    assert path_options(TrainConfig) == {*PLACES, "cache"}
    words = [f"--{name.replace('_', '-')}=~/{name}" for name in PLACES]
    config = parsing.parse(TrainConfig, words, "kgan train")
    assert all(getattr(config, name) == f"{home}/{name}" for name in PLACES)
    assert config.cache == "~/.cache/kgan"  # for whoever goes on with the run
    config.save(home / "config.json")
    assert TrainConfig.load(home / "config.json") == config


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("stylize ~/none --model x --output=~/out", "{home}/none: no such file or folder"),
        ("stylize {picture} --model x --output=~/out --mask=~/none", "--mask {home}/none: no such file or folder"),
        ("stylize {picture} --model=~/none --output=~/out", "{home}/none: no model there"),
        ("stylize {picture} --model x --output=~/taken", "{home}/taken/test_content.png: exists already"),
        ("generate --model x --output=~/taken", "{home}/taken/grid.png: exists already"),
        ("evaluate ~/none", "{home}/none: no model there"),
        ("request {picture} --server http://127.0.0.1:9 --name x --output=~/taken", "{home}/taken/test_content.png"),
        ("check ~/none", "{home}/none: no such folder"),
        ("sample ~/file/x", "{home}/file/x: cannot be written"),
        ("web ~/none", "{home}/none: no model there"),
        ("export --run=~/none", "{home}/none: no model there"),
        ("train --resume --run=~/none", "--run {home}/none: no run to resume there"),
        ("train --data=~/none", "{home}/none: no such folder"),
        ("train --data sample --init-from=~/none", "--init-from {home}/none: no model there"),
        ("train --data sample --distill-from=~/none", "--distill-from {home}/none: no model there"),
        ("train --data sample --feature-weights=~/none.h5", "--feature-weights {home}/none.h5: no such file"),
        ("train --data sample --run=~/file", "--run {home}/file: is a file"),
    ],
)
def test_the_command_line(home, capsys, words, said):
    (home / "taken").mkdir()
    for name in ("file", "taken/test_content.png", "taken/grid.png"):
        (home / name).touch()
    picture = FOLDER / "vangogh" / "test_content.png"
    assert cli.main(words.format(picture=picture).split()) == 2
    assert said.format(home=home) in capsys.readouterr().err
    assert not list(pathlib.Path().iterdir())


def test_results_go_to_the_home_folder(home, capsys):
    assert cli.main(["sample", "~/sample"]) == 0
    assert cli.main(["check", "~/sample/testA"]) == 0
    assert (home / "sample" / "trainB").is_dir()
    assert not list(pathlib.Path().iterdir())
