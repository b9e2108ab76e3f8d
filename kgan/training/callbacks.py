"""What happens beside the updates: the guard, the journal, pictures, checkpoints, progress, a clean end."""

import math
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from kgan import console
from kgan.data import Share
from kgan.errors import RunError
from kgan.gan.base import GAN
from kgan.gan.checkpoints import Checkpoints
from kgan.images.pictures import grid
from kgan.interruption import Interruption
from kgan.metrics import artefacts
from kgan.training.cluster import Cluster
from kgan.training.record import Record


class Callbacks(keras.callbacks.CallbackList):
    """Keras' own list fetches all losses from the device after every step, to show them; that stalls a GPU."""

    def on_train_batch_end(self, batch, logs=None):
        for callback in self.callbacks:
            callback.on_train_batch_end(batch)


class Clock(keras.callbacks.Callback):
    """Counts steps on the host, without asking the device, and ends the run after `last` steps or a signal.

    Losses are averaged over an interval: up to the next step that is a multiple of one of `intervals`, or the end. So
    a checkpoint always falls on an interval's end, and a resumed run writes the lines of an undisturbed one.

    `interrupted(step)` says whether a signal came, on every worker alike.
    """

    def __init__(self, first: int, last: int, intervals: tuple[int, ...], interrupted: Callable[[int], bool]):
        super().__init__()
        self.step, self.last, self.intervals, self._asked = first, last, intervals, interrupted
        self.interrupted = self.ended = False

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        self.interrupted = self._asked(self.step)
        self.ended = self.step >= self.last or self.interrupted
        self.model.stop_training = self.ended

    def at(self, interval: int) -> bool:
        """Whether the step is a multiple of `interval`, or the last."""
        return self.ended or self.step % interval == 0

    @property
    def interval_ends(self) -> bool:
        return any(self.at(interval) for interval in self.intervals)


class Agreement:
    """Whether a signal came to any worker: all ask each other at the same steps, about once a second. Alone, whether
    one came."""

    def __init__(self, stop: Interruption, cluster: Cluster):
        self.stop, self.cluster = stop, cluster
        self.next, self.gap, self.since = 0, 1, time.monotonic()

    def __call__(self, step: int) -> bool:
        if self.cluster.size == 1:
            return self.stop.asked
        if step < self.next:
            return False
        now = time.monotonic()
        gap = int(self.gap / max(now - self.since, 0.1))  # at most tenfold: the next steps may be slow ones
        answers = self.cluster.agree(f"step {step}", [self.stop.asked, max(1, gap)])
        self.gap, self.since = answers[0][1], now  # the chief's word
        self.next = step + self.gap
        return any(asked for asked, _ in answers)


class Settle(keras.callbacks.Callback):
    """Gives the networks and the stylist their newest weights, for whoever looks at them at an interval's end."""

    def __init__(self, clock: Clock):
        super().__init__()
        self.clock = clock

    def on_train_batch_end(self, batch, logs=None):
        if self.clock.interval_ends:
            self.model.settle()


class Guard(keras.callbacks.Callback):
    """Stops the run when a loss is NaN or infinite, before anything of it is saved."""

    def __init__(self, clock: Clock, checkpoints: Checkpoints):
        super().__init__()
        self.clock, self.checkpoints = clock, checkpoints

    def on_train_begin(self, logs=None):
        self.model.bad_steps.clear()

    def on_train_batch_end(self, batch, logs=None):
        if self.clock.interval_ends:
            self._check()
            self.model.bad_steps.clear()

    def _check(self) -> None:
        counts = self.model.bad_steps.mean()
        worst = int(np.argmax(counts))
        if counts[worst] > 0:
            # A loss that is NaN stays NaN: the one that has been so for most steps was first.
            step = self.clock.step - math.ceil(counts[worst]) + 1
            name = self.model.loss_names[worst]
            raise RunError(f"{name} became NaN or infinite at step {step}; {self.checkpoints.way_back()}")


class Samples:
    """The fixed test pictures as the stylist makes them: grids, metrics, and meters of artefacts.

    Args:
        test: {"content", "truth"}, float32 [N, H, W, C] in [-1, 1].
        draw: content or None -> stylized pictures.
        feed: a function that makes a share's dataset -> what `evaluate` reads.
    """

    def __init__(self, gan: GAN, test: dict[str, np.ndarray], draw, feed):
        self.gan, self.test, self.draw, self.feed = gan, test, draw, feed

    def stylized(self) -> np.ndarray:
        """uint8 [N, H, W, C], with the same noise every time."""
        return _to_uint8(self.draw(self.test.get("content")))

    def grid(self, stylized: np.ndarray) -> np.ndarray:
        """Rows of content | stylized | truth, uint8 [H, W, 3]."""
        given = {name: _to_uint8(pictures) for name, pictures in self.test.items()}
        columns = [given.get("content"), stylized, given.get("truth")]
        return grid(list(zip(*(column for column in columns if column is not None), strict=True)))

    def artefacts(self, stylized: np.ndarray) -> dict[str, float]:
        """The mean of every meter in `kgan.metrics.artefacts`."""
        contents = _to_uint8(self.test["content"]) if "content" in self.test else [None] * len(stylized)
        each = [artefacts.measured(picture, content) for picture, content in zip(stylized, contents, strict=True)]
        return {name: float(np.mean([one[name] for one in each])) for name in each[0]}

    def metrics(self) -> dict[str, float]:
        """What the recipe measures on test pictures; nothing for one that draws from noise alone."""
        if not self.gan.test_means:
            return {}
        results = self.gan.evaluate(self.feed(self._dataset), steps=1, return_dict=True, verbose=0)
        return {name: float(results[name]) for name in self.gan.test_means}

    def _dataset(self, share: Share) -> tf.data.Dataset:
        # Every replica measures all pictures: the mean is that of one, whatever their number. One batch of a size known
        # when the step is traced, as noise wants it.
        replicas = self.gan.distribute_strategy.num_replicas_in_sync
        dataset = tf.data.Dataset.from_tensor_slices(self.test).repeat(replicas)
        count = len(self.test["content"]) * replicas // share.count // share.batches
        return dataset.batch(count, drop_remainder=True)


def _to_uint8(pictures: np.ndarray) -> np.ndarray:
    return np.clip(np.rint((pictures + 1.0) * 127.5), 0, 255).astype(np.uint8)


class Journal(keras.callbacks.Callback):
    """Means over every interval, and what the test pictures show; all workers compute it, the chief's `record` has it.

    Args:
        record: None on the other workers.
    """

    def __init__(self, clock: Clock, samples: Samples, sample_every: int, record: Record | None):
        super().__init__()
        self.clock, self.samples, self.sample_every, self.record = clock, samples, sample_every, record
        self.means = {}

    def on_train_begin(self, logs=None):
        if self.clock.step == 0:
            self._write(self._shown())

    def on_train_batch_end(self, batch, logs=None):
        if not self.clock.interval_ends:
            return
        results = self.model.get_metrics_result()
        self.means = {name: float(results[name]) for name in self.model.loss_names}
        self.model.reset_metrics()
        # A signal's sender does not wait for long: save first of all.
        shown = self._shown() if self.clock.at(self.sample_every) and not self.clock.interrupted else {}
        self._write(self.means | shown)

    def _shown(self) -> dict[str, float]:
        """What the test pictures show now; the chief also writes their grid and meters their artefacts."""
        metrics = self.samples.metrics()
        if not self.record:
            return metrics
        stylized = self.samples.stylized()
        self.record.picture(self.clock.step, self.samples.grid(stylized))
        return metrics | self.samples.artefacts(stylized)

    def _write(self, values: dict[str, float]) -> None:
        if self.record:
            self.record.values(self.clock.step, values)


class Every(keras.callbacks.Callback):
    """Calls `action()` at every multiple of `interval` steps, and at the end."""

    def __init__(self, clock: Clock, interval: int, action):
        super().__init__()
        self.clock, self.interval, self.action = clock, interval, action

    def on_train_batch_end(self, batch, logs=None):
        if self.clock.at(self.interval):
            self.action()


class ProgressLine(keras.callbacks.Callback):
    """Images per second and time left: a bar on a terminal, plain lines in a pipe."""

    def __init__(self, clock: Clock, journal: Journal, batch_size: int, log_every: int):
        super().__init__()
        self.clock, self.journal, self.batch_size, self.log_every = clock, journal, batch_size, log_every
        self.bar = None

    def on_train_begin(self, logs=None):
        self.began, self.first = time.perf_counter(), self.clock.step
        columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}")
        self.bar = console.bar(*columns, TimeRemainingColumn())
        if self.bar:
            self.task = self.bar.add_task("training", total=self.clock.last, completed=self.first, rate="")
            self.bar.start()

    def on_train_batch_end(self, batch, logs=None):
        if self.bar:
            self.bar.update(self.task, completed=self.clock.step, description=self._losses(), rate=self._rate())
        elif self.clock.at(self.log_every):
            done = f"step {self.clock.step}/{self.clock.last}"
            console.say(f"{done}  {self._losses()}  {self._rate()}, {self._left()} left")

    def close(self) -> None:
        """Give the terminal back; `on_train_end` is not called when training fails."""
        if self.bar:
            self.bar.stop()

    def _losses(self) -> str:
        means = self.journal.means.items()
        return "  ".join(f"{name.removesuffix('_loss')} {value:.4g}" for name, value in means) or "training"

    def _seconds_a_step(self) -> float:
        return (time.perf_counter() - self.began) / max(1, self.clock.step - self.first)

    def _rate(self) -> str:
        return f"{self.batch_size / self._seconds_a_step():.1f} images/s"

    def _left(self) -> str:
        return console.duration((self.clock.last - self.clock.step) * self._seconds_a_step())
