"""Output to stdout and stderr, --quiet, and texts that a terminal cannot show."""

import io
import logging
import os
import pathlib
import subprocess
import sys

import PIL.Image
import pytest

import kgan
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
        bar.advance()


def test_results_are_on_stdout_and_all_else_on_stderr(capsys):
    speak()
    assert capsys.readouterr() == ("a result\n", "a notice\nkgan: a warning\nwork 2/2\n")


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


# --- in a Python program: logging -------------------------------------------------------------------------------------


def test_a_program_that_logs_gets_messages_as_records_and_nothing_is_printed(caplog, capsys):
    with caplog.at_level(logging.INFO, "kgan"):
        speak()
        console.warn("--batch-size 0%: too\nsmall")
        console.say("kgan: waiting")
    assert capsys.readouterr() == ("a result\n", "")
    assert caplog.record_tuples == [
        ("kgan", logging.INFO, "a notice"),
        ("kgan", logging.WARNING, "a warning"),
        ("kgan", logging.INFO, "work 2/2"),
        ("kgan", logging.WARNING, "batch_size 0%: too\\nsmall"),
        ("kgan", logging.INFO, "waiting"),
    ]


def test_levels_and_filters_of_the_program_apply(caplog):
    with caplog.at_level(logging.WARNING, "kgan"):
        speak()
    assert [record.getMessage() for record in caplog.records] == ["a warning"]


def test_a_null_handler_silences_messages(monkeypatch, capsys):
    monkeypatch.setattr(console.logger, "handlers", [logging.NullHandler()])
    speak()
    assert capsys.readouterr() == ("a result\n", "")


def test_a_level_without_a_handler_leaves_warnings():
    """Python prints records of WARNING and above where nobody has a handler."""
    assert printed_by("logging.getLogger('kgan').setLevel(logging.INFO)") == "a warning\n"


def test_a_program_without_logging_prints_messages():
    assert printed_by("") == "a notice\nkgan: a warning\n"


def test_a_program_that_logs_to_the_terminal_prints_each_message_once():
    assert printed_by("logging.basicConfig(level=logging.INFO)") == "INFO:kgan:a notice\nWARNING:kgan:a warning\n"


def test_a_program_that_logs_to_a_file_has_messages_there_too(tmp_path):
    shown = printed_by(f"logging.basicConfig(level=logging.INFO, filename={str(tmp_path / 'log')!r})")
    assert shown == "a notice\nkgan: a warning\n"
    assert (tmp_path / "log").read_text(encoding="utf-8") == "INFO:kgan:a notice\nWARNING:kgan:a warning\n"


def printed_by(setting):
    """What a program without TensorFlow prints to stderr that sets up `logging` so."""
    program = f"import logging\nfrom kgan import console\n{setting}\nconsole.say('a notice')\nconsole.warn('a warning')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stderr


def test_the_command_line_prints_also_where_logging_is_set_up(tmp_path, caplog, capsys):
    with caplog.at_level(logging.DEBUG):
        assert cli.main(["sample", str(tmp_path / "a")]) == 0
    assert capsys.readouterr() == ("", f"wrote     989 pictures to {tmp_path}/a\n")
    assert not [record for record in caplog.records if record.name == "kgan"]


def test_a_call_in_python_logs_its_warnings(tmp_path, caplog):
    (tmp_path / "content").mkdir()
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "content" / "good.png")
    (tmp_path / "content" / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(kgan.UserError, match="1 of 2"):
        kgan.stylize(tmp_path / "content", model="vangogh", output=tmp_path / "out")
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert (record.name, record.filename) == ("kgan", "stylize.py")
    assert "bad.png" in record.getMessage()


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


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(closed):
    code = "import sys; from kgan.cli import main; sys.exit(main(['check', 'nowhere']))"
    done = subprocess.run(["sh", "-c", f'{sys.executable} -c "{code}" {closed}'], cwd=ROOT, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == (b"kgan: error: nowhere: no such folder; check the path\n" if "2" not in closed else b"")


def test_a_picture_does_not_go_to_a_closed_stream(tmp_path):
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    words = ["stylize", str(tmp_path / "a.png"), "--model", "vangogh-mobile", "--output", "-"]
    code = f"import sys; from kgan.cli import main; sys.exit(main({words}))"
    done = subprocess.run(["sh", "-c", f'{sys.executable} -c "{code}" >&-'], cwd=ROOT, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert b"--output -: standard output is closed" in done.stderr
