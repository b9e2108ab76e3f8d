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
from kgan.checkpoints import Checkpoints
from kgan.config import TrainConfig
from kgan.data import Pictures, fixed_batch, open_pictures, training_dataset
from kgan.devices import build_strategy, choose_devices, describe
from kgan.errors import RunError, UserError
from kgan.export import export_all
from kgan.gan import build_gan, noise
from kgan.run_folder import RunFolder

TEST_PICTURES = 16
"""Fixed test pictures that are stylized and scored while training."""
_REHEARSED_STEPS = 3


def train(config: TrainConfig) -> pathlib.Path:
    """Train, or go on training, and export at the end of the schedule; returns the run folder.

    Raises:
        UserError: for settings or pictures that cannot work, before anything is written.
        RunError: when the training cannot go on; the last checkpoint is whole then.
    """
    config = _settings(config)
    devices = choose_devices(config)
    config = machine_defaults(config, devices)
    strategy = build_strategy(config, devices)
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    pictures = open_pictures(config)
    run = RunFolder(pathlib.Path(config.run)) if config.resume else run_folder.create(config)
    with strategy.scope(), _out_of_memory(config):
        return _train_in(run, config, pictures, strategy, describe(devices))


def _settings(config: TrainConfig) -> TrainConfig:
    if not config.resume:
        return recipes.resolve(config)
    saved = run_folder.saved_config(config.run)
    return dataclasses.replace(saved, **{name: getattr(config, name) for name in run_folder.PER_CALL})


def machine_defaults(config: TrainConfig, devices: list[str]) -> TrainConfig:
    on_gpu = devices[0].startswith("GPU")
    return dataclasses.replace(
        config,
        devices=len(devices),
        jit=on_gpu if config.jit is None else config.jit,
        deterministic=not on_gpu if config.deterministic is None else config.deterministic,
    )


def _train_in(run: RunFolder, config, pictures, strategy, machine: list[str]) -> pathlib.Path:
    gan = build_gan(config)
    checkpoints = Checkpoints(gan, run.checkpoints, config.keep_checkpoints)
    first = _starting_step(gan, config, checkpoints)
    last = min(config.steps, config.stop_after or config.steps)
    if first < last:
        run.trim_metrics(first)
        dataset = training_dataset(pictures, config, first)
        seconds = _rehearse(gan, dataset, strategy)
        _announce(run, config, pictures, machine, first, last, seconds)
        clock = _fit(gan, dataset, pictures, run, config, checkpoints, first, last)
        last = clock.step
    if last < config.steps:
        print(f"stopped at step {last} of {config.steps}; go on with: kgan train --run {run.path} --resume", flush=True)
    else:
        _export(gan, run, config)
    return run.path


def _starting_step(gan, config: TrainConfig, checkpoints: Checkpoints) -> int:
    if config.resume:
        return checkpoints.restore()
    if config.init_from:
        _init_from(gan, config.init_from)
    checkpoints.save()
    return 0


def _init_from(gan, other: str) -> None:
    """Start from the generator of another run's newest checkpoint (its moving average)."""
    newest = tf.train.latest_checkpoint(str(pathlib.Path(other) / "checkpoints"))
    if newest is None:
        raise UserError(f"--init-from {other}: no run with a checkpoint there")
    root = tracking.checkpoint(gan=tracking.checkpoint(stylist=gan.stylist))
    try:
        root.restore(newest).assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--init-from {other}: its generator differs from this run's ({reason})") from None
    gan.stylist_of.set_weights(gan.stylist.get_weights())


def _rehearse(gan, dataset, strategy) -> float:
    """Seconds per step, from a few steps that are then undone: what they cost to compile is paid only once."""
    state = tracking.checkpoint(gan=gan)
    with tempfile.TemporaryDirectory() as folder:
        before = state.write(f"{folder}/before")
        gan.make_train_function()
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


def _fit(gan, dataset, pictures, run, config, checkpoints, first, last) -> callbacks.Clock:
    clock = callbacks.Clock(first, last)
    journal = callbacks.Journal(clock, run)
    test = _test_pictures(pictures, config)
    samples = callbacks.Samples(gan, test, run, journal, _sampler(gan, config))
    if first == 0:
        samples()
    gan.fit(
        dataset,
        epochs=-(-(last - first) // config.log_every),
        steps_per_epoch=min(config.log_every, last - first),
        shuffle=False,
        verbose=0,
        callbacks=[
            clock,
            callbacks.Guard(clock, checkpoints),
            journal,
            callbacks.ProgressLine(clock, config.batch_size),
            callbacks.Every(clock, config.sample_every, samples),
            callbacks.Every(clock, config.checkpoint_every, checkpoints.save),
        ],
    )
    return clock


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


def _export(gan, run: RunFolder, config: TrainConfig) -> None:
    export_all(gan.stylist, config, run)
    print(f"done      {run.saved_model}, {run.litert(half=False)}", flush=True)


@contextlib.contextmanager
def _out_of_memory(config: TrainConfig):
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        if "space" in error.message.lower():
            raise RunError(f"disk full: {error.message.splitlines()[0]}") from None
        smaller = max(config.devices, config.batch_size // 2)
        raise RunError(
            f"out of memory with --batch-size {config.batch_size} at --size {config.size}; try --batch-size {smaller}"
        ) from None
