"""Writes the metrics of each interval and grids of pictures: metrics.jsonl, samples/ and TensorBoard events."""

import contextlib
import json
import pathlib

import numpy as np
import tensorflow as tf

from kgan import files
from kgan.images.pictures import save_picture
from kgan.runs.run_folder import RunFolder


class Record:
    """The log of a run. When a run is resumed, entries after the checkpoint are removed; they will be written again.

    Args:
        run: the run folder.
        first: the step at which training starts or resumes.
    """

    def __init__(self, run: RunFolder, first: int):
        self.run = run
        last_kept = first if first else -1  # a new run writes an entry for step 0
        _drop_lines(run.metrics_file, last_kept)
        for events in run.tensorboard.glob("events.out.tfevents.*"):
            _drop_events(events, last_kept)
        self.writer = tf.summary.create_file_writer(str(run.tensorboard))

    def picture(self, step: int, picture: np.ndarray) -> None:
        """Write a grid of pictures, uint8 [H, W, 3]."""
        self.run.samples.mkdir(exist_ok=True)
        save_picture(picture, self.run.samples / f"step-{step:07d}.png")
        with self.writer.as_default(step=step):
            tf.summary.image("samples", picture[None])

    def values(self, step: int, values: dict[str, float]) -> None:
        """Write losses and metrics."""
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
    files.write_text(metrics, "".join(f"{line}\n" for line in kept))


def _step_of(line: str) -> int | None:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):  # the last line of a run that was killed may be incomplete
        return None


def _drop_events(events: pathlib.Path, last_kept: int) -> None:
    with files.beside(events.parent) as folder:  # TensorBoard reads all that is named so below the folder of events
        # The last record of a run that was killed may be incomplete.
        with tf.io.TFRecordWriter(str(folder / "kept")) as kept, contextlib.suppress(tf.errors.DataLossError):
            for event in tf.data.TFRecordDataset(str(events)).as_numpy_iterator():
                if tf.compat.v1.Event.FromString(event).step <= last_kept:
                    kept.write(event)
        (folder / "kept").replace(events)
