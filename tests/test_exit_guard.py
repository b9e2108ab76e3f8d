"""Ctrl-C, SIGTERM and SIGHUP, also where the terminal is gone."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from kgan import cli, commands
from kgan.commands import Command, check
from kgan.exit_guard import SIGNALS, ExitGuard

pytestmark = pytest.mark.usefixtures("hangup")


@pytest.fixture(params=SIGNALS, ids=lambda number: number.name)
def number(request):
    return request.param


def test_a_signal_raises_at_once(number):
    with ExitGuard(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_deferred_it_is_only_noted_and_a_second_one_raises(number):
    with ExitGuard() as guard, guard.deferred():
        signal.raise_signal(number)
        assert guard.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_former_handlers_come_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with ExitGuard():
        assert not {signal.getsignal(number) for number in SIGNALS} & set(before)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_under_nohup_the_closed_terminal_ends_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ExitGuard() as guard:
            signal.raise_signal(signal.SIGHUP)
            assert not guard.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_every_command_ends_in_order(monkeypatch, capsys, number):
    command = Command("odd", check.Check, lambda **_: signal.raise_signal(number))
    monkeypatch.setattr(cli, "COMMANDS", {**commands.COMMANDS, "odd": command})
    assert cli.main(["odd", "folder"]) == 130
    assert capsys.readouterr().err == "kgan: interrupted\n"


def test_the_last_work_is_done_though_the_terminal_is_closed(tmp_path):
    """What is printed goes nowhere then. It would be an error otherwise, and the work would be lost."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SAVES, str(tmp_path / "saved")]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        assert os.read(ours, 100).startswith(b"ready")
        os.close(ours)
        process.send_signal(signal.SIGHUP)
    assert process.returncode == 0
    assert (tmp_path / "saved").exists()


SAVES = """
import pathlib, sys, time
from kgan import console
from kgan.exit_guard import ExitGuard
with ExitGuard() as guard, guard.deferred():
    console.say("ready")
    while not guard.requested:
        time.sleep(0.01)
    console.say("saving")
    print("results", flush=True)
    pathlib.Path(sys.argv[1]).touch()
"""
