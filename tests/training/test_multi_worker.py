"""--strategy multi_worker: real processes on localhost, each with its TF_CONFIG."""

import dataclasses
import functools
import json
import os
import pathlib
import re
import socket
import subprocess
import textwrap
import threading
import time

import numpy as np
import pytest
import small_runs
from gan_runs import EXACT, PARITY
from worker_runs import QUICK, addresses, started, tf_config, three_steps, trained_by

import kgan
from kgan import parsing
from kgan.data import Shard, open_pictures, training_dataset
from kgan.data.stores import Store
from kgan.errors import RunError, UserError
from kgan.runs.settings import TrainConfig
from kgan.training import cluster
from kgan.training.cluster import Cluster, Members, from_environment
from kgan.training.train import train

PAGE = (pathlib.Path(kgan.__file__).parents[1] / "docs" / "machines.md").read_text(encoding="utf-8")
# --- the same weights as one process ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """Run folders of a single process, by recipe."""

    @functools.cache
    def run_of(**changes):
        run = tmp_path_factory.mktemp("one")
        process = small_runs.Process(small_runs.arguments(three_steps(run, **changes)))
        assert process.wait(120) == 0, process.output
        return run

    return run_of


def differences(one, other):
    assert one.keys() == other.keys()
    pairs = [(one[name].astype(np.float64), other[name].astype(np.float64)) for name in one if one[name].size]
    return max(np.abs(a - b).max() for a, b in pairs)


@pytest.mark.long
@pytest.mark.parametrize(("recipe", "count", "ending"), [("cyclegan", 2, {}), ("article", 2, {"steps": 3})])
def test_workers_train_what_one_process_trains(recipe, count, ending, one, tmp_path):
    # At a constant rate, so that workers whose schedule ends here, and who export, do the same as one that goes on.
    rates = {"learning_rate": 1e-3, "discriminator_learning_rate": 1e-3, "decay": "constant"}
    # The features' loss is each picture's own, and two replicas have it in tests/gan/test_gan.py.
    changes = {"recipe": recipe, "weight": ("features=0",) if recipe == "article" else (), **rates, **EXACT}
    alone, run = one(**changes), tmp_path / "run"
    workers, outputs = trained_by(count, run, **changes, **ending)
    start, weights = small_runs.weights(alone, 0), small_runs.weights(alone, 3)
    kernels = [name for name in weights if re.search("gan/stylist/.*kernel", name)]
    assert max(np.abs(weights[name] - start[name]).max() for name in kernels) > 1e-3
    assert differences(weights, small_runs.weights(run, 3)) < PARITY
    for mine, theirs in zip(small_runs.lines(alone), small_runs.lines(run), strict=True):
        assert mine.keys() == theirs.keys()
        np.testing.assert_allclose(list(theirs.values()), list(mine.values()), rtol=1e-5, atol=1e-5)
    assert f"device    {count} workers, each CPU" in outputs[0]
    end = f"done      {run / 'saved_model'}, {run / 'model.tflite'}\n" if ending else "stopped at step 3 of 10; go on"
    assert end in outputs[0]
    for index in range(1, count):
        lines = [line for line in outputs[index].splitlines() if not re.match("kgan: |[EWI]0000|WARNING", line)]
        assert lines == [f"worker {index} ({workers[index]}) trains along; worker 0 ({workers[0]}) reports"]


# --- each reads its share ---------------------------------------------------------------------------------------------


class TestShares:
    @pytest.mark.parametrize(("count", "batches"), [(2, 1), (3, 1), (2, 3), (1, 2)])
    def test_together_they_are_the_global_batch(self, count, batches, tmp_path):
        config = small_runs.settings(tmp_path, recipe="cyclegan", batch_size=6)
        pictures = open_pictures(config)
        whole = next(iter(training_dataset(pictures, config, 5)))
        parts = []
        for index in range(count):
            dataset = iter(training_dataset(pictures, config, 5, Shard(index, count, batches)))
            parts += [next(dataset) for _ in range(batches)]
        for name in ("content", "style"):
            assert all(len(part[name]) == 6 // count // batches for part in parts)
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), whole[name])

    def test_a_worker_reads_no_picture_of_another(self, tmp_path, monkeypatch):
        config = small_runs.settings(tmp_path, recipe="cyclegan", batch_size=6)
        pictures = open_pictures(config)
        read, encoded = [], Store.encoded
        monkeypatch.setattr(Store, "encoded", lambda store, rows: read.append(len(rows)) or encoded(store, rows))
        batches = iter(training_dataset(pictures, config, 0, Shard(1, 3)))
        for _ in range(4):
            next(batches)
        assert set(read) == {2}


# --- TF_CONFIG --------------------------------------------------------------------------------------------------------


def described(jobs, kind="worker", index=0):
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


class TestEnvironment:
    def test_a_chief_is_the_first_worker(self, monkeypatch):
        jobs = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
        for kind, index, expected in (("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)):
            monkeypatch.setenv("TF_CONFIG", described(jobs, kind, index))
            assert from_environment() == Members(("a:1", "b:1", "c:1"), expected)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "set TF_CONFIG for every worker, as in"),
            ("{", "TF_CONFIG: Expecting property name"),
            ("[]", "TF_CONFIG: list indices must be integers"),
            ("{}", "TF_CONFIG: 'cluster' is missing; it should look like"),
            ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG: 'task' is missing"),
            (described({"worker": ["a:1", "b:1"]}, index=2), "the cluster has no task worker 2"),
            (described({"worker": ["a:1", "b:1"]}, kind="chief"), "the cluster has no task chief 0"),
            (described({"worker": ["a:1", "b:1", "a:1"]}), "a:1 stands there twice"),
            (described({"worker": ["a", "b:1"]}), "'a' should be HOST:PORT"),
            (described({"worker": ["a:1"], "ps": ["b:1"]}), "ps is no job of kgan's"),
        ],
    )
    def test_what_is_wrong_is_said(self, text, reason, monkeypatch):
        monkeypatch.setenv("TF_CONFIG", text)
        with pytest.raises(UserError, match=re.escape(reason)):
            from_environment()

    @pytest.mark.long
    def test_the_batch_must_divide(self, tmp_path):
        _, processes = started(small_runs.settings(tmp_path / "run", batch_size=3, **QUICK), 2)
        assert [process.wait() for process in processes] == [2, 2]
        said = "kgan: error: --batch-size 3 should be a multiple of the 2 devices of 2 workers"
        assert all(process.output.splitlines()[-1].endswith(said[13:]) for process in processes)
        assert not (tmp_path / "run").exists()

    @pytest.mark.long
    def test_one_worker_alone_is_an_ordinary_training(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TF_CONFIG", tf_config(addresses(1), 0))
        config = small_runs.settings(tmp_path / "run", deterministic=False, **QUICK)
        train(dataclasses.replace(config, steps=9, stop_after=1, sample_every=9, checkpoint_every=9))
        assert small_runs.lines(tmp_path / "run")[-1]["step"] == 1


class TestManifest:
    """The script of the Kubernetes manifest in docs/machines.md, with `kgan` replaced by one that prints its call."""

    def run(self, tmp_path, index):
        script = textwrap.dedent(re.search(r"args:\n +- \|\n(.*?)\n +resources:", PAGE, re.DOTALL)[1])
        script = script.replace("/data", str(tmp_path))
        called = f'kgan() {{ echo "$TF_CONFIG" > {tmp_path}/config; echo "$@"; }}\n'
        environment = {**os.environ, "JOB_COMPLETION_INDEX": str(index)}
        done = subprocess.run(["bash", "-euc", called + script], env=environment, capture_output=True, text=True)
        return done.stdout.split(), (tmp_path / "config").read_text(encoding="utf-8"), done.returncode

    def test_tf_config_is_understood(self, tmp_path, monkeypatch):
        _, text, _ = self.run(tmp_path, 2)
        monkeypatch.setenv("TF_CONFIG", text)
        assert from_environment() == Members(tuple(f"kgan-{index}.kgan:2222" for index in range(3)), 2)

    def test_it_starts_then_resumes_and_ends_well_only_at_the_end(self, tmp_path):
        run = tmp_path / "run"
        words, _, status = self.run(tmp_path, 0)
        assert status == 1
        assert words[:3] == ["train", "--strategy", "multi_worker"]
        asked = parsing.parse(TrainConfig, words[1:], "kgan train")
        assert (asked.run, asked.batch_size) == (str(run), 24)
        run.mkdir()
        (run / "config.json").touch()
        assert self.run(tmp_path, 0)[0] == ["train", "--run", str(run), "--resume"]
        (run / "model_float16.tflite").touch()
        assert self.run(tmp_path, 0)[2] == 0


# --- the line between them --------------------------------------------------------------------------------------------


class Worker(threading.Thread):
    """A member of a cluster in a thread. It calls `work(cluster)` and stores the result or the error."""

    def __init__(self, workers, index, work, settings=None):
        super().__init__(daemon=True)
        self.cluster, self.work = Cluster(Members(workers, index)), work
        self.settings, self.result, self.error = settings or {"size": 16}, None, None
        self.start()

    def run(self):
        try:
            with self.cluster.joined(self.settings):
                self.result = self.work(self.cluster)
        except (UserError, ZeroDivisionError) as error:
            self.error = error

    def outcome(self):
        self.join(30)
        assert not self.is_alive()
        return self.error or self.result


class TestLine:
    def test_all_learn_what_all_say(self):
        workers = addresses(3)

        def work(member):
            first = member.agree("first", f"a{member.index}")
            return [first, member.agree("second", member.index)]

        members = [Worker(workers, index, work) for index in (2, 0, 1)]
        assert [member.outcome() for member in members] == [[["a0", "a1", "a2"], [0, 1, 2]]] * 3

    def test_other_settings_are_refused_everywhere(self):
        workers = addresses(2)
        settings = {"size": 16, "batch_size": 4}, {"size": 16, "batch_size": 8}
        members = [Worker(workers, index, lambda member: None, settings[index]) for index in range(2)]
        said = (
            f"worker 1 ({workers[1]}) has batch_size 8, worker 0 ({workers[0]}) has 4; "
            "start all workers by the same command"
        )
        assert [str(member.outcome()) for member in members] == [said] * 2
        assert all(type(member.error) is UserError for member in members)

    def test_an_error_of_one_reaches_all(self):
        workers = addresses(3)

        def work(member):
            if member.index == 2:
                raise RunError("disk full")
            member.agree("never", None)

        members = [Worker(workers, index, work) for index in range(3)]
        said = f"worker 2 ({workers[2]}) ended: disk full"
        assert [str(member.outcome()) for member in members] == [said, said, "disk full"]

    @pytest.mark.parametrize("fails", [True, False])
    def test_only_a_failure_ends_what_the_others_wait_for(self, fails):
        workers, aborted = addresses(2), []

        def work(member):
            member.abort = aborted.append
            member.agree("ready", None)
            if member.index == 0:
                waited(lambda: member.loss)
            elif fails:
                raise RunError("disk full")

        for member in [Worker(workers, index, work) for index in range(2)]:
            member.outcome()
        expected = [f"worker 1 ({workers[1]}) ended: disk full"] if fails else []
        waited(lambda: aborted == expected)

    def test_the_last_word_of_one_who_has_left_counts(self):
        workers = addresses(2)
        chief = Worker(workers, 0, lambda member: member.agree("end", "chief"))

        def work(member):
            member._send({"what": "end", "value": "other"})
            waited(lambda: member.loss)  # busy, it sees only that the chief is gone
            return member._receive(0, "end")

        other = Worker(workers, 1, work)
        assert chief.outcome() == other.outcome() == ["chief", "other"]

    def test_a_second_worker_of_the_same_index_is_sent_away(self, capsys):
        workers = addresses(3)
        ready = threading.Event()

        def work(member):
            ready.set()
            return member.agree("here", member.index)

        chief, first = Worker(workers, 0, work), Worker(workers, 1, work)
        waited(lambda: f"waiting for 1 of 3 workers: worker 2 ({workers[2]})" in capsys.readouterr().err)
        twin = Cluster(Members(workers, 1))
        with pytest.raises(UserError, match="has joined already"), twin.joined({"size": 16}):
            pass
        third = Worker(workers, 2, work)
        assert [member.outcome() for member in (chief, first, third)] == [[0, 1, 2]] * 3

    def test_whoever_waits_says_so_and_gives_up(self, capsys, monkeypatch):
        monkeypatch.setattr(cluster, "PATIENCE", 0.6)
        workers = addresses(2)
        chief = Worker(workers, 0, lambda member: None)
        assert f"worker 1 ({workers[1]}) did not come within" in str(chief.outcome())
        other = Worker(workers, 1, lambda member: None)
        assert f"worker 0 ({workers[0]}) cannot be reached within" in str(other.outcome())
        said = capsys.readouterr().err
        assert f"kgan: waiting for 1 of 2 workers: worker 1 ({workers[1]})\n" in said
        assert f"kgan: worker 1 of 2 is waiting for worker 0 ({workers[0]})\n" in said

    def test_strangers_do_no_harm(self):
        workers = addresses(2)
        chief = Worker(workers, 0, lambda member: member.agree("here", 0))
        host, port = workers[0].split(":")
        for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"[1, 2]\n"):
            waited(functools.partial(called, (host, int(port)), words))
        other = Worker(workers, 1, lambda member: member.agree("here", 1))
        assert [chief.outcome(), other.outcome()] == [[0, 1]] * 2

    def test_a_port_in_use_is_said(self):
        with socket.create_server(("", 0)) as taken:
            workers = f"localhost:{taken.getsockname()[1]}", "localhost:1"
            chief = Worker(workers, 0, lambda member: None)
            assert "cannot listen on port" in str(chief.outcome())


def called(address, words):
    try:
        with socket.create_connection(address) as stranger:
            stranger.sendall(words)
            return True
    except ConnectionRefusedError:
        return False


def waited(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
