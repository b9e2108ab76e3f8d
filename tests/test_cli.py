import pathlib
import subprocess
import sys

import pytest

from kgan import cli
from kgan.config import TrainConfig


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
        (["train", "--size", "big"], "--size big: not a value of the right kind"),
        (["train", "--precision", "int8"], "float32"),
        (["train", "word"], "word"),
        (["train", "--resume"], "--resume needs --run"),
        (["stylize", "a.png", "--modle", "x"], "did you mean --model"),
        (["stylize", "a.png", "--model", "x"], "missing: --output"),
    ],
    ids=" ".join,
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
    config = cli.parse(TrainConfig, words, "kgan train")
    assert (config.weight, config.flip, config.ema, config.stride) == (("cycle=3", "gram=1"), False, 0.5, 8)


def test_resuming_takes_the_runs_own_settings(tmp_path, capsys):
    TrainConfig(recipe="cyclegan", size=96, weight=("cycle=3",)).save(tmp_path / "config.json")
    config = cli._parse_training(["--run", str(tmp_path), "--resume", "--stop-after", "7"])
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
    "words", ["import kgan", *(f"from kgan import cli; cli.main(['{c}', '--help'])" for c in cli.COMMANDS)]
)
def test_help_does_not_import_tensorflow(words):
    check = "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    code = f"import sys\ntry:\n    {words}\nexcept SystemExit: pass\n{check}"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0
