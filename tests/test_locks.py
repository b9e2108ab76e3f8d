"""Locks between processes."""

import errno
import fcntl
import os
import subprocess
import sys
import threading

import pytest

from kgan import locks
from kgan.errors import UserError


@pytest.fixture(params=["file", "folder"])
def place(request, tmp_path):
    """A second lock of this process is like that of another process, because locks belong to open files."""
    return tmp_path / "lock" if request.param == "file" else tmp_path


def test_a_lock_keeps_others_out(place):
    def refuse():
        raise UserError("another has it")

    second = locks.locked(place, waiting=refuse)
    with locks.locked(place, waiting=refuse), pytest.raises(UserError, match="another has it"):
        second.__enter__()
    with locks.locked(place, waiting=refuse):  # it is free again
        pass


def test_a_lock_is_waited_for(place):
    told, order = threading.Event(), []

    def second():
        with locks.locked(place, waiting=told.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with locks.locked(place):
        thread.start()
        assert told.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_shared_lock_says_who_is_alone(place):
    alone = []
    with locks.shared(place, lambda: alone.append(1)), locks.shared(place, lambda: alone.append(2)):
        assert alone == [1]
    with locks.shared(place, lambda: alone.append(3)):
        assert alone == [1, 3]


def test_a_lock_ends_with_its_process(tmp_path):
    code = (
        "import os, pathlib\nfrom kgan import locks\nwith locks.locked(pathlib.Path('lock')): os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path).returncode == -9
    waited = []
    with locks.locked(tmp_path / "lock", waiting=lambda: waited.append(1)):
        assert not waited


def test_a_file_system_without_locks_has_none(place, monkeypatch):
    def refused(file, kind):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    done = []
    with locks.locked(place, waiting=lambda: done.append("waited")), locks.shared(place, lambda: done.append("alone")):
        done.append("ran")
    assert done == ["ran"]
