"""Checks what the user gave to `kgan batch`, and runs the pipeline."""

import collections
import contextlib
import dataclasses
import logging
import os
import pathlib
import re
import time
from collections.abc import Iterator, Sequence
from typing import Literal

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from kgan import console, locks
from kgan.batch.pipeline import COUNTERS, NAMESPACE, Job, build
from kgan.batch.places import OWN, Place, is_url
from kgan.batch.work import Look, local_model
from kgan.errors import RunError, UserError, is_command_line
from kgan.exit_guard import interrupted_as
from kgan.images.decoding import LIMIT, limits_pictures
from kgan.images.pictures import Format, Writing
from kgan.inference.model import shares_of_size
from kgan.inference.stylize import Finish, check_blending, check_numbers
from kgan.paths import several
from kgan.runs.models import resolve_model
from kgan.runs.trust import takes_trust

Runner = Literal["direct", "dataflow", "flink", "spark"]

RUNNERS = {
    "direct": "apache_beam.runners.portability.fn_api_runner.FnApiRunner",  # "DirectRunner" would download a program
    "dataflow": "DataflowRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
}
"""Beam's names of the runners."""


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a pipeline did.

    Attributes:
        done: pictures that were restyled.
        skipped: pictures that were done before.
        failed: pictures that could not be restyled.
        pixels: pixels of the restyled pictures.
        seconds: time of the whole pipeline.
    """

    done: int
    skipped: int
    failed: int
    pixels: int
    seconds: float

    def __str__(self) -> str:
        speed = self.pixels / max(self.seconds, 1e-9)
        return (
            f"done {self.done}, skipped {self.skipped}, failed {self.failed}; {self.pixels / 1e6:.1f} megapixels in "
            f"{console.duration(self.seconds)}, {speed:.0f} pixels/s"
        )


@takes_trust
@limits_pictures
@interrupted_as(lambda: "interrupted. What is done stays, and the same command goes on")
def batch(
    source: str,
    sink: str,
    model: str | os.PathLike,
    runner: Runner = "direct",
    runner_option: Sequence[str] = (),
    batch_size: int = 16,
    seed: int = 0,
    strokes: float = 1.0,
    strength: float = 1.0,
    keep_colour: bool = False,
    memory: float | None = None,
    format: Format | None = None,
    quality: int | None = None,
    strip_metadata: bool = False,
    max_megapixels: float | None = None,
    trust: bool = False,
) -> Counts:
    """Restyle all pictures of a folder with an Apache Beam pipeline. After an interruption, the same call goes on.

    Args:
        source: the folder of the pictures, which is searched at any depth: a path, or a URL such as gs://BUCKET/FOLDER.
        sink: the folder of the results, a path or a URL. Names and subfolders are kept.
        model: a run folder, a SavedModel folder, a .tflite or .onnx file, the URL of such a folder, or the name of a
            shipped model.
        runner: "direct" for this process, or the engine of a cluster.
        runner_option: options of Beam and its runner, such as "region=europe-west1".
        batch_size: number of pictures of equal size that go through the network together, at most.
        seed: seed of the noise, from 0 to 2**31 - 1.
        strokes: the factor by which brush strokes become broader, at least 1.
        strength: weight of the stylized picture in [0, 1].
        keep_colour: use only the luma of the stylized picture.
        memory: the memory in GB that a process may use for one batch. Default: a fraction of the free memory.
        format: write all results in this format. Default: that of the picture.
        quality: quality of JPEG and lossy WebP, 1 to 100. Default: 95.
        strip_metadata: write no metadata.
        max_megapixels: the largest picture that is read.
        trust: open a model that is a program of somebody else (`kgan.load`).

    Returns:
        The counters.

    Raises:
        UserError: before any work if an option, a folder or the model is wrong.
        RunError: if the pipeline fails. What is done stays.
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP. What is done stays.
    """
    check_numbers(seed, 1, memory)
    check_blending(None, None, strength)
    shares_of_size(strokes)
    if batch_size < 1:
        raise UserError(f"--batch-size should be at least 1. Received: {batch_size}")
    writing = Writing(format, quality, strip_metadata)
    options = _options(runner, [str(each) for each in several(runner_option)])
    places = Place.of(source), Place.of(sink)
    _check_places(*places, runner)
    model_print = resolve_model(local_model(os.fspath(model))).fingerprint
    bytes_of_memory = None if memory is None else memory * 1e9
    finish = Finish(strength=strength, keep_colour=keep_colour)
    look = Look(os.fspath(model), model_print, writing, seed, strokes, finish, bytes_of_memory, trust)
    return _run(Job(*places, look, batch_size, os.environ.get(LIMIT)), options)


def _options(runner: Runner, given: Sequence[str]) -> list[str]:
    """Beam's options as arguments. Raises UserError if one is not NAME=VALUE."""
    if runner not in RUNNERS:
        raise UserError(f"--runner should be one of {', '.join(RUNNERS)}. Received: {runner}")
    wrong = next((each for each in given if not each.partition("=")[1] or each.startswith(("-", "="))), None)
    if wrong is not None:
        raise UserError(f"--runner-option {wrong}: should be NAME=VALUE, as in region=europe-west1")
    return [f"--runner={RUNNERS[runner]}", *(f"--{each}" for each in given)]


def _check_places(source: Place, sink: Place, runner: Runner) -> None:
    source.check_source()
    sink.check()
    if source.within(sink):
        raise UserError(f"{sink.folder}: the results would replace pictures; name another SINK")
    local = next((place.folder for place in (source, sink) if not is_url(place.folder)), None)
    if runner == "dataflow" and local:
        raise UserError(f"{local}: Dataflow's workers do not see this machine's folders; give a URL such as gs://...")


def _run(job: Job, options: list[str]) -> Counts:
    """Run a pipeline. What it wrote stays, whether it fails or not."""
    if is_command_line() and "FnApiRunner" in options[0]:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # a failure is told in one line
    pipeline = _pipeline(options)
    build(pipeline, job)
    with _alone(job.sink), contextlib.ExitStack() as ending:
        job.sink.sweep()
        ending.callback(job.sink.sweep)
        began = time.monotonic()
        with failing():
            result = pipeline.run()
            state = result.wait_until_finish()
        if state not in (None, "DONE"):
            raise RunError(f"the pipeline ended in the state {state}; the same command goes on")
        return _counted(result, time.monotonic() - began)


def _pipeline(options: list[str]) -> beam.Pipeline:
    """An empty pipeline. Raises UserError if the runner refuses its options, or a package is missing."""
    try:
        return beam.Pipeline(options=PipelineOptions(options))
    except (ValueError, ImportError) as error:
        reasons = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(f"{options[0]}: {' '.join(reasons)} Give what is missing as --runner-option") from None


def _counted(result, seconds: float) -> Counts:
    """The pipeline's counters, each summed over the steps that count."""
    numbers: collections.Counter[str] = collections.Counter()
    for each in result.metrics().query()["counters"]:
        if each.key.metric.namespace == NAMESPACE:
            numbers[each.key.metric.name] += each.result
    done, skipped, failed, pixels = (numbers[name] for name in COUNTERS)
    return Counts(done, skipped, failed, pixels, seconds)


@contextlib.contextmanager
def _alone(sink: Place) -> Iterator[None]:
    """A context in which no other process of this machine writes to a sink."""
    if is_url(sink.folder):
        yield
        return
    lock = pathlib.Path(sink.path(OWN), "lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with locks.locked(lock, waiting=lambda: _refuse(sink)):
            yield
    except OSError as error:
        raise RunError(f"{sink.folder}: cannot be written ({error.strerror})") from None


def _refuse(sink: Place) -> None:
    raise UserError(f"{sink.folder}: another kgan batch is writing there; wait until it has ended")


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """A context in which errors of Beam become a RunError with the last line of the worker's."""
    try:
        yield
    except Exception as error:  # Beam adds the step to the message; other errors of a worker are text with a traceback
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        last = re.sub(r" \[while running .*\]$", "", lines[-1]) if lines else type(error).__name__
        if last.startswith("KeyboardInterrupt"):
            raise KeyboardInterrupt from None
        what = last if isinstance(error, UserError) else f"the pipeline failed: {last}"
        raise RunError(f"{what}. What is done stays, and the same command goes on") from error
