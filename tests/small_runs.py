"""Training runs that take seconds, for the tests of training."""

import atexit
import contextlib
import functools
import gc
import io
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import quick_tracing
import tensorflow as tf
from PIL import Image
from tensorflow.python.framework import config as framework_config

from kgan.assembly import build_generator
from kgan.export import export_saved_model
from kgan.recipes import RECIPES
from kgan.runs import recipes
from kgan.runs.settings import TrainConfig

SMALL = {
    "size": 16,
    "filters": 4,
    "blocks": 1,
    "discriminator_filters": 4,
    "batch_size": 4,
    "steps": 6,
    "log_every": 2,
    "sample_every": 100,
    "checkpoint_every": 3,
}


@functools.cache
def home() -> pathlib.Path:
    """A temporary folder of this process."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kgan-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def pictures() -> str:
    """A root with trainA, trainB, testA and testB. Equal names form pairs."""
    draw = np.random.default_rng(3)
    for part, count in {"trainA": 7, "trainB": 7, "testA": 3, "testB": 3}.items():
        folder = home() / "pictures" / part
        folder.mkdir(parents=True)
        for index in range(count):
            Image.fromarray(draw.integers(0, 256, (20, 24, 3), np.uint8)).save(folder / f"{index}.png")
    return str(home() / "pictures")


@functools.cache
def teacher() -> str:
    """The folder of a small model that turns pictures orange."""
    config = recipes.resolve(TrainConfig(**SMALL, recipe="fastcut", residual=False, data=pictures()))
    generator = build_generator(config)
    generator.head[-1].bias.assign([1.0, 0.0, -1.0])
    folder = home() / "teacher"
    export_saved_model(generator, folder / "saved_model")
    config.save(folder / "config.json")
    return str(folder)


def settings(run: pathlib.Path, **changes) -> TrainConfig:
    """The resolved settings of a tiny run in a folder."""
    source = {"data": pictures(), "cache": str(home() / "cache"), "run": str(run)}
    if changes.get("recipe") in RECIPES and RECIPES[changes["recipe"]].teacher:
        source["distill_from"] = teacher()
    return recipes.resolve(TrainConfig(**{"recipe": "mmd", **SMALL, **source, **changes}))


def arguments(config: TrainConfig) -> list[str]:
    """The arguments of `kgan train` for settings that differ from the defaults."""
    words = []
    for name, value in vars(config).items():
        default = getattr(TrainConfig(), name)
        if value not in (None, (), default):
            flag = "--" + name.replace("_", "-")
            for one in value if isinstance(value, tuple) else [value]:
                words += [flag] if default is False else [flag, str(one)]
    return ["train", *words]


def weights(run: pathlib.Path, step: int) -> dict[str, np.ndarray]:
    """All variables in a run's checkpoint: networks, average, optimizers and pools."""
    reader = tf.train.load_checkpoint(str(run / "checkpoints" / f"ckpt-{step}"))
    names = [name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    return {name: reader.get_tensor(name) for name in names if "save_counter" not in name}


def same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)


def lines(run: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def determinism_ends():
    """Body of a fixture for training. On a CPU, it enables TensorFlow's determinism for the rest of the process."""
    yield
    framework_config.disable_op_determinism()


def mount(folder: pathlib.Path, kilobytes: int) -> None:
    """A file system that can be filled. The test is skipped if it cannot be mounted."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs the command mount")
    if done.returncode:
        pytest.skip(f"needs the right to mount a small file system: {done.stderr.strip()}")


def unmount(folder: pathlib.Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # an event file may still be open


# --- processes that may die -------------------------------------------------------------------------------------------


class Process:
    """`kgan ARGUMENTS` in a new process, which is a fork of one that has only imported TensorFlow."""

    def __init__(self, words: list[str], before=None):
        """`before()` is called first in the new process. It must be importable."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["kgan.training.train", "kgan.cli", "kgan.gan.one_way"])
        self.log = pathlib.Path(tempfile.mkstemp(dir=home(), suffix=".log")[1])
        self.process = context.Process(target=_run, args=(words, str(self.log), before), daemon=True)
        self.process.start()

    def send(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def wait(self, seconds: float = 60) -> int:
        """The exit status, or minus the number of the signal that killed the process."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"still running after {seconds} s:\n{self.output}")
        return self.process.exitcode

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")


def wait_for(process: Process, text: str, seconds: float = 90) -> None:
    """Wait until the output of a process matches the regular expression `text`."""
    end = time.monotonic() + seconds
    while not re.search(text, process.output):
        if not process.process.is_alive() or time.monotonic() > end:
            raise AssertionError(f"{text!r} never came:\n{process.output}")
        time.sleep(0.01)


def newest(run: pathlib.Path) -> int:
    """The step of a run's newest checkpoint."""
    return max(int(path.stem[5:]) for path in (run / "checkpoints").glob("*.index"))


def _run(words: list[str], log: str, before) -> None:
    quick_tracing.set_up()  # as in conftest
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup
    gc.freeze()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(n, "wb", 0), write_through=True, encoding="utf-8") for n in (1, 2)
    )
    if before:
        before()
    from kgan.cli import main

    status = main(words)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    sys.exit(status)
