"""How fast kgan trains and reads pictures here: python scripts/benchmark.py train|input [flags of kgan train]

`train` times whole training steps, pictures included; compile time and peak memory are printed apart.
`input` times the input pipeline alone. Each figure is a median over windows of steps, with the spread between the
10th and the 90th percentile. Beside --windows and --window-steps, all flags are those of `kgan train`.
"""

import argparse
import statistics
import sys
import time

import numpy as np
import tensorflow as tf

from kgan import cli, recipes
from kgan.config import TrainConfig
from kgan.data import open_pictures, training_dataset
from kgan.devices import build_strategy, choose_devices, describe
from kgan.errors import UserError
from kgan.gan import build_gan
from kgan.training import machine_defaults


def matrix_rate(dtype: str, size: int = 8192, repeats: int = 20) -> float:
    """TFLOP/s of a square matrix product on the first device: what this chip really reaches."""
    size = size if tf.config.list_logical_devices("GPU") else 1024
    matrix = tf.cast(tf.random.normal((size, size)), dtype)

    @tf.function(jit_compile=True)
    def products(x):
        for _ in range(repeats):
            x = tf.matmul(x, matrix) * (1.0 / size**0.5)
        return tf.reduce_sum(tf.cast(x, tf.float32))

    products(matrix).numpy()
    began = time.perf_counter()
    products(matrix).numpy()
    return repeats * 2 * size**3 / (time.perf_counter() - began) / 1e12


def windows_of(step, windows: int, window_steps: int) -> list[float]:
    """Seconds per step of each window; `step()` returns something to wait for."""
    seconds = []
    for _ in range(windows):
        began = time.perf_counter()
        for _ in range(window_steps):
            out = step()
        wait(out)
        seconds.append((time.perf_counter() - began) / window_steps)
    return seconds


def wait(logs) -> None:
    """Until the device has finished what `logs` depends on."""
    np.asarray(next(iter(logs.values())) if isinstance(logs, dict) else logs)


def report(name: str, seconds: list[float], images: int, **more) -> None:
    """One row of figures."""
    middle = statistics.median(seconds)
    low, high = np.percentile(seconds, [10, 90])
    words = [f"{name:24} {middle * 1e3:8.1f} ms ({low * 1e3:.1f}-{high * 1e3:.1f})  {images / middle:8.1f} images/s"]
    print("  ".join(words + [f"{key.replace('_', ' ')} {value}" for key, value in more.items()]), flush=True)


def peak_memory() -> str:
    """GiB that TensorFlow has used on the fullest GPU, or "-" on a CPU."""
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        return "-"
    peaks = [tf.config.experimental.get_memory_info(gpu.name.replace("/device:", ""))["peak"] for gpu in gpus]
    return f"{max(peaks) / 2**30:.1f} GiB"


def time_training(config: TrainConfig, strategy, windows: int, window_steps: int) -> None:
    """Whole steps of the run that `config` describes."""
    pictures = open_pictures(config)
    with strategy.scope():
        gan = build_gan(config)
        dataset = training_dataset(pictures, config, 0)
        batches = iter(strategy.experimental_distribute_dataset(dataset))
        gan.make_train_function()
        gan.take_up()
        began = time.perf_counter()
        wait(gan.train_function(batches))
        compiled = time.perf_counter() - began
        windows_of(lambda: gan.train_function(batches), 1, window_steps)
        seconds = windows_of(lambda: gan.train_function(batches), windows, window_steps)
    name = f"{config.recipe} {config.size} b{config.batch_size} {config.precision}"
    report(name, seconds, config.batch_size, first_step=f"{compiled:.1f} s", peak=peak_memory())


def time_input(config: TrainConfig, strategy, windows: int, window_steps: int) -> None:
    """Batches of the input pipeline, with nothing trained."""
    batches = iter(training_dataset(open_pictures(config), config, 0))
    windows_of(lambda: next(batches)["style"], 1, window_steps)
    seconds = windows_of(lambda: next(batches)["style"], windows, window_steps)
    report(f"input {config.size} b{config.batch_size}", seconds, config.batch_size)


def main() -> int:
    """Read the words, run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "input"])
    parser.add_argument("--windows", type=int, default=10)
    parser.add_argument("--window-steps", type=int, default=10)
    own, rest = parser.parse_known_args()
    try:
        config = recipes.resolve(cli.parse(TrainConfig, rest, "benchmark.py"))
        devices = choose_devices(config)
        config = machine_defaults(config, devices)
        strategy = build_strategy(config, devices)
        print(f"{describe(devices)[0]}; matrix products at {matrix_rate('bfloat16'):.0f} TFLOP/s bfloat16, "
              f"{matrix_rate('float32'):.0f} float32", flush=True)  # fmt: skip
        {"train": time_training, "input": time_input}[own.what](config, strategy, own.windows, own.window_steps)
    except UserError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
