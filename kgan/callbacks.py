"""What happens beside the updates: the guard, the journal, pictures, checkpoints, progress, a clean end."""

import json
import math
import signal
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kgan.checkpoints import Checkpoints
from kgan.errors import RunError
from kgan.gan.base import GAN
from kgan.pictures import grid, save_picture
from kgan.run_folder import RunFolder


class Clock(keras.callbacks.Callback):
    """Counts steps on the host, without asking the device, and ends the run after `last` steps or a signal.

    SIGTERM and Ctrl-C end the step that is under way; the run is then saved like any other end.
    """

    def __init__(self, first: int, last: int):
        super().__init__()
        self.step, self.last = first, last
        self.interrupted = False

    def on_train_begin(self, logs=None):
        self._former = {name: signal.signal(name, self._interrupt) for name in (signal.SIGTERM, signal.SIGINT)}

    def on_train_end(self, logs=None):
        for name, handler in self._former.items():
            signal.signal(name, handler)

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step >= self.last or self.interrupted:
            self.model.stop_training = True

    def _interrupt(self, number, frame):
        if self.interrupted:  # asked twice: at once
            raise KeyboardInterrupt
        self.interrupted = True


class Guard(keras.callbacks.Callback):
    """Stops the run when a loss is NaN or infinite, before anything of it is saved."""

    def __init__(self, clock: Clock, checkpoints: Checkpoints):
        super().__init__()
        self.clock, self.checkpoints = clock, checkpoints

    def on_epoch_begin(self, epoch, logs=None):
        self.model.bad_steps.assign(tf.zeros_like(self.model.bad_steps.value))

    def on_epoch_end(self, epoch, logs=None):
        counts = np.asarray(self.model.bad_steps.value) / self.model.distribute_strategy.num_replicas_in_sync
        worst = int(np.argmax(counts))
        if counts[worst] > 0:
            # A loss that is NaN stays NaN: the one that has been so for most steps was first.
            step = self.clock.step - math.ceil(counts[worst]) + 1
            raise RunError(
                f"{self.model.loss_names[worst]} became NaN or infinite at step {step}; the checkpoint of step "
                f"{self.checkpoints.saved_step} is good: go on from it with a lower --learning-rate by --init-from"
            )


class Journal(keras.callbacks.Callback):
    """Mean losses of every epoch to metrics.jsonl and TensorBoard."""

    def __init__(self, clock: Clock, run: RunFolder):
        super().__init__()
        self.clock, self.run = clock, run
        self.writer = tf.summary.create_file_writer(str(run.tensorboard))

    def on_epoch_end(self, epoch, logs=None):
        self.write({name: float(logs[name]) for name in self.model.loss_names})

    def write(self, values: dict[str, float]) -> None:
        """Add a line and TensorBoard points for the step now reached."""
        line = {"step": self.clock.step, **{name: round(value, 6) for name, value in values.items()}}
        with self.run.metrics_file.open("a") as file:
            file.write(json.dumps(line) + "\n")
        with self.writer.as_default(step=self.clock.step):
            for name, value in values.items():
                group = "losses" if name.endswith("_loss") else "metrics"
                tf.summary.scalar(f"{group}/{name}", value)
        self.writer.flush()

    def write_picture(self, name: str, picture: np.ndarray) -> None:
        """Add a picture [H, W, C] uint8 to TensorBoard."""
        with self.writer.as_default(step=self.clock.step):
            tf.summary.image(name, picture[None])
        self.writer.flush()


class Every(keras.callbacks.Callback):
    """Calls `action()` whenever a multiple of `interval` steps was passed, and at the end."""

    def __init__(self, clock: Clock, interval: int, action):
        super().__init__()
        self.clock, self.interval, self.action = clock, interval, action
        self.done = clock.step

    def on_epoch_end(self, epoch, logs=None):
        ended = self.model.stop_training
        if ended or self.clock.step // self.interval > self.done // self.interval:
            self.done = self.clock.step
            self.action()


class Samples:
    """Grids of the fixed test pictures, and the metrics on them."""

    def __init__(self, gan: GAN, test: dict[str, np.ndarray], run: RunFolder, journal: Journal, draw):
        self.gan, self.test, self.run, self.journal, self.draw = gan, test, run, journal, draw

    def __call__(self) -> None:
        stylized = self.draw(self.test.get("content"))
        columns = [self.test[name] for name in ("content",) if name in self.test]
        columns += [stylized, *(self.test[name] for name in ("truth",) if name in self.test)]
        path = self.run.samples / f"step-{self.journal.clock.step:07d}.png"
        path.parent.mkdir(exist_ok=True)
        picture = grid(list(zip(*map(_to_uint8, columns), strict=True)))
        save_picture(picture, path)
        self.journal.write_picture("samples", picture)
        if self.gan.test_means:
            self.journal.write(self._metrics())

    def _metrics(self) -> dict[str, float]:
        replicas = self.gan.distribute_strategy.num_replicas_in_sync
        dataset = tf.data.Dataset.from_tensor_slices(self.test).batch(replicas * max(1, 8 // replicas))
        results = self.gan.evaluate(dataset, return_dict=True, verbose=0)
        return {name: float(results[name]) for name in self.gan.test_means}


def _to_uint8(pictures: np.ndarray) -> np.ndarray:
    return np.clip(np.rint((pictures + 1.0) * 127.5), 0, 255).astype(np.uint8)


class ProgressLine(keras.callbacks.Callback):
    """Images per second and time left: a bar on a terminal, plain lines in a pipe."""

    def __init__(self, clock: Clock, batch_size: int):
        super().__init__()
        self.clock, self.batch_size = clock, batch_size
        self.console = Console()
        self.bar = None

    def on_train_begin(self, logs=None):
        self.began, self.first = time.perf_counter(), self.clock.step
        if self.console.is_terminal:
            columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}")
            self.bar = Progress(*columns, TimeRemainingColumn(), console=self.console)
            self.task = self.bar.add_task("training", total=self.clock.last, completed=self.first, rate="")
            self.bar.start()

    def on_train_batch_end(self, batch, logs=None):
        if self.bar:
            self.bar.update(self.task, completed=self.clock.step, rate=self._rate())

    def on_epoch_end(self, epoch, logs=None):
        losses = "  ".join(f"{name.removesuffix('_loss')} {logs[name]:.4g}" for name in self.model.loss_names)
        if self.bar:
            self.bar.update(self.task, description=losses)
        else:
            print(
                f"step {self.clock.step}/{self.clock.last}  {losses}  {self._rate()}, {self._left()} left", flush=True
            )

    def on_train_end(self, logs=None):
        if self.bar:
            self.bar.stop()

    def _seconds_a_step(self) -> float:
        return (time.perf_counter() - self.began) / max(1, self.clock.step - self.first)

    def _rate(self) -> str:
        return f"{self.batch_size / self._seconds_a_step():.1f} images/s"

    def _left(self) -> str:
        return duration((self.clock.last - self.clock.step) * self._seconds_a_step())


def duration(seconds: float) -> str:
    """As a person says it: "45 s", "4 min", "2 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def warn(text: str) -> None:
    """A line for the user beside the normal output."""
    print(f"kgan: {text}", file=sys.stderr, flush=True)
