"""Workers of --strategy multi_worker that are suspended, killed, interrupted and started again."""

import re
import signal
import time

import pytest
import small_runs
from small_runs import newest, wait_for
from worker_runs import QUICK, resumed, started


def long_run(tmp_path):
    often = {"log_every": 2, "checkpoint_every": 10, "keep_checkpoints": 99}
    return small_runs.settings(tmp_path / "run", steps=5000, sample_every=5000, **often, **QUICK)


@pytest.mark.long
def test_a_worker_that_is_silent_for_longer_than_tensorflow_allows_is_waited_for(tmp_path):
    _, processes = started(long_run(tmp_path), 2)
    wait_for(processes[0], "step 4/5000")
    processes[1].send(signal.SIGSTOP)
    time.sleep(15)  # TensorFlow's own limit is 10
    reached = small_runs.lines(tmp_path / "run")[-1]["step"]
    processes[1].send(signal.SIGCONT)
    wait_for(processes[0], rf"step {reached + 4}/5000")
    processes[0].send(signal.SIGTERM)
    assert [process.wait() for process in processes] == [0, 0], processes[0].output + processes[1].output


@pytest.mark.long
def test_when_one_is_killed_the_others_end_and_all_can_go_on_until_a_signal_to_one_ends_them(tmp_path):
    run = tmp_path / "run"
    workers, processes = started(long_run(tmp_path), 2)
    reached, kept = 10, {}
    for victim in (1, 0):
        wait_for(processes[0], rf"step {reached + 12}/5000")  # after the next checkpoint
        processes[victim].send(signal.SIGKILL)
        survivor = processes[1 - victim]
        assert survivor.wait(30) == 1  # a lost heartbeat would be noticed after 100
        said = f"kgan: error: worker {victim} ({workers[victim]}) is gone; start all workers again with: "
        assert survivor.output.splitlines()[-1] == said + f"kgan train --run {run} --resume"
        assert processes[victim].wait() == -signal.SIGKILL
        if kept:
            assert small_runs.same_bits(small_runs.weights(run, reached), kept)
        reached = newest(run)
        kept = forgotten(run, reached)
        workers, processes = resumed(tmp_path, 2)
    wait_for(processes[0], rf"step {reached + 4}/5000")
    assert small_runs.same_bits(small_runs.weights(run, reached), kept)
    processes[1].send(signal.SIGTERM)
    assert [process.wait() for process in processes] == [0, 0], processes[0].output + processes[1].output
    step = int(re.search(r"stopped at step (\d+) of 5000; go on with: kgan train --run", processes[0].output)[1])
    assert step >= reached + 4
    assert small_runs.lines(run)[-1]["step"] == step
    assert (run / "checkpoints" / f"ckpt-{step}.index").exists()


def forgotten(run, step):
    """The contents of a checkpoint, which is then removed. A resumed run makes it again from the one before."""
    held = small_runs.weights(run, step)
    for path in (run / "checkpoints").glob(f"ckpt-{step}.*"):
        path.unlink()
    return held
