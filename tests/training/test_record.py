import os

import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kgan.runs.run_folder import RunFolder
from kgan.training.record import Record


def curve(run: RunFolder) -> list[int]:
    """The sorted steps of the loss in TensorBoard, which reads files of the same second by name: the tenth before the
    ninth."""
    shown = EventAccumulator(str(run.tensorboard), size_guidance={"tensors": 0}).Reload()
    return sorted(event.step for event in shown.Tensors("losses/a_loss")) if shown.Tags()["tensors"] else []


def written(run: RunFolder, first: int, *steps: int) -> None:
    record = Record(run, first)
    for step in steps:
        record.values(step, {"a_loss": step / 10})
    record.writer.close()


def test_what_a_killed_run_wrote_past_its_checkpoint_is_dropped_and_comes_again(tmp_path):
    run = RunFolder(tmp_path)
    written(run, 0, 0, 10, 20, 30)
    assert curve(run) == [0, 10, 20, 30]
    written(run, 10, 20)
    assert curve(run) == [0, 10, 20]
    assert run.metrics_file.read_text(encoding="utf-8").splitlines() == [
        f'{{"step": {n}, "a_loss": {n / 10}}}' for n in (0, 10, 20)
    ]
    written(run, 0)
    assert curve(run) == []
    assert run.metrics_file.read_text(encoding="utf-8") == ""


def test_half_written_ends_are_dropped(tmp_path):
    run = RunFolder(tmp_path)
    written(run, 0, 0, 10, 20)
    (events,) = run.tensorboard.iterdir()
    os.truncate(events, events.stat().st_size - 5)
    os.truncate(run.metrics_file, run.metrics_file.stat().st_size - 5)
    written(run, 20)
    assert curve(run) == [0, 10]
    assert len(run.metrics_file.read_text(encoding="utf-8").splitlines()) == 2
    assert tf.io.gfile.glob(str(tmp_path / "**" / "*.partial")) == []
