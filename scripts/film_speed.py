"""Measures the speed of films, for `python scripts/benchmark.py film MODEL`."""

import argparse
import dataclasses
import itertools
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import cast

import numpy as np
import tensorflow as tf
from words import positive

from kgan.assembly import build_generator
from kgan.film import encoding
from kgan.film.film import Film
from kgan.film.frames import BT709, LIMITED, Colours, Facts, Frame
from kgan.film.lanes import Behind, ahead
from kgan.film.smoothing import Smoother
from kgan.precision import POLICIES
from kgan.runs.models import resolve_run
from kgan.runs.settings import TrainConfig

RATE = 25
WAITING = 2

Network = Callable[[np.ndarray], np.ndarray]
"""A function from frames to restyled frames, both uint8 [N, H, W, C]."""


def compiled(model: str, precision: str, jit: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """The network of a model as a function of uint8 frames. Its weights are random, which does not change the speed."""
    config = cast(TrainConfig, resolve_run(model).config)
    generator = build_generator(dataclasses.replace(config, precision=precision))

    @tf.function(jit_compile=jit)
    def restyled(frames):
        made = generator(tf.cast(frames, generator.compute_dtype) / 127.5 - 1, training=False)
        return tf.cast(tf.round(tf.clip_by_value(tf.cast(made, tf.float32) * 127.5 + 127.5, 0, 255)), tf.uint8)

    return restyled


def moving(height: int, width: int, count: int) -> list[np.ndarray]:
    """Frames of a camera that moves over a detailed picture, uint8 [H, W, 3]."""
    random = np.random.default_rng(0)
    small = tf.constant(random.uniform(0, 255, (1, height // 4 + 1, width // 4 + count, 3)), tf.float32)
    large = tf.image.resize(small, (height, width + 4 * count), "bicubic")[0].numpy()
    noisy = np.clip(large + random.normal(0, 4, large.shape), 0, 255).astype(np.uint8)
    return [np.ascontiguousarray(noisy[:, k : k + width]) for k in range(count)]


def timed(what: str, frames: int, work: Callable[[], object]) -> float:
    """Run the work and print the frames per second. Returns them."""
    began = time.perf_counter()
    work()
    speed = frames / (time.perf_counter() - began)
    print(f"{what:32} {speed:8.1f} frames/s", flush=True)
    return speed


def measure_network(restyled: Callable[[tf.Tensor], tf.Tensor], frames: list[np.ndarray], batch: int) -> Network:
    """Print the speed of the network alone. Returns it as a function of arrays."""
    groups = list(_groups(frames, batch))

    def network(group: np.ndarray) -> np.ndarray:
        return restyled(tf.constant(group)).numpy()

    began = time.perf_counter()
    network(groups[0])
    print(f"{'first batch, which compiles':32} {time.perf_counter() - began:8.1f} s", flush=True)
    resident = [tf.identity(tf.constant(group)) for group in groups[:4]]

    def on_device() -> None:
        for _, group in zip(range(len(groups)), itertools.cycle(resident), strict=False):
            made = restyled(group)
        made.numpy()

    timed("network, frames on the device", len(groups) * batch, on_device)
    timed("network, frames to it and back", len(groups) * batch, lambda: [network(group) for group in groups])
    return network


def measure_film(network: Network, frames: list[np.ndarray], batch: int, codec: str) -> None:
    """Print the speed of decoding, of smoothing, of encoding, and of all at the same time."""
    height, width = frames[0].shape[:2]
    facts = Facts((height, width), Fraction(RATE), Fraction(1, 1000 * RATE), colours=Colours(BT709, LIMITED, 1, 1))
    coding = encoding.choose(facts, "mp4", codec, None, 16)
    with tempfile.TemporaryDirectory() as folder:
        source, made = pathlib.Path(folder) / "source.nut", pathlib.Path(folder) / "made.nut"
        timed(f"encode, {coding.encoder}", len(frames), lambda: _encoded(source, coding, facts, frames))
        film = Film(source)
        timed("decode", len(frames), lambda: [None for _ in film])
        smooth = Smoother()
        timed("smooth", len(frames), lambda: [smooth(group, 255 - group) for group in _groups(frames, batch)])

        def together() -> None:
            writer, smoother = encoding.SegmentWriter(made, coding, facts), Smoother()
            numbers = itertools.count()
            decoded = ahead(_groups((frame.pixels for frame in film), batch), WAITING)
            with (
                Behind(lambda group: [writer.write(each, _frame(each, next(numbers))) for each in group], 1) as encode,
                Behind(lambda groups: encode.put(smoother(*groups)), WAITING) as smoothing,
            ):
                for group in decoded:
                    smoothing.put((group, network(group)))
                smoothing.finish()
                encode.finish()
            writer.close()

        timed("all of these together", len(frames), together)


def _encoded(path: pathlib.Path, coding: encoding.Coding, facts: Facts, frames: Iterable[np.ndarray]) -> None:
    writer = encoding.SegmentWriter(path, coding, facts)
    for number, pixels in enumerate(frames):
        writer.write(pixels, _frame(pixels, number))
    writer.close()


def _frame(pixels: np.ndarray, number: int) -> Frame:
    return Frame(pixels, Fraction(number, RATE), Fraction(1, RATE))


def _groups(frames: Iterable[np.ndarray], batch: int) -> Iterator[np.ndarray]:
    """Full batches only, so that no other shape is compiled."""
    iterator = iter(frames)
    while len(group := list(itertools.islice(iterator, batch))) == batch:
        yield np.stack(group)


def main(words: list[str]) -> int:
    """Parse the command line, measure and print. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="benchmark.py film",
        description="Frames per second of the network, and with PyAV of decoding, smoothing, encoding and all at once.",
    )
    parser.add_argument("model", help="a run folder, or a shipped model such as vangogh")
    parser.add_argument("--size", type=positive, nargs=2, default=[1080, 1920], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--frames", type=positive, default=96, help="number of frames (default: 96)")
    parser.add_argument("--batch", type=positive, default=4, help="frames that the network gets at a time (default: 4)")
    parser.add_argument("--precision", choices=sorted(POLICIES), default="float32")
    parser.add_argument("--jit", action="store_true", help="compile with XLA")
    parser.add_argument("--codec", default="h264")
    options = parser.parse_args(words)
    if options.frames < options.batch:
        parser.error(f"--frames {options.frames}: should be at least --batch ({options.batch})")
    height, width = options.size
    restyled = compiled(options.model, options.precision, options.jit)
    print(
        f"{options.model}, {width}x{height}, batch {options.batch}, {options.precision}"
        f"{', XLA' if options.jit else ''}, {len(tf.config.list_logical_devices('GPU'))} GPUs",
        flush=True,
    )
    frames = moving(height, width, options.frames // options.batch * options.batch)
    network = measure_network(restyled, frames, options.batch)
    try:
        import av  # noqa: F401
    except ImportError:
        print("PyAV is not installed: decoding and encoding are left out")
        return 0
    measure_film(network, frames, options.batch, options.codec)
    return 0
