"""Workers of --strategy multi_worker that are killed, asked to end, and started again."""

import re
import signal

import pytest
import small_runs
from small_runs import newest, wait_for
from worker_runs import QUICK, resumed, started, trained_by


def long_run(tmp_path):
    return small_runs.settings(
        tmp_path / "run", steps=5000, log_every=2, checkpoint_every=20, sample_every=5000, **QUICK
    )


@pytest.mark.slow
def test_when_one_is_killed_the_others_end_and_all_can_go_on_until_a_signal_to_one_ends_them(tmp_path):
    workers, processes = started(long_run(tmp_path), 2)
    saved = 0
    for victim in (1, 0):
        wait_for(processes[0], rf"step {saved + 24}/5000")  # after the next checkpoint
        processes[victim].send(signal.SIGKILL)
        survivor = processes[1 - victim]
        assert survivor.wait(60) == 1
        said = f"kgan: error: worker {victim} ({workers[victim]}) is gone; start all workers again with: "
        assert survivor.output.splitlines()[-1] == said + f"kgan train --run {tmp_path / 'run'} --resume"
        assert processes[victim].wait() == -signal.SIGKILL
        saved = newest(tmp_path / "run")
        workers, processes = resumed(tmp_path, 2)
    wait_for(processes[0], rf"step {saved + 4}/5000")
    processes[1].send(signal.SIGTERM)
    assert [process.wait() for process in processes] == [0, 0], processes[0].output + processes[1].output
    step = int(re.search(r"stopped at step (\d+) of 5000; go on with: kgan train --run", processes[0].output)[1])
    assert step >= saved + 4
    assert small_runs.lines(tmp_path / "run")[-1]["step"] == step
    assert (tmp_path / "run" / "checkpoints" / f"ckpt-{step}.index").exists()


@pytest.mark.slow
def test_resuming_gives_the_bits_of_a_run_that_never_stopped_and_ends_with_exports(tmp_path):
    # In bfloat16 the chief makes a float32 copy of the generator to export it, while the other waits.
    trained_by(2, tmp_path / "run", steps=5, stop_after=4, checkpoint_every=2, precision="bfloat16", **QUICK)
    whole = small_runs.weights(tmp_path / "run", 4)
    for path in (tmp_path / "run" / "checkpoints").glob("ckpt-4*"):
        path.unlink()
    _, again = resumed(tmp_path, 2)
    assert [process.wait(120) for process in again] == [0, 0], again[0].output + again[1].output
    assert f"done      {tmp_path / 'run' / 'saved_model'}, {tmp_path / 'run' / 'model.tflite'}" in again[0].output
    assert small_runs.same_bits(small_runs.weights(tmp_path / "run", 4), whole)
