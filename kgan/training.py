"""Train a recipe: one path for every strategy, from the settings to the exported model."""

import contextlib
import dataclasses
import pathlib
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

from kgan import callbacks, recipes, run_folder, tracking
from kgan.checkpoints import Checkpoints, first_line, found_in
from kgan.config import TrainConfig
from kgan.data import Pictures, fixed_batch, open_pictures, training_dataset
from kgan.devices import build_strategy, choose_devices, describe
from kgan.errors import RunError, UserError
from kgan.export import export_all
from kgan.export.loading import restore_newest
from kgan.gan import build_gan, noise
from kgan.interruption import Interrupted, Interruption
from kgan.run_folder import RunFolder

TEST_PICTURES = 16
"""Fixed test pictures that are stylized and scored while training."""
_REHEARSED_STEPS = 3


def train(config: TrainConfig) -> pathlib.Path:
    """Train, or go on training, and export at the end of the schedule; returns the run folder.

    Raises:
        UserError: for settings or pictures that cannot work, before anything is written.
        RunError: when the training cannot go on; the last checkpoint is whole then.
        Interrupted: when SIGTERM or Ctrl-C came while no step was under way.
    """
    with Interruption() as stop:
        try:
            return _train(config, stop)
        except KeyboardInterrupt:
            kept = f"go on with: {_command(config.run)}" if config.resume else "nothing of the run was kept"
            raise Interrupted(f"interrupted; {kept}") from None


def _command(run: str | pathlib.Path) -> str:
    return f"kgan train --run {run} --resume"


def _train(config: TrainConfig, stop: Interruption) -> pathlib.Path:
    config = _settings(config)
    if not config.resume:
        run_folder.check_free(config.run)
    devices = choose_devices(config)
    config = machine_defaults(config, devices)
    strategy = build_strategy(config, devices)
    pictures = open_pictures(config)
    # After the pictures: preparing them for the first time must not change what is drawn.
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope(), _failures(config):
        session = Session(config, pictures, strategy, describe(devices), stop)
        return session.resume() if config.resume else session.start()


def _settings(config: TrainConfig) -> TrainConfig:
    if not config.resume:
        return recipes.resolve(config)
    saved = run_folder.saved_config(config.run)
    return dataclasses.replace(saved, **{name: getattr(config, name) for name in run_folder.PER_CALL})


def machine_defaults(config: TrainConfig, devices: list[str]) -> TrainConfig:
    """The settings that depend on the devices: their number, XLA on GPUs, determinism on CPUs."""
    on_gpu = devices[0].startswith("GPU")
    jit = on_gpu if config.jit is None else config.jit
    # Keras does not compile with XLA where determinism is asked for.
    deterministic = not (on_gpu or jit) if config.deterministic is None else config.deterministic
    return dataclasses.replace(config, devices=len(devices), jit=jit, deterministic=deterministic)


class Session:
    """One call of `train`, once settings, pictures and devices are known; made inside the strategy's scope.

    What can fail does so before a new run's folder is made: networks, weights to start from, the compiled step.
    """

    def __init__(self, config: TrainConfig, pictures: Pictures, strategy, machine: list[str], stop: Interruption):
        self.config, self.pictures, self.strategy, self.machine, self.stop = config, pictures, strategy, machine, stop
        self.gan = build_gan(config)

    def start(self) -> pathlib.Path:
        """A new run, from step 0."""
        if self.config.init_from:
            _init_from(self.gan, self.config.init_from)
        prepared = self._prepared(0)
        run = run_folder.create(self.config)
        with run.locked():
            return self._go(run, self._checkpoints(run), *prepared)

    def resume(self) -> pathlib.Path:
        """Go on from the newest checkpoint; from step 0 where the run ended before it wrote any."""
        run = RunFolder(pathlib.Path(self.config.run))
        with run.locked():
            run.sweep()
            checkpoints = self._checkpoints(run)
            first = checkpoints.restore()
            if first is None and self.config.init_from:
                _init_from(self.gan, self.config.init_from)
            first = first or 0
            if first >= self._last():
                return self._end(run, first, trained=False)
            return self._go(run, checkpoints, *self._prepared(first))

    def _last(self) -> int:
        return min(self.config.steps, self.config.stop_after or self.config.steps)

    def _checkpoints(self, run: RunFolder) -> Checkpoints:
        return Checkpoints(self.gan, run.checkpoints, self.config.keep_checkpoints)

    def _prepared(self, first: int) -> tuple[tf.data.Dataset, int, float]:
        """The pictures from step `first` on, that step, and the seconds that one will take."""
        dataset = training_dataset(self.pictures, self.config, first)
        return dataset, first, _rehearse(self.gan, dataset, self.strategy)

    def _go(self, run: RunFolder, checkpoints: Checkpoints, dataset, first: int, seconds: float) -> pathlib.Path:
        try:
            _announce(run, self.config, self.pictures, self.machine, first, self._last(), seconds)
            run.trim_metrics(first if first else -1)  # the first grid's line comes with step 0
            return self._end(run, self._fit(run, checkpoints, dataset, first), trained=True)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; go on with: {_command(run.path)}") from None

    def _fit(self, run: RunFolder, checkpoints: Checkpoints, dataset, first: int) -> int:
        """Train to the last step of this call, or to a signal; returns the step reached, which is saved."""
        config, last = self.config, self._last()
        intervals = config.log_every, config.sample_every, config.checkpoint_every
        clock = callbacks.Clock(first, last, intervals, self.stop)
        samples = callbacks.Samples(self.gan, _test_pictures(self.pictures, config), _sampler(self.gan, config))
        journal = callbacks.Journal(clock, run, samples, config.sample_every)
        progress = callbacks.ProgressLine(clock, journal, config.batch_size, config.log_every)
        saving = callbacks.Every(clock, config.checkpoint_every, checkpoints.save)
        parts = [clock, callbacks.Settle(clock), callbacks.Guard(clock, checkpoints), journal, progress, saving]
        with self.stop.held(), contextlib.closing(progress):
            checkpoints.save()
            called = callbacks.Callbacks(parts, add_history=True, model=self.gan)
            self.gan.fit(dataset, steps_per_epoch=last - first, shuffle=False, verbose=0, callbacks=called)
        return clock.step

    def _end(self, run: RunFolder, step: int, trained: bool) -> pathlib.Path:
        if step < self.config.steps:
            print(f"stopped at step {step} of {self.config.steps}; go on with: {_command(run.path)}", flush=True)
        elif trained or not run.is_exported():
            export_all(self.gan.stylist, self.config, run)
            print(f"done      {run.saved_model}, {run.litert(half=False)}", flush=True)
        else:
            print(f"done      {run.path} has reached step {step} and is exported already", flush=True)
        return run.path


def _init_from(gan, other: str) -> None:
    """Start from the generator of another run's newest checkpoint that can be read (its moving average)."""
    checkpoints = found_in(pathlib.Path(other) / "checkpoints")
    if not checkpoints:
        raise UserError(f"--init-from {other}: no run with a checkpoint there")
    try:
        restore_newest(gan.stylist, checkpoints)
    except UserError as error:
        raise UserError(f"--init-from {other}: its generator differs from this run's, or is broken: {error}") from None
    gan.stylist_of.set_weights(gan.stylist.get_weights())


def _rehearse(gan, dataset, strategy) -> float:
    """Seconds per step, from a few steps that are then undone: what they cost to compile is paid only once."""
    state = tracking.checkpoint(gan=gan)
    with tempfile.TemporaryDirectory() as folder:
        before = state.write(f"{folder}/before")
        gan.make_train_function()
        gan.take_up()
        batches = iter(strategy.experimental_distribute_dataset(dataset))
        for done in range(_REHEARSED_STEPS):
            if done == 1:  # the first one compiles
                began = time.perf_counter()
            logs = gan.train_function(batches)
            np.asarray(next(iter(logs.values())))  # wait for the device
        seconds = (time.perf_counter() - began) / (_REHEARSED_STEPS - 1)
        state.read(before).assert_consumed()
    return seconds


def _announce(run, config, pictures: Pictures, machine, first, last, seconds) -> None:
    print(f"recipe    {config.recipe}: {recipes.find(config.recipe).topology}, {config.size}x{config.size}, "
          f"batch {config.batch_size}, {config.precision}")  # fmt: skip
    counts = [f"{len(store)} {name}" for name in ("content", "style") if (store := getattr(pictures, name)) is not None]
    print(f"pictures  {' and '.join(counts)}{' (pairs)' if pictures.paired else ''}")
    print(f"device    {machine[0]}")
    for line in machine[1:]:
        callbacks.warn(line)
    print(f"run       {run.path}")
    print(f"time      about {callbacks.duration((last - first) * seconds)} for steps {first} to {last}", flush=True)


def _test_pictures(pictures: Pictures, config: TrainConfig) -> dict[str, np.ndarray]:
    """{"content", "truth"}: the first test pictures, or training pictures where there are none; a full last batch."""
    content, truth = pictures.test_content, pictures.test_truth
    if content is None:
        content, truth = pictures.content, pictures.style if pictures.paired else None
    if content is None:
        return {}
    count = max(config.devices, min(TEST_PICTURES, len(content)) // config.devices * config.devices)
    stores = {"content": content, "truth": truth if pictures.paired else None}
    batches = {name: fixed_batch(store, config, count) for name, store in stores.items() if store is not None}
    # Fewer pictures than devices: show some twice, so that every device has one.
    return {name: np.resize(batch, (count, *batch.shape[1:])) for name, batch in batches.items()}


def _sampler(gan, config: TrainConfig):
    """A function: content [N, H, W, C] or None -> stylized pictures in [-1, 1], with the same noise every time."""
    stylist = tf.function(lambda inputs: gan.stylist(inputs, training=False))

    def draw(content):
        inputs = [] if content is None else [content]
        if config.noise_channels:
            shape = (
                (TEST_PICTURES if content is None else len(content)),
                config.size,
                config.size,
                config.noise_channels,
            )
            inputs.append(noise.sample((config.seed, 1), shape, config.noise, config.truncation).numpy())
        return stylist(tf.constant(np.concatenate(inputs, axis=-1))).numpy()

    return draw


@contextlib.contextmanager
def _failures(config: TrainConfig):
    """One clear line for what a machine can refuse: memory, room on the disk, writing."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        if "space" in error.message.lower() or "quota" in error.message.lower():
            raise RunError(_not_written(config, first_line(error))) from None
        smaller = max(config.devices, config.batch_size // 2)
        raise RunError(
            f"out of memory with --batch-size {config.batch_size} at --size {config.size}; try --batch-size {smaller}"
        ) from None
    except tf.errors.PermissionDeniedError as error:
        raise RunError(_not_written(config, first_line(error))) from None
    except OSError as error:
        raise RunError(_not_written(config, f"{error.filename or 'a file'}: {error.strerror or error}")) from None


def _not_written(config: TrainConfig, reason: str) -> str:
    way = _command(config.run) if config.run else "--run FOLDER --resume"
    return f"{reason}; mend that (what was saved is whole), then go on with: {way}"
