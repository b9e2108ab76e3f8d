"""Output to stdout and stderr, --quiet, and texts that a terminal cannot show."""

import io
import os
import pathlib
import subprocess
import sys

import pytest

from kgan import cli, console

ROOT = pathlib.Path(cli.__file__).parents[1]


@pytest.fixture(autouse=True)
def loud():
    yield
    console.be_quiet(False)


def speak():
    console.result("a result")
    console.say("a notice")
    console.warn("a warning")
    with console.progress(2, "work") as bar:
        bar.advance()
        bar.notice("told")
        bar.advance()


def test_results_are_on_stdout_and_all_else_on_stderr(capsys):
    speak()
    assert capsys.readouterr() == ("a result\n", "a notice\nkgan: a warning\ntold\nwork 2/2\n")


def test_quiet_leaves_results_and_warnings(capsys):
    console.be_quiet()
    speak()
    assert capsys.readouterr() == ("a result\n", "kgan: a warning\n")


def test_a_command_is_quiet_for_itself_alone(tmp_path, capsys):
    assert cli.main(["sample", str(tmp_path / "a"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.main(["check", str(tmp_path / "a"), "--quiet"]) == 0
    assert capsys.readouterr() == ("989 pictures checked, all good\n", "")
    assert cli.main(["check", str(tmp_path / "none"), "--quiet"]) == 2
    assert "none: no such folder" in capsys.readouterr().err
    assert cli.main(["sample", str(tmp_path / "b")]) == 0
    assert capsys.readouterr() == ("", f"wrote     989 pictures to {tmp_path}/b\n")


def test_a_line_stays_a_line(capsys):
    console.warn("a\nb\x1b[2J")
    console.result("a\x1b\nb")
    assert capsys.readouterr() == ("a\\x1b\nb\n", "kgan: a\\nb\\x1b[2J\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_character_stops_a_message(monkeypatch, encoding):
    written = {name: io.TextIOWrapper(io.BytesIO(), encoding, errors="strict") for name in ("stdout", "stderr")}
    for name, stream in written.items():
        monkeypatch.setattr(sys, name, stream)
    console.accept_any_text()
    for say in (console.result, console.say):
        say("café → 写真 \udcff")
    for stream in written.values():
        shown = {
            "ascii": r"caf\xe9 \u2192 \u5199\u771f \xff",
            "latin-1": r"café \u2192 \u5199\u771f \xff",
            "utf-8": r"café → 写真 \xff",
        }
        stream.flush()
        assert stream.buffer.getvalue().decode(encoding) == f"{shown[encoding]}\n"


@pytest.mark.parametrize("fails", [False, True])
def test_chatter_of_libraries_is_shown_only_when_something_fails(capfd, fails):
    try:
        with console.without_chatter():
            os.write(2, b"INFO: chatter\n")
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    os.write(2, b"after\n")
    assert capfd.readouterr().err == ("INFO: chatter\nafter\n" if fails else "after\n")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONIOENCODING": "utf-8:strict", "LC_ALL": "de_DE.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=lambda names: " ".join(names.values()),
)
def test_names_that_are_no_text_are_shown_in_every_locale(tmp_path, environment):
    folder = os.fsencode(tmp_path) + b"/caf\xe9-\xe5\x86\x99"
    os.mkdir(folder)
    pathlib.Path(os.fsdecode(folder), "a.jpg").write_text("no picture", encoding="utf-8")
    code = "import sys; from kgan.cli import main; sys.exit(main(sys.argv[1:]))"
    for words, status in ((["check", folder], 2), (["check", folder + b"-none"], 2), (["train", "--help"], 0)):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, env=os.environ | environment, cwd=ROOT
        )
        assert done.returncode == status, done.stderr
        assert b"Traceback" not in done.stderr
        assert (b"caf" in done.stdout + done.stderr) == (words[0] == "check")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_error(closed):
    code = "import sys; from kgan.cli import main; sys.exit(main(['check', 'nowhere']))"
    done = subprocess.run(["sh", "-c", f'{sys.executable} -c "{code}" {closed}'], cwd=ROOT, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == (b"kgan: error: nowhere: no such folder; check the path\n" if "2" not in closed else b"")
