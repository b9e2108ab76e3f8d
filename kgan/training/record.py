"""What a training writes down: a line of metrics and TensorBoard's points for every interval, and picture grids."""

import contextlib
import json
import pathlib

import numpy as np
import tensorflow as tf

from kgan.images.pictures import save_picture
from kgan.runs.run_folder import RunFolder


class Record:
    """The record of a run, from step `first` on: what an earlier process wrote past it is dropped and comes again."""

    def __init__(self, run: RunFolder, first: int):
        self.run = run
        last_kept = first if first else -1  # a run writes of step 0 before it trains
        _drop_lines(run.metrics_file, last_kept)
        for events in run.tensorboard.glob("events.out.tfevents.*"):
            _drop_events(events, last_kept)
        self.writer = tf.summary.create_file_writer(str(run.tensorboard))

    def picture(self, step: int, picture: np.ndarray) -> None:
        """A grid, uint8 [H, W, 3]."""
        self.run.samples.mkdir(exist_ok=True)
        save_picture(picture, self.run.samples / f"step-{step:07d}.png")
        with self.writer.as_default(step=step):
            tf.summary.image("samples", picture[None])

    def values(self, step: int, values: dict[str, float]) -> None:
        """Losses and metrics."""
        line = {"step": step, **{name: round(value, 6) for name, value in values.items()}}
        with self.run.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        with self.writer.as_default(step=step):
            for name, value in values.items():
                group = "losses" if name.endswith("_loss") else "metrics"
                tf.summary.scalar(f"{group}/{name}", value)
        self.writer.flush()


def _drop_lines(metrics: pathlib.Path, last_kept: int) -> None:
    if not metrics.exists():
        return
    lines = metrics.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if (at := _step_of(line)) is not None and at <= last_kept]
    partial = metrics.with_suffix(".partial")
    partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    partial.replace(metrics)


def _step_of(line: str) -> int | None:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):  # the last line of a killed run may be half written
        return None


def _drop_events(events: pathlib.Path, last_kept: int) -> None:
    partial = events.with_name(".events.partial")  # TensorBoard reads whatever has "tfevents" in its name
    # The last record of a killed run may be half written.
    with tf.io.TFRecordWriter(str(partial)) as kept, contextlib.suppress(tf.errors.DataLossError):
        for event in tf.data.TFRecordDataset(str(events)).as_numpy_iterator():
            if tf.compat.v1.Event.FromString(event).step <= last_kept:
                kept.write(event)
    partial.replace(events)
