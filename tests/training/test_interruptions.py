"""SIGTERM, SIGHUP, Ctrl-C and kill -9 at critical points of a run."""

import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import small_runs
from small_runs import newest, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts"))

import soak

from kgan.data import prepared
from kgan.data.sources import folder_source

pytestmark = pytest.mark.slow
QUICK = {"weight": ("features=0",)}


def started(config):
    return small_runs.Process(small_runs.arguments(config))


def leftovers(folder):
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    return [name for name in names if re.search(r"partial|_temp|\.tmp|(^|/)\.", name)]


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_while_training_it_saves_and_says_how_to_go_on(tmp_path, number):
    config = small_runs.settings(tmp_path / "run", steps=5000, checkpoint_every=5000, sample_every=5000, **QUICK)
    process = started(config)
    wait_for(process, r"step 4/5000")
    process.send(number)
    assert process.wait() == 0
    said = re.search(r"stopped at step (\d+) of 5000; go on with: kgan (train --run \S+ --resume)\n", process.output)
    step = int(said[1])
    assert newest(tmp_path / "run") == step
    assert small_runs.lines(tmp_path / "run")[-1]["step"] == step
    assert leftovers(tmp_path) == []
    again = small_runs.Process([*said[2].split(), "--stop-after", str(step + 1)])
    assert again.wait() == 0
    assert f"stopped at step {step + 1} of 5000" in again.output


def test_before_the_first_step_nothing_is_kept(tmp_path):
    config = small_runs.settings(tmp_path / "run", cache=str(tmp_path / "cache"), **QUICK)
    process = started(config)
    wait_for(process, "preparing 7 pictures")
    process.send(signal.SIGINT)
    assert process.wait() == 130
    assert process.output.splitlines()[-1] == "kgan: error: interrupted; nothing of the run was kept"
    assert not (tmp_path / "run").exists()
    # A thread that still writes pictures can undo the removal of its folder. The next preparation removes it.
    assert [name for name in leftovers(tmp_path) if not name.startswith("cache/pictures/")] == []


def test_preparing_that_was_killed_begins_anew(tmp_path, monkeypatch):
    # Killed between the set's last file and the rename that gives it its name: nothing is cleaned up.
    spec = prepared.CacheSpec(64, 3, tmp_path)
    source = folder_source(pathlib.Path(small_runs.pictures()) / "trainA")
    rename = os.rename

    def die(old, new):
        if pathlib.Path(new).parent == spec.folder(source):
            raise Killed
        rename(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", die)
        patch.setattr(shutil, "rmtree", lambda *args, **options: None)
        with pytest.raises(Killed):
            prepared.prepare(source, spec)
    assert leftovers(tmp_path)
    assert len(prepared.prepare(source, spec)) == 7
    assert leftovers(tmp_path) == []


class Killed(BaseException):
    pass


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 20
    while alive(worker) and time.monotonic() < end:
        time.sleep(0.1)
    assert not alive(worker)


PARENT = """
import os, time
from kgan.data import pool

def work(item):
    return os.getpid()

if __name__ == "__main__":
    pool._processors = lambda: 2
    results = pool.map_in_processes(work, range(1000))
    print(next(results), flush=True)
    time.sleep(60)
"""


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.long
def test_while_exporting_the_rest_can_be_had_later(tmp_path):
    process = started(small_runs.settings(tmp_path / "run", steps=2, **QUICK))
    wait_for(process, r"step 2/2 ")
    while not list((tmp_path / "run").glob(".saved_model-*")) and process.process.is_alive():
        time.sleep(0.005)
    process.send(signal.SIGTERM)
    assert process.wait() == 130
    assert f"interrupted; go on with: kgan train --run {tmp_path / 'run'} --resume" in process.output
    assert leftovers(tmp_path) == []
    again = small_runs.Process(["train", "--run", str(tmp_path / "run"), "--resume"])
    assert again.wait() == 0
    assert (tmp_path / "run" / "saved_model" / "saved_model.pb").exists()
    assert (tmp_path / "run" / "model_float16.tflite").exists()


@pytest.mark.long
def test_killed_again_and_again(tmp_path, capsys):
    assert soak.soak(tmp_path, 2, random.Random()) == 0
    assert "2 kills" in capsys.readouterr().out
