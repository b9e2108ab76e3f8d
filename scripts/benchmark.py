"""Measures the speed of training and of the input pipeline.

    python scripts/benchmark.py train|input [flags of kgan train]

`python scripts/benchmark.py litert FILE ...` times exported .tflite files, `engines MODEL` a trained model in several
engines, and `film MODEL` decoding, restyling and encoding of films. Each has its own --help.

`train` times complete training steps, input included, of kgan and of the same networks in a plain Keras step
(scripts/plain_step.py). The two alternate in windows of several steps. `input` times the input pipeline alone.

A row contains the median over the windows and their 10th to 90th percentile, the pictures (or pairs) per second, the
time of the first step, which compiles, the peak of GPU memory in training, and the operations of convolutions and
matrix products (scripts/arithmetic.py) per second, also relative to the rate of large matrix products in the same run.
"""

import argparse
import dataclasses
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import engine_speed
import film_speed
import litert_speed
import numpy as np
import tensorflow as tf
from arithmetic import operations
from plain_step import PlainStep, missing
from words import in_one_line, positive

from kgan.assembly import build_gan
from kgan.data import Crops, Pictures, open_pictures, training_dataset
from kgan.errors import UserError
from kgan.inference.teacher import load_teacher
from kgan.parsing import parse
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig
from kgan.training.devices import build_strategy, choose_devices, describe
from kgan.training.train import colour_map, machine_defaults

PROFILED_STEPS = 10


@dataclasses.dataclass
class Contender:
    """A compiled training step and its measurements.

    Attributes:
        name: "kgan" or "plain".
        step: a function that runs one step and returns tensors that depend on it.
        compiling: seconds of the first step.
        peak: text of the peak of GPU memory, "-" on a CPU.
        operations: number of operations in a step.
        seconds: seconds per step of each window.
    """

    name: str
    step: Callable
    compiling: float
    peak: str
    operations: float
    seconds: list[float] = dataclasses.field(default_factory=list)


# --- measuring --------------------------------------------------------------------------------------------------------


def matrix_rate(dtype: str, repeats: int = 20) -> float:
    """Measure the operations per second of a large square matrix product on the first device."""
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    size = 8192 if on_gpu else 1024
    matrix = tf.cast(tf.random.normal((size, size)), dtype)

    @tf.function(jit_compile=on_gpu)
    def products(x):
        for _ in range(repeats):
            x = tf.matmul(x, matrix) * (1.0 / size**0.5)
        return tf.reduce_sum(tf.cast(x, tf.float32))

    seconds = windows_of(lambda: products(matrix), 6, 1)[1:]  # the first window compiles
    return repeats * 2 * size**3 / statistics.median(seconds)


def windows_of(step, windows: int, window_steps: int) -> list[float]:
    """Run the step `windows` times `window_steps` times. Returns the seconds per step of each window."""
    seconds = []
    for _ in range(windows):
        began = time.perf_counter()
        for _ in range(window_steps):
            out = step()
        wait(out)
        seconds.append((time.perf_counter() - began) / window_steps)
    return seconds


def wait(logs) -> None:
    """Wait until the device has computed `logs`."""
    np.asarray(next(iter(logs.values())) if isinstance(logs, dict) else logs)


def gpu_memory(what: str) -> int:
    """The "current" or "peak" bytes of the GPU with the most. 0 on a CPU, whose memory TensorFlow does not count."""
    gpus = [gpu.name.replace("/device:", "") for gpu in tf.config.list_logical_devices("GPU")]
    return max((tf.config.experimental.get_memory_info(gpu)[what] for gpu in gpus), default=0)


def forget_peak() -> None:
    """Reset the peak of GPU memory."""
    for gpu in tf.config.list_logical_devices("GPU"):
        tf.config.experimental.reset_memory_stats(gpu.name.replace("/device:", ""))


def contender(name: str, config: TrainConfig, strategy, build: Callable, window_steps: int) -> Contender:
    """Compile and warm up the step that `build()` returns together with the function whose operations are counted."""
    forget_peak()
    before = gpu_memory("current")
    step, update = build()
    began = time.perf_counter()
    wait(step())
    compiling = time.perf_counter() - began
    windows_of(step, 1, window_steps)
    peak = gpu_memory("peak") - before
    count = operations(traced(update, config, strategy))
    return Contender(name, step, compiling, f"{peak / 2**30:.1f} GiB" if peak else "-", count)


def traced(update: Callable, config: TrainConfig, strategy):
    """Trace one update of all replicas without running it. Returns the concrete function."""
    rows = config.batch_size // strategy.num_replicas_in_sync
    picture = tf.TensorSpec((rows, config.size, config.size, config.channels))
    kind = recipes.find(config.recipe).pictures
    domains = [kind] if kind in ("style", "content") else ["content", "style"]
    one = tf.function(lambda batch: strategy.run(update, (batch,)), autograph=False)
    return one.get_concrete_function(dict.fromkeys(domains, picture))


# --- what is measured -------------------------------------------------------------------------------------------------


def time_training(config: TrainConfig, strategy, options: argparse.Namespace) -> None:
    """Time complete training steps, kgan's and plain ones alternately."""
    pictures = open_pictures(config)
    with strategy.scope():
        batches = iter(strategy.experimental_distribute_dataset(training_dataset(pictures, Crops.of(config))))
        builders = {"kgan": lambda: kgan_step(config, pictures, batches), "plain": lambda: plain_step(config, batches)}
        lacking = missing(config, strategy.num_replicas_in_sync)
        if lacking and options.only != "kgan":
            print(f"only kgan's step is timed: the plain step does not support {lacking}", flush=True)
            del builders["plain"]
        chosen = [options.only] if options.only in builders else list(builders)
        contenders = [contender(name, config, strategy, builders[name], options.window_steps) for name in chosen]
        rate = matrix_rate(config.precision)
        for _ in range(options.windows):
            for one in contenders:
                one.seconds += windows_of(one.step, 1, options.window_steps)
        title(config)
        for one in contenders:
            report(one, config.batch_size, rate)
        if len(contenders) == 2:
            compare(*contenders)
        if options.profile:
            profile(contenders[0], options.profile)


def kgan_step(config: TrainConfig, pictures: Pictures, batches) -> tuple[Callable, Callable]:
    """Build kgan's step. Returns a function that runs one step as `fit` does, and the update that is traced."""
    gan = build_gan(config, load_teacher(config) if config.distill_from else None, colour_map(config, pictures))
    gan.make_train_function()
    return lambda: gan.train_function(batches), gan.train_step


def plain_step(config: TrainConfig, batches) -> tuple[Callable, Callable]:
    """Build the plain Keras step. Returns a function that runs one step, and the update that is traced."""
    plain = PlainStep(config)
    return lambda: plain(next(batches)), plain.make


def time_input(config: TrainConfig, strategy, options: argparse.Namespace) -> None:
    """Time the batches of the input pipeline without training."""
    batches = iter(training_dataset(open_pictures(config), Crops.of(config)))
    windows_of(lambda: next(batches)["style"], 1, options.window_steps)
    seconds = windows_of(lambda: next(batches)["style"], options.windows, options.window_steps)
    title(config)
    print(timing("input", seconds, config.batch_size), flush=True)


def profile(one: Contender, folder: str) -> None:
    """Write a TensorBoard profile of `PROFILED_STEPS` steps to `folder`."""
    tf.profiler.experimental.start(folder)
    for number in range(PROFILED_STEPS):
        with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
            logs = one.step()
    wait(logs)
    tf.profiler.experimental.stop()
    print(f"profile of {PROFILED_STEPS} steps of {one.name}: tensorboard --logdir {folder}", flush=True)


# --- output -----------------------------------------------------------------------------------------------------------


def title(config: TrainConfig) -> None:
    """Print the recipe, the size and the precision."""
    how = f"{config.precision}{', XLA' if config.jit else ''}{', deterministic' if config.deterministic else ''}"
    print(f"{config.recipe} {config.size}x{config.size}, batch {config.batch_size}, {how}", flush=True)


def timing(name: str, seconds: list[float], images: int) -> str:
    """The name, the median time, its spread and the pictures per second, as text."""
    middle = statistics.median(seconds)
    low, high = np.percentile(seconds, [10, 90])
    spread = f"({low * 1e3:.1f}-{high * 1e3:.1f})"
    return f"{name:6} {middle * 1e3:8.1f} ms {spread:15} {images / middle:8.1f} images/s"


def report(one: Contender, images: int, rate: float) -> None:
    """Print one row."""
    reached = one.operations / statistics.median(one.seconds)
    print(
        f"{timing(one.name, one.seconds, images)}  first step {one.compiling:.1f} s  peak {one.peak}  "
        f"{one.operations / 1e12:.3g} TFLOP a step, {reached / 1e12:.3g} TFLOP/s: "
        f"{reached / rate:.0%} of the matrix rate of {rate / 1e12:.3g}",
        flush=True,
    )


def compare(kgan: Contender, plain: Contender) -> None:
    """Print the ratio of consecutive windows. The load of other processes affects both and cancels."""
    ratios = [own / other for own, other in zip(kgan.seconds, plain.seconds, strict=True)]
    low, high = np.percentile(ratios, [10, 90])
    print(f"kgan takes {statistics.median(ratios):.3f} ({low:.3f}-{high:.3f}) of the plain step's time", flush=True)


# --- the command ------------------------------------------------------------------------------------------------------


def parsed(words: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Parse this script's options. Returns them and the remaining arguments, which are those of `kgan train`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("what", choices=["train", "input", "litert", "engines", "film"])
    parser.add_argument("--windows", type=positive, default=10, help="windows to take the median of (default: 10)")
    parser.add_argument("--window-steps", type=positive, default=10, help="steps or batches a window (default: 10)")
    parser.add_argument("--only", choices=["kgan", "plain"], help="time one of the two steps alone")
    parser.add_argument(
        "--profile", metavar="FOLDER", help=f"also write a TensorBoard profile of {PROFILED_STEPS} steps; to view "
        "it: pip install tensorboard-plugin-profile, then tensorboard --logdir FOLDER",
    )  # fmt: skip
    return parser.parse_known_args(words)


@in_one_line
def main(words: list[str] | None = None) -> int:
    """Run the command. Returns its exit status."""
    words = sys.argv[1:] if words is None else words
    if words[:1] == ["litert"]:
        return litert_speed.main(words[1:])
    if words[:1] == ["engines"]:
        return engine_speed.main(words[1:])
    if words[:1] == ["film"]:
        return film_speed.main(words[1:])
    options, rest = parsed(words)
    config = recipes.resolve(parse(TrainConfig, rest, "benchmark.py"))
    if options.profile:
        _make_folder(options.profile)
    devices = choose_devices(config)
    config = machine_defaults(config, devices)
    if config.deterministic:  # as in kgan train, because it takes time
        tf.config.experimental.enable_op_determinism()
        tf.random.set_seed(config.seed)
    strategy = build_strategy(config, devices)
    print(describe(devices)[0], flush=True)
    {"train": time_training, "input": time_input}[options.what](config, strategy, options)
    return 0


def _make_folder(profile: str) -> None:
    try:
        pathlib.Path(profile).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--profile {error.filename}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
