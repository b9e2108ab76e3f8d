import contextlib
import importlib.metadata
import os
import pathlib
import subprocess
import sys

import pytest
from PIL import Image

import kgan
from kgan import cli, commands, parsing
from kgan.commands import train
from kgan.parsing import options_of, wants_quiet
from kgan.runs.settings import TrainConfig


def said(capsys, *args):
    status = cli.main(list(args))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["trian"], "did you mean train"),
        (["train", "--recip", "x"], "--recip: no such option; did you mean --recipe"),
        (["train", "--recipe", "cyclgan", "--style", "b", "--content", "a"], "did you mean cyclegan"),
        (["train", "--size", "big"], "--size big: should be a whole number"),
        (["train", "--size=1.5"], "--size 1.5: should be a whole number"),
        (["train", "--ema", "x"], "--ema x: should be a number"),
        (["train", "--precision", "int8"], "--precision int8: should be one of float64, "),
        (["train", "--flip", "maybe"], "--flip maybe: should be True or False"),
        (["train", "word"], "word: not expected here, options begin with --"),
        (["train", "--extended-at", "3"], "--extended-at: no such option"),
        (["train", "--run="], "--run is empty: name a path"),
        (["train", "--no-size"], "--no-size: no such option; did you mean --size?"),
        (["sample", "a", "b"], "b: not expected here, one folder is enough"),
        (["sample"], "missing: FOLDER"),
        (["check", ""], "paths is empty: name a path"),
        (["check", "--odd"], "--odd: no such option; see kgan check --help"),
        (["check", "-x"], "-x: no such option; see kgan check --help"),
        (["stylize", "a.png", "-o", "out"], "-o: no such option; did you mean --output?"),
        (["stylize", "a.png", "--quite"], "did you mean --quiet?"),
        (["stylize", "a.png", "--output"], "--output: its value is missing"),
        (["stylize", "a.png", "--output", "--model", "x"], "--output: its value is missing"),
        (["stylize", "a.png", "--overwrite=maybe"], "--overwrite maybe: should be True or False"),
        (["generate", "--between", "1", "--model", "x"], "--between: its value is missing"),
        (
            ["generate", "--model", "x", "--output", "o", "--between", "1", "x"],
            "--between 1 x: should be 2 values, each",
        ),
        (["export", "--run", "x", "--litert", "int9"], "--litert int9: should be one of float32, float16"),
        (["--quiet", "check", "a"], "--quiet: no such command; options stand behind the command."),
        (["-x"], "-x: no such command"),
        (["help", "stilize"], "did you mean stylize"),
        (["train", "--resume"], "--resume needs --run"),
        (["stylize", "a.png", "--modle", "x"], "did you mean --model"),
        (["stylize", "a.png", "--model", "x"], "missing: --output; see kgan stylize --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_words_get_one_line_and_status_2(capsys, args, expected):
    status, out, err = said(capsys, *args)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("kgan: error: ")
    assert expected in err


def test_settings_from_words():
    words = ["--weight", "cycle=3", "--weight", "gram=1", "--flip", "False", "--ema", "0.5", "--stride", "8"]
    config = parsing.parse(TrainConfig, words, "kgan train")
    assert (config.weight, config.flip, config.ema, config.stride) == (("cycle=3", "gram=1"), False, 0.5, 8)


@pytest.mark.parametrize(
    ("command", "words", "expected"),
    [
        ("stylize", "a --model m b --output o c", {"pictures": ("a", "b", "c"), "model": "m"}),
        (
            "stylize",
            "--model m --output o -- --odd.png -1 - --model",
            {"pictures": ("--odd.png", "-1", "-", "--model")},
        ),
        ("stylize", "- --model m --output -", {"pictures": ("-",), "output": "-"}),
        ("stylize", "a --model m --output o --model n --overwrite --no-overwrite", {"model": "n", "overwrite": False}),
        ("stylize", "a --model m --output o --overwrite=True", {"overwrite": True}),
        ("stylize", "a --model m --output o --overwrite False", {"pictures": ("a",), "overwrite": False}),
        ("stylize", "a --model m --output o --seed=3 --feather -.5 --strokes=nan", {"seed": 3, "feather": -0.5}),
        ("stylize", "a --model m --output o --quiet --mask=-", {"mask": "-"}),
        ("check", "-- --odd", {"paths": ("--odd",)}),
        ("check", "a -- -- b", {"paths": ("a", "--", "b")}),
        ("evaluate", "-- -m", {"model": "./-m"}),
        ("evaluate", "--fail-under a=1 m --fail-under=b=2", {"model": "m", "fail_under": ("a=1", "b=2")}),
        ("generate", "--model m --output o --between 1 -2 --between=3 4", {"between": (3, 4)}),
        (
            "export",
            "--run r --licence -x --litert int8 --litert=float16",
            {"licence": "-x", "litert": ("int8", "float16")},
        ),
        ("train", "--no-flip --residual --jit false --augment=", {"flip": False, "residual": True, "augment": ""}),
    ],
)
def test_words_in_any_order(command, words, expected):
    options = parsing.parse(cli.COMMANDS[command].options, words.split(), f"kgan {command}")
    values = {name: getattr(options, name) for name in expected}
    plain = {name: tuple(map(str, each)) if name in ("pictures", "paths") else each for name, each in values.items()}
    assert {name: str(each) if name in ("output", "mask") else each for name, each in plain.items()} == expected


def test_quiet_is_an_option_of_every_command():
    assert wants_quiet(["a", "--quiet"])
    assert not wants_quiet(["a", "--", "--quiet"])
    assert not wants_quiet(["--quiet", "--no-quiet"])
    assert not wants_quiet([])


@pytest.mark.parametrize("command", cli.COMMANDS)
@pytest.mark.parametrize("way", ["{} --help", "{} -h", "help {}", "{} --quiet -h"])
def test_help(capsys, command, way):
    with contextlib.suppress(SystemExit):
        cli.main(way.format(command).split())
    out, err = capsys.readouterr()
    assert f"usage: kgan {command}" in out
    assert "--quiet" in out
    options = options_of(cli.COMMANDS[command].options)
    assert [option.flag for option in options if not option.is_positional and option.flag not in out] == []
    assert err == ""


@pytest.mark.parametrize(
    "words", ["check {}", "sample {}", "stylize {} --model x --output o", "train --resume --run {}"]
)
def test_a_path_that_cannot_be_gets_one_line(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    status, out, err = said(capsys, *words.format("x" * 300).split())
    assert status in (1, 2)
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("kgan: error: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["--version", "-V"])
def test_version(capsys, words):
    assert said(capsys, words) == (0, f"kgan {kgan.__version__}\n", "")


@pytest.mark.parametrize("words", ["", "-h", "--help", "help", "help --help", "--help stylize"])
def test_overview_by_every_word_for_it(capsys, words):
    assert said(capsys, *words.split()) == (0, f"{cli._overview()}\n", "")


def test_resuming_takes_the_runs_own_settings(tmp_path, capsys):
    TrainConfig(recipe="cyclegan", size=96, weight=("cycle=3",)).save(tmp_path / "config.json")
    config = train.read(["--run", str(tmp_path), "--resume", "--stop-after", "7"])
    assert (config.size, config.weight, config.stop_after, config.resume) == (96, ("cycle=3",), 7, True)
    status, _, err = said(capsys, "train", "--run", str(tmp_path), "--resume", "--size", "128")
    assert status == 2
    assert "--size 128: this run was started with 96" in err


def test_overview_names_every_command(capsys):
    status, out, _ = said(capsys)
    assert status == 0
    assert all(name in out for name in cli.COMMANDS)


def test_a_reader_that_leaves_gets_no_traceback():
    script = pathlib.Path(__file__).parents[1] / "scripts" / "train.py"
    with subprocess.Popen(
        [sys.executable, script, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        "import kgan",
        "from kgan import cli; cli.main(['--version'])",
        *(f"from kgan import cli; cli.main(['{c}', '--help'])" for c in cli.COMMANDS),
    ],
)
def test_help_does_not_import_tensorflow(words):
    check = "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    code = f"import sys\ntry:\n    {words}\nexcept SystemExit: pass\n{check}"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_one_more_command_takes_one_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "greet.py").write_text(
        "import dataclasses\nfrom kgan.commands import Command\n\n"
        '@dataclasses.dataclass(frozen=True)\nclass Greet:\n    """Say hello."""\n\n'
        '    times: int = 1\n    """How often."""\n\n'
        "COMMAND = Command('greet', Greet, lambda times: print('hello ' * times))\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    cli.COMMANDS.refresh()
    try:
        assert "  greet     Say hello." in said(capsys)[1].splitlines()
        assert said(capsys, "greet", "--times", "2") == (0, "hello hello \n", "")
        assert "did you mean greet" in said(capsys, "gret")[2]
        assert "--times x: should be a whole number" in said(capsys, "greet", "--times", "x")[2]
        with pytest.raises(SystemExit):
            cli.main(["greet", "--help"])
        assert "How often." in capsys.readouterr().out
    finally:
        cli.COMMANDS.refresh()


def test_a_command_of_another_package_that_fails_hides_no_other(monkeypatch, capsys):
    point = importlib.metadata.EntryPoint("broken", "no_such_package:COMMAND", "kgan.commands")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == "kgan.commands" else [])
    cli.COMMANDS.refresh()
    try:
        status, out, _ = said(capsys)
        assert (status, "  train " in out, "No module named 'no_such_package'" in out) == (0, True, True)
        assert said(capsys, "broken")[0] == 2
    finally:
        cli.COMMANDS.refresh()


@pytest.mark.parametrize("folder", ["/sys/kgan", "/dev/null/kgan"])
def test_an_output_that_cannot_be_made_is_wrong_input(folder, capsys):
    if folder.startswith("/sys") and not os.path.ismount("/sys"):
        pytest.skip("no /sys here")
    assert cli.main(["export", "--run", "vangogh-mobile", "--format", "safetensors", "--output", folder]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"kgan: error: --output {folder}: cannot be written")


def test_python_runs_the_command_as_a_module():
    ran = subprocess.run([sys.executable, "-m", "kgan", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"kgan {kgan.__version__}\n"


def test_a_current_folder_that_was_removed_is_named(tmp_path, monkeypatch, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    try:
        assert cli.main(["stylize", str(tmp_path / "a.png"), "--model", "vangogh-mobile", "--output", "o"]) == 1
    finally:
        os.chdir(tmp_path)
    assert "the current folder was removed" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
