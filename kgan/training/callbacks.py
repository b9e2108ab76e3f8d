"""Callbacks of training: steps and signals, losses that are not finite, metrics, pictures, checkpoints, progress."""

import functools
import math
import time
from collections.abc import Callable, Iterator
from typing import cast

import keras
import numpy as np
import tensorflow as tf
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from kgan import console
from kgan.data import Shard
from kgan.errors import RunError
from kgan.evaluation.measure import measured
from kgan.evaluation.scored import Example
from kgan.exit_guard import ExitGuard
from kgan.gan.base import GAN
from kgan.gan.checkpoints import Checkpoints
from kgan.images.pictures import grid
from kgan.inference.loading import of_generator
from kgan.inference.stylist import in_precision
from kgan.training.cluster import Cluster
from kgan.training.record import Record


class Callbacks(keras.callbacks.CallbackList):
    """A callback list that fetches no losses. Keras' own list fetches all after every step, which stalls a GPU."""

    def on_train_batch_end(self, batch, logs=None):
        for callback in self.callbacks:
            callback.on_train_batch_end(batch)


class StepCounter(keras.callbacks.Callback):
    """Counts steps on the host, without a read from the device, and ends the run at step `last` or after a signal.

    Losses are averaged over an interval. It ends at the next step that is a multiple of one of `intervals`, or at the
    end of the run. So a checkpoint always falls on the end of an interval, and a resumed run logs the same values as
    a run without a break.

    Args:
        first: the step at which training starts or resumes.
        last: the step after which training ends.
        intervals: numbers of steps.
        interrupted: a function of the step. It returns whether a signal came, the same on every worker.
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


class SignalAgreement:
    """Whether a signal came to any worker.

    All workers exchange their answers at the same steps, about once a second. A single worker answers for itself.
    """

    def __init__(self, exit_guard: ExitGuard, cluster: Cluster):
        self.exit_guard, self.cluster = exit_guard, cluster
        self.next, self.gap, self.since = 0, 1, time.monotonic()

    def __call__(self, step: int) -> bool:
        if self.cluster.size == 1:
            return self.exit_guard.requested
        if step < self.next:
            return False
        now = time.monotonic()
        gap = int(self.gap / max(now - self.since, 0.1))  # at most tenfold: the next steps may be slow ones
        answers = self.cluster.agree(f"step {step}", [self.exit_guard.requested, max(1, gap)])
        self.gap, self.since = answers[0][1], now  # the chief's answer
        self.next = step + self.gap
        return any(asked for asked, _ in answers)


class SyncWeights(keras.callbacks.Callback):
    """Writes the newest weights into the networks and the stylist at the end of an interval, before they are read."""

    def __init__(self, counter: StepCounter):
        super().__init__()
        self.counter = counter

    def on_train_batch_end(self, batch, logs=None):
        if self.counter.interval_ends:
            self.model.sync_weights()


class NonFiniteGuard(keras.callbacks.Callback):
    """Stops the run when a loss is NaN or infinite, before that state is saved."""

    def __init__(self, counter: StepCounter, checkpoints: Checkpoints):
        super().__init__()
        self.counter, self.checkpoints = counter, checkpoints

    def on_train_begin(self, logs=None):
        self.model.bad_steps.clear()

    def on_train_batch_end(self, batch, logs=None):
        if self.counter.interval_ends:
            self._check()
            self.model.bad_steps.clear()

    def _check(self) -> None:
        counts = self.model.bad_steps.mean()
        worst = int(np.argmax(counts))
        if counts[worst] > 0:
            # A loss that is NaN stays NaN: the loss that has been NaN for the most steps was the first.
            step = self.counter.step - math.ceil(counts[worst]) + 1
            name = self.model.loss_names[worst]
            raise RunError(f"{name} became NaN or infinite at step {step}; {self.checkpoints.way_back()}")


class Samples:
    """Stylizes the first test pictures, measures them as `kgan evaluate` does, and arranges them in a grid.

    Args:
        gan: the model that is trained.
        examples: the content and the truth of each picture, uint8 [S, S, C].
        count, side: number and size of the pictures of a stylist that takes noise alone, where `examples` is empty.
        feed: a function that takes a function from a `Shard` to its dataset, and returns what `gan.evaluate` reads.
    """

    def __init__(self, gan: GAN, examples: list[Example], count: int, side: int, feed):
        self.gan, self.examples, self.count, self.side, self.feed = gan, examples, count, side, feed
        self.generator = in_precision(gan.stylist, "float32")
        self.model = of_generator(self.generator, gan.noise, gan.truncation)

    def stylized(self) -> list[np.ndarray]:
        """The stylized pictures, each [S, S, C]. The noise is the same in every call and in `kgan evaluate`."""
        if self.generator is not self.gan.stylist:
            self.generator.set_weights(self.gan.stylist.get_weights())
        if self.examples:
            return [self.model(content, seed) for seed, (content, _) in enumerate(self.examples)]
        noise = (self.model.noise(seed, 1, self.side, self.side) for seed in range(self.count))
        return [self.model.from_noise(each)[0] for each in noise]

    def grid(self, stylized: list[np.ndarray]) -> np.ndarray:
        """One picture with a row of content, stylized and truth for each test picture, uint8 [H, W, 3]."""
        rows = ((content, made, truth) for made, (content, truth) in self._beside(stylized))
        return grid([[cell for cell in row if cell is not None] for row in rows])

    def metrics(self, stylized: list[np.ndarray]) -> dict[str, float]:
        """The mean over the pictures of every metric of a single picture."""
        each = [
            measured(made, content, truth, "", functools.partial(self.model, seed=seed))
            for seed, (made, (content, truth)) in enumerate(self._beside(stylized))
        ]
        return {name: float(np.mean([one[name] for one in each])) for name in each[0]}

    def _beside(self, stylized: list[np.ndarray]) -> Iterator[tuple[np.ndarray, Example]]:
        return zip(stylized, self.examples or cast(list[Example], [(None, None)]) * len(stylized), strict=True)

    def cycle_metrics(self) -> dict[str, float]:
        """The metrics of the way back from the style. All workers must call it. Empty for a GAN of one generator."""
        names = [name for name in self.gan.test_means if name.startswith("cycle_")]
        if not names:
            return {}
        results = self.gan.evaluate(self.feed(self._dataset), steps=1, return_dict=True, verbose=0)
        return {name: float(results[name]) for name in names}

    def _dataset(self, shard: Shard) -> tf.data.Dataset:
        # Every replica measures all pictures, so the mean does not depend on the number of replicas. There is one
        # batch, and its size is known when the step is traced, because the noise needs it.
        replicas = self.gan.distribute_strategy.num_replicas_in_sync
        contents = np.stack([content for content, _ in self.examples]) / np.float32(127.5) - np.float32(1.0)
        dataset = tf.data.Dataset.from_tensor_slices({"content": contents}).repeat(replicas)
        count = len(contents) * replicas // shard.count // shard.batches
        return dataset.batch(count, drop_remainder=True)


class MetricsLogger(keras.callbacks.Callback):
    """Logs the mean losses of each interval and the metrics of the test pictures.

    All workers compute them; only the chief writes them.

    Args:
        counter: the step and the ends of intervals.
        samples: the test pictures.
        sample_every: test pictures are stylized and measured every so many steps.
        record: where the values are written. None on workers other than the chief.
    """

    def __init__(self, counter: StepCounter, samples: Samples, sample_every: int, record: Record | None):
        super().__init__()
        self.counter, self.samples, self.sample_every, self.record = counter, samples, sample_every, record
        self.means: dict[str, float] = {}
        self.values: dict[str, float] = {}

    def on_train_begin(self, logs=None):
        if self.counter.step == 0:
            self._write(self._shown())

    def on_train_batch_end(self, batch, logs=None):
        if not self.counter.interval_ends:
            return
        self.means = {name: float(mean.result()) for name, mean in self.model.loss_means.items()}
        self.model.reset_metrics()
        # The sender of a signal does not wait for long: the checkpoint comes first.
        shown = self._shown() if self.counter.at(self.sample_every) and not self.counter.interrupted else {}
        self._write(self.means | shown)

    def _shown(self) -> dict[str, float]:
        """The metrics of the test pictures now. The chief also writes their grid."""
        cycle = self.samples.cycle_metrics()
        if not self.record:
            return cycle
        stylized = self.samples.stylized()
        self.record.picture(self.counter.step, self.samples.grid(stylized))
        return cycle | self.samples.metrics(stylized)

    def _write(self, values: dict[str, float]) -> None:
        self.values = values
        if self.record:
            self.record.values(self.counter.step, values)


class EveryNSteps(keras.callbacks.Callback):
    """Calls `action()` at every multiple of `interval` steps and at the end."""

    def __init__(self, counter: StepCounter, interval: int, action):
        super().__init__()
        self.counter, self.interval, self.action = counter, interval, action

    def on_train_batch_end(self, batch, logs=None):
        if self.counter.at(self.interval):
            self.action()


class ProgressLine(keras.callbacks.Callback):
    """Shows losses, images per second and the time left: a progress bar on a terminal, plain lines in a pipe."""

    def __init__(self, counter: StepCounter, logger: MetricsLogger, batch_size: int, log_every: int):
        super().__init__()
        self.counter, self.logger, self.batch_size, self.log_every = counter, logger, batch_size, log_every
        self.bar = None

    def on_train_begin(self, logs=None):
        self.began, self.first = time.perf_counter(), self.counter.step
        columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}")
        self.bar = console.bar(*columns, TimeRemainingColumn())
        if self.bar:
            self.task = self.bar.add_task("training", total=self.counter.last, completed=self.first, rate="")
            self.bar.start()

    def on_train_batch_end(self, batch, logs=None):
        if self.bar:
            self.bar.update(self.task, completed=self.counter.step, description=self._losses(), rate=self._rate())
        elif self.counter.at(self.log_every):
            done = f"step {self.counter.step}/{self.counter.last}"
            console.say(f"{done}  {self._losses()}  {self._rate()}, {self._left()} left")

    def close(self) -> None:
        """Remove the progress bar. Keras does not call `on_train_end` when training fails."""
        if self.bar:
            self.bar.stop()

    def _losses(self) -> str:
        means = self.logger.means.items()
        return "  ".join(f"{name.removesuffix('_loss')} {value:.4g}" for name, value in means) or "training"

    def _seconds_a_step(self) -> float:
        return (time.perf_counter() - self.began) / max(1, self.counter.step - self.first)

    def _rate(self) -> str:
        return f"{self.batch_size / self._seconds_a_step():.1f} images/s"

    def _left(self) -> str:
        return console.duration((self.counter.last - self.counter.step) * self._seconds_a_step())
