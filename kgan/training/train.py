"""Trains a recipe, from the settings to the exported model. Every distribution strategy takes the same path."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from kgan import console, files, kinds, losses, memory, metrics
from kgan.assembly import build_gan
from kgan.data import Crops, Pictures, open_pictures, training_dataset
from kgan.data.colours import mean_colours
from kgan.errors import RunError, UserError, call
from kgan.evaluation.scored import Example, first_pictures, taught
from kgan.exit_guard import ExitGuard, Interrupted
from kgan.export import export_all
from kgan.gan import tracking
from kgan.gan.checkpoints import Checkpoints, first_line, newest_step
from kgan.inference.loading import check_generator, load_generator
from kgan.inference.teacher import check_teachers, load_teacher, picture_teacher
from kgan.kinds import FORMATS
from kgan.runs import places, recipes, run_folder
from kgan.runs import xla_cache as compiled
from kgan.runs.run_folder import RunFolder
from kgan.runs.settings import TrainConfig
from kgan.runs.trust import trusting
from kgan.training import callbacks, own_callbacks, slurm
from kgan.training.cluster import Cluster, Members, from_environment
from kgan.training.devices import build_strategy, choose_devices, describe, distributed_dataset
from kgan.training.record import Record

TEST_PICTURES = 16
"""Number of test pictures that are stylized and scored during training. They stay the same."""
GENERATOR_SETTINGS = ("generator", "filters", "blocks", "stride", "kernel", "norm", "downsample", "upsample",
                      "residual", "channels", "noise_channels")  # fmt: skip
"""Settings in which two generators must agree before one can take the weights of the other."""
_MAY_CHANGE = (*places.MOVABLE, *places.LEARNED_FROM, "steps")
"""Settings of a run that may change when it is resumed."""
_REHEARSED_STEPS = 3
_MEASURED_STEPS = 12
"""Number of rehearsed steps with --minutes, where the measured time sets the length of the schedule."""
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)
"""Errors that TensorFlow raises when another worker does not answer."""


def train(config: TrainConfig) -> pathlib.Path:
    """Train a recipe, or resume a run, and export the model at the end of the schedule.

    Args:
        config: the settings. With `resume`, those left at their defaults are read from the run folder.

    Returns:
        The run folder.

    Raises:
        UserError: if settings or pictures cannot be used. Nothing has been written then.
        RunError: if training cannot continue. The last checkpoint is complete then.
        Interrupted: if Ctrl-C, SIGTERM or SIGHUP came while no step was running.
    """
    with trusting(config.trust), ExitGuard() as exit_guard:
        try:
            return _train(config, exit_guard)
        except KeyboardInterrupt:
            kept = f"go on with: {_command(config.run)}" if config.resume else "nothing of the run was kept"
            raise Interrupted(f"interrupted; {kept}") from None


def _command(run: str | pathlib.Path) -> str:
    return call("train", run=run, resume=True)


def _train(config: TrainConfig, exit_guard: ExitGuard) -> pathlib.Path:
    config = _settings(config)
    if not config.resume:
        run_folder.check_free(config.run)
        _check_init_from(config)
    check_teachers(config)
    cluster = Cluster(_members() if config.strategy == "multi_worker" else None)
    with cluster.joined(_shared_settings(config)):
        devices = choose_devices(config)
        config = machine_defaults(config, devices)
        strategy = build_strategy(config, devices, cluster)
        exit_guard.reinstall()
        pictures = _opened(config, cluster)
        cluster.agree_equal("pictures", pictures.fingerprint)
        # The seed is set after the pictures are opened: their first preparation must not change the random numbers.
        keras.utils.set_random_seed(config.seed)
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        with _failures(config, cluster):
            runtime = Runtime(strategy, cluster, describe(devices, cluster.size))
            session = Session(config, pictures, runtime, exit_guard)
            return session.resume() if config.resume else session.start()


def _members() -> Members:
    if config := slurm.tf_config():
        os.environ["TF_CONFIG"] = config  # TensorFlow reads it too
    return from_environment()


def _shared_settings(config: TrainConfig) -> dict:
    """The settings that must be equal on all workers. Folders may differ between machines."""
    own = {"content", "style", "data", "cache", "feature_weights", "init_from", "distill_from", "distill_also", "run",
           "callback", "trust"}  # fmt: skip
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in own}
    return json.loads(json.dumps(settings))


def _opened(config: TrainConfig, cluster: Cluster) -> Pictures:
    if config.resume and (name := places.missing(config)):
        raise UserError(f"--{name} {places.lost(config, name)}; {places.found_again(name, config.run)}")
    if cluster.is_chief and (warning := places.training_overlap(config)):
        console.warn(warning)
    return open_pictures(config)


def _settings(config: TrainConfig) -> TrainConfig:
    if not config.resume:
        config = recipes.resolve(config)
        if config.size < metrics.SSIM_WINDOW and recipes.find(config.recipe).pictures != "style":
            raise UserError(
                f"--size should be at least {metrics.SSIM_WINDOW}, the window of SSIM. Received: {config.size}"
            )
        return config
    return _resumed_config(config)


def _resumed_config(asked: TrainConfig) -> TrainConfig:
    """The settings of a resumed run. Those that `asked` leaves at their defaults are read from the run folder."""
    saved = run_folder.saved_config(asked.run)
    usual = TrainConfig()
    given = {name: getattr(asked, name) for name in _MAY_CHANGE if getattr(asked, name) != getattr(usual, name)}
    given |= {name: getattr(asked, name) for name in run_folder.PER_CALL}
    config = run_folder.resumed_config(saved, dataclasses.replace(saved, **given))
    run_folder.check_resumable(config)
    extended = run_folder.extended(saved, config.steps, newest_step(pathlib.Path(config.run) / "checkpoints"))
    return dataclasses.replace(config, extended_at=extended.extended_at)


def machine_defaults(config: TrainConfig, devices: list[str]) -> TrainConfig:
    """Fill in the settings that depend on the devices: their number, XLA on GPUs, determinism on CPUs.

    Args:
        config: the settings. `jit` and `deterministic` are only filled in where they are None.
        devices: names of the chosen devices, such as "GPU:0".

    Returns:
        The completed settings.
    """
    on_gpu = devices[0].startswith("GPU")
    jit = on_gpu if config.jit is None else config.jit
    # Keras does not compile with XLA where determinism is asked for.
    deterministic = not (on_gpu or jit) if config.deterministic is None else config.deterministic
    return dataclasses.replace(config, devices=len(devices), jit=jit, deterministic=deterministic)


def colour_map(config: TrainConfig, pictures: Pictures) -> np.ndarray | None:
    """The map of colours between the sets of pictures, for `build_gan`. A resumed run restores its own.

    Args:
        config: the resolved settings.
        pictures: the pictures of the run.

    Returns:
        float [C + 3, C] as of `kgan.losses.transport_map`, or None if no term needs it.
    """
    weights = recipes.term_weights(config, recipes.find(config.recipe))
    if not any("palette" in kinds.TERMS[name].requires for name in weights):
        return None
    channels = min(config.channels, 3)
    stores = [store for store in (pictures.content, pictures.style) if store is not None]  # both are there
    return losses.transport_map(*(losses.palette_of(mean_colours(store, channels)) for store in stores))


@dataclasses.dataclass(frozen=True)
class Runtime:
    """What one call of `train` runs on.

    Attributes:
        strategy: the distribution strategy.
        cluster: the workers.
        machine: a description of the devices. The first line is shown as it is, further lines are warnings.
    """

    strategy: tf.distribute.Strategy
    cluster: Cluster
    machine: list[str]


class Session:
    """One call of `train`, after settings, pictures and devices are known.

    The networks, the initial weights and the compiled step are made before the folder of a new run, so that a failure
    leaves no folder behind.

    Only operations that all workers run are inside the strategy's scope. A worker that makes a variable there alone, as
    the chief does during export, waits for the others forever.

    Args:
        config: the complete settings.
        pictures: the pictures to train on.
        runtime: the strategy, the workers and the machine.
        exit_guard: the handler of signals.
    """

    def __init__(self, config: TrainConfig, pictures: Pictures, runtime: Runtime, exit_guard: ExitGuard):
        self.config, self.pictures, self.runtime, self.exit_guard = config, pictures, runtime, exit_guard
        self.strategy, self.cluster = runtime.strategy, runtime.cluster
        with self.strategy.scope():
            self.teacher = load_teacher(config) if config.distill_from else None
            self.gan = build_gan(config, self.teacher, colour_map(config, pictures))
        self.own_callbacks = own_callbacks.load(config.callback) if self.cluster.is_chief else {}

    def start(self) -> pathlib.Path:
        """Start a new run at step 0. Returns the run folder."""
        self._begin()
        seconds = self._rehearsed()
        self._keep_to_time(seconds)
        own = run_folder.create(self.config) if self.cluster.is_chief else None
        run = RunFolder(pathlib.Path(self.cluster.agree("run", own and str(own.path))[0]))
        with self._held(run):
            return self._go(run, self._checkpoints(run), 0, seconds)

    def resume(self) -> pathlib.Path:
        """Resume from the newest checkpoint, or from step 0 if the run wrote none. Returns the run folder."""
        run = RunFolder(pathlib.Path(self.config.run))
        with self._held(run):
            over = self.cluster.agree("newest step", newest_step(run.checkpoints))[0] >= self._last()
            if self.cluster.is_chief and not over:
                run.check_writable()
            seconds = 0.0 if over else self._rehearsed()
            checkpoints = self._checkpoints(run)
            first = self._restored(checkpoints)
            self._keep_settings(run)
            if first is None:
                self._begin()
            if over and first is not None and first >= self._last():
                return self._end(run, first, trained=False)
            return self._go(run, checkpoints, first or 0, seconds)

    def _keep_to_time(self, seconds: float) -> None:
        """Shorten the schedule to --minutes. The time of a step on the chief's machine counts."""
        whole = self.config.steps
        steps = self.cluster.agree("steps", recipes.steps_in_time(self.config, seconds))[0]
        self.config = recipes.with_intervals(self.config, steps)
        if steps < whole:
            self.gan.shorten_schedule(steps)
        if steps < whole and self.cluster.is_chief:
            asked = f"--minutes {self.config.minutes:g}"
            longer = seconds * (steps - 1) > 60 * (self.config.minutes or 0.0)
            why = ". A shorter schedule learns too little, so it takes longer" if longer else ""
            console.say(f"steps     {steps} instead of {whole}, for {asked}: one takes {seconds:.2g} s here{why}")

    def _begin(self) -> None:
        """Set the weights of step 0. Every worker reads --init-from from its own folder; the models must be equal."""
        if self.config.init_from:
            _init_from(self.gan, self.config)
            weights = b"".join(array.tobytes() for array in self.gan.stylist.get_weights())
            self.cluster.agree_equal("--init-from with the checksum", hashlib.sha256(weights).hexdigest()[:8])

    @contextlib.contextmanager
    def _held(self, run: RunFolder) -> Iterator[None]:
        """A context in which the chief has locked the run folder."""
        self.cluster.advice = f"start all workers again with: {_command(run.path)}"
        named = dataclasses.replace(self.config, run=str(run.path))
        with run.locked() if self.cluster.is_chief else contextlib.nullcontext(), _failures(named, self.cluster):
            if self.cluster.is_chief:
                self._compare_pictures(run)
                run.sweep()
            yield

    def _compare_pictures(self, run: RunFolder) -> None:
        """Compare the pictures with those that the run began with.

        Pictures in another folder must be equal. Pictures that changed in the same folder only cause a warning: the run
        can be resumed with them, but it no longer reproduces another run.
        """
        now, began = self.pictures.fingerprint, run.began_with
        changed, moved = run.changed_pictures(now), self._moved(run)
        if changed and moved:
            here = f"--{moved} {getattr(self.config, moved)}"
            raise UserError(f"{here}: not the pictures that the run began with: {began} then, {now} here")
        if changed:
            console.warn(changed)
        if moved and not began:
            console.warn(f"cannot check that the run began with these pictures: there is no {run.pictures_file}")
        if not began:
            files.write_text(run.pictures_file, f"{now}\n")

    def _moved(self, run: RunFolder) -> str | None:
        """The first setting that names another folder of pictures than the saved run, or None."""
        if not self.config.resume:
            return None
        before = run_folder.saved_config(str(run.path))
        names = [name for name in places.PICTURES if getattr(self.config, name)]
        return next((name for name in names if getattr(before, name) != getattr(self.config, name)), None)

    def _keep_settings(self, run: RunFolder) -> None:
        """Save the settings that changed on resuming: folders of pictures, a longer schedule."""
        saved = run_folder.saved_config(str(run.path))
        changed = [name for name in _MAY_CHANGE if getattr(saved, name) != getattr(self.config, name)]
        if not (self.cluster.is_chief and changed):
            return
        for name in set(changed) & set(places.LEARNED_FROM):
            flag = f"--{name.replace('_', '-')} {getattr(self.config, name)}"
            console.warn(f"{flag}: cannot check that it equals what the run learned from before")
        run.keep(self.config)

    def _restored(self, checkpoints: Checkpoints) -> int | None:
        """Restore the checkpoint that the chief could read, on every worker. Returns its step, or None without one."""
        first = checkpoints.restore() if self.cluster.is_chief else None
        first = self.cluster.agree("checkpoint", first)[0]
        if first is not None and not self.cluster.is_chief:
            checkpoints.restore_step(first)
        return first

    def _last(self) -> int:
        return min(self.config.steps, self.config.stop_after or self.config.steps)

    def _checkpoints(self, run: RunFolder) -> Checkpoints:
        return Checkpoints(self.gan, run.checkpoints, self.config.keep_checkpoints, writes=self.cluster.is_chief)

    def _rehearsed(self) -> float:
        """Compile the training step. Returns the seconds that a step takes.

        TensorFlow runs this first, unless there are initial weights to load. The cache finds a compiled step by names
        that contain counters, which depend on all that ran before.
        """
        count = _MEASURED_STEPS if self.config.minutes and not self.config.resume else _REHEARSED_STEPS
        with self.strategy.scope():
            try:
                return _rehearse(self.gan, self._dataset(0), self.strategy, count)
            except tf.errors.OpError:
                if not compiled.forget():
                    raise
                self.gan.train_function = None  # TensorFlow would not compile the same function again
                return _rehearse(self.gan, self._dataset(0), self.strategy, count)

    def _dataset(self, first: int):
        """The pictures from step `first` on."""
        return self._distributed(functools.partial(training_dataset, self.pictures, Crops.of(self.config), first))

    def _distributed(self, make):
        return distributed_dataset(self.strategy, self.cluster, make)

    def _go(self, run: RunFolder, checkpoints: Checkpoints, first: int, seconds: float) -> pathlib.Path:
        try:
            if self.cluster.is_chief:
                _announce(run, self.config, self.pictures, self.runtime.machine, first, self._last(), seconds)
            else:
                console.say(f"{self._name()} trains along; {self.cluster.members.name(0)} reports")
            return self._end(run, self._fit(run, checkpoints, first), trained=True)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; go on with: {_command(run.path)}") from None

    def _name(self) -> str:
        return self.cluster.members.name(self.cluster.index)

    def _fit(self, run: RunFolder, checkpoints: Checkpoints, first: int) -> int:
        """Train to the last step of this call, or until a signal. Returns the step reached, which is saved."""
        config, last = self.config, self._last()
        intervals = config.log_every, config.sample_every, config.checkpoint_every
        counter = callbacks.StepCounter(
            first, last, intervals, callbacks.SignalAgreement(self.exit_guard, self.cluster)
        )
        samples = callbacks.Samples(self.gan, *_scored(self.pictures, config), config.size, self._distributed)
        record = Record(run, first) if self.cluster.is_chief else None
        logger = callbacks.MetricsLogger(counter, samples, config.sample_every, record)
        saving = callbacks.EveryNSteps(counter, config.checkpoint_every, checkpoints.save)
        syncing, guard = callbacks.SyncWeights(counter), callbacks.NonFiniteGuard(counter, checkpoints)
        parts = [counter, syncing, guard, logger, self._own_callbacks(run, counter, logger), saving]
        with self.strategy.scope(), self.exit_guard.deferred(), contextlib.ExitStack() as ending:
            if self.cluster.is_chief:
                progress = callbacks.ProgressLine(counter, logger, config.batch_size, config.log_every)
                ending.callback(progress.close)
                parts.insert(-1, progress)
            checkpoints.save()
            called = callbacks.Callbacks(parts, add_history=True, model=self.gan)
            self.gan.fit(self._dataset(first), steps_per_epoch=last - first, shuffle=False, verbose=0, callbacks=called)
        return counter.step

    def _own_callbacks(self, run: RunFolder, counter, logger) -> own_callbacks.OwnCallbacks:
        params = {"settings": dataclasses.asdict(self.config) | {"callback": ()}, "run": run.path}
        alone = self.cluster.size == 1
        return own_callbacks.OwnCallbacks(
            self.own_callbacks, counter, logger, params, self.config.log_every, may_stop=alone
        )

    def _end(self, run: RunFolder, step: int, trained: bool) -> pathlib.Path:
        if self.cluster.is_chief:
            self._finish(run, step, trained)
        self.cluster.agree("end", step)  # a worker that runs longer than the chief would report a lost chief
        return run.path

    def _finish(self, run: RunFolder, step: int, trained: bool) -> None:
        if step < self.config.steps:
            console.say(f"stopped at step {step} of {self.config.steps}; go on with: {_command(run.path)}")
        elif trained or not run.is_exported():
            export_all(self.gan.stylist, self.config, run)
            export_all(self.gan.stylist, self.config, run, [FORMATS["safetensors"]])
            console.say(f"done      {run.saved_model}, {run.litert(half=False)}")
        else:
            longer = call("train", run=run.path, resume=True, steps="MORE")
            console.say(
                f"done      {run.path} has reached step {step} and is exported already; to train it longer: {longer}"
            )


def _check_init_from(config: TrainConfig) -> None:
    """Raise UserError if the generator of --init-from may not be loaded or differs from this run's."""
    if not config.init_from:
        return
    try:
        theirs = check_generator(config.init_from)
    except UserError as error:
        raise UserError(f"--init-from {config.init_from}: {error}") from None
    flags = [
        f"--{name.replace('_', '-')} {getattr(theirs, name)}"
        for name in GENERATOR_SETTINGS
        if getattr(theirs, name) != getattr(config, name)
    ]
    if flags:
        raise UserError(
            f"--init-from {config.init_from}: its generator differs from this run's; to fit, give {' '.join(flags)}"
        )


def _init_from(gan, config: TrainConfig) -> None:
    """Set both generators to the moving average that another run or a shipped model ended with."""
    other = config.init_from
    try:
        trained, _ = load_generator(str(other))
    except UserError as error:
        raise UserError(f"--init-from {other}: {error}") from None
    if trained.input_channels != gan.stylist.input_channels:
        raise UserError(
            f"--init-from {other}: its generator differs from this run's: only one of them takes content pictures"
        )
    gan.stylist.set_weights(trained.get_weights())
    gan.generator.set_weights(gan.stylist.get_weights())


def _rehearse(gan, dataset, strategy, count: int) -> float:
    """Run and undo a few training steps. Returns the seconds per step. Training uses the function compiled here."""
    state = tracking.checkpoint(gan=gan)
    with tempfile.TemporaryDirectory() as folder:
        before = state.write(f"{folder}/before")
        gan.make_train_function()
        whole = isinstance(dataset, tf.data.Dataset)
        batches = iter(strategy.experimental_distribute_dataset(dataset) if whole else dataset)
        for done in range(count):
            if done == 1:  # the first step compiles
                began = time.perf_counter()
            logs = gan.train_function(batches)
            np.asarray(next(iter(logs.values())))  # wait for the device
        seconds = (time.perf_counter() - began) / (count - 1)
        gan.sync_weights()  # no step may be pending when the former weights are restored
        state.read(before).assert_consumed()
    return seconds


def _announce(run, config, pictures: Pictures, machine, first, last, seconds) -> None:
    shape = f"{config.size}x{config.size}, batch {config.batch_size}, {config.precision}"
    console.say(f"recipe    {config.recipe}: {recipes.find(config.recipe).topology}, {shape}")
    counts = [f"{len(store)} {name}" for name in ("content", "style") if (store := getattr(pictures, name)) is not None]
    console.say(f"pictures  {' and '.join(counts)}{' (pairs)' if pictures.paired else ''}")
    console.say(f"device    {machine[0]}")
    for line in machine[1:]:
        console.warn(line)
    console.say(f"run       {run.path}")
    if config.extended_at:
        console.say(f"rate      full from step {config.extended_at} on, where the run was made longer; falling from "
                    f"{(config.extended_at + config.steps) // 2} to {config.steps}")  # fmt: skip
    console.say(f"time      about {console.duration((last - first) * seconds)} for steps {first} to {last}")


def _scored(pictures: Pictures, config: TrainConfig) -> tuple[list[Example], int]:
    """The first test pictures, and their number. A generator that takes noise alone has a number only."""
    scored = first_pictures(pictures, TEST_PICTURES)
    if config.distill_from:
        scored = taught(scored, picture_teacher(config), config.size)
    examples = [scored.example(place, config.channels, config.size) for place in range(len(scored.content))]
    return examples, len(examples) or min(TEST_PICTURES, len(pictures.style or ()))


@contextlib.contextmanager
def _failures(config: TrainConfig, cluster: Cluster):
    """A context that raises RunError for lost workers, too little memory or disk space, and failed writing."""
    try:
        yield
    except _LOST as error:
        if cluster.size == 1:
            raise
        raise cluster.why(error) from None
    except tf.errors.ResourceExhaustedError as error:
        if "space" in error.message.lower() or "quota" in error.message.lower():
            raise RunError(_not_written(config, first_line(error))) from None
        less = memory.smaller_batch(config.batch_size, config.size, (config.devices or 1) * cluster.size)
        raise RunError(f"out of memory with --batch-size {config.batch_size} at --size {config.size}; {less}") from None
    except tf.errors.PermissionDeniedError as error:
        raise RunError(_not_written(config, first_line(error))) from None
    except OSError as error:
        raise RunError(_not_written(config, f"{error.filename or 'a file'}: {error.strerror or error}")) from None


def _not_written(config: TrainConfig, reason: str) -> str:
    way = _command(config.run) if config.run else "--run FOLDER --resume"
    return f"{reason}; what was saved is complete. Remove the cause, then go on with: {way}"
