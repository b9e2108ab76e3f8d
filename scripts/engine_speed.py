"""Measures the speed of a network in several engines, for `python scripts/benchmark.py engines MODEL`."""

import argparse
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from litert_speed import PEER, peer
from words import positive

from kgan.errors import UserError
from kgan.export.litert.convert import export_litert
from kgan.export.onnx.convert import convert
from kgan.export.sidecar import Origin
from kgan.inference.loading import load_generator
from kgan.inference.stylist import Stylist, from_noise

Run = Callable[[np.ndarray], np.ndarray]
"""A function from a picture to the stylized picture, both float32 [1, H, W, C] in [0, 1]."""


def contenders(model: str, folder: pathlib.Path, threads: int, only: str | None) -> dict[str, Run]:
    """The model in each engine that is installed, or in one of them, on so many threads."""
    generator, _ = load_generator(model)
    stylist = Stylist(generator, plain=True)
    function, holder = from_noise(stylist), tf.Module()
    holder.weights = stylist.weights
    tf.saved_model.save(holder, str(folder / "model"), signatures={"serving_default": function})
    makers: dict[str, Callable[[], Run]] = {
        "TensorFlow": lambda: lambda image: function(image=tf.constant(image))["stylized"].numpy(),
        "LiteRT, XNNPACK": lambda: _litert(export_litert(generator, folder / "model.tflite"), threads),
        "OpenVINO": lambda: _openvino(folder, threads),
        "onnxruntime": lambda: _onnxruntime(stylist, folder, threads),
    }
    if only is not None and only not in makers:
        raise UserError(f"--memory {only}: no such engine; give one of {', '.join(makers)}")
    runs = {}
    for name, make in makers.items():
        if only is None or only == name:
            try:
                runs[name] = make()
            except (ImportError, UserError) as missing:
                print(f"{name} is left out: {missing}")
    return runs


def _litert(path: pathlib.Path, threads: int) -> Run:
    runner = Interpreter(str(path), num_threads=threads).get_signature_runner("serving_default")
    return lambda image: runner(image=image)["stylized"]


def _openvino(folder: pathlib.Path, threads: int) -> Run:
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    compiled = openvino.Core().compile_model(openvino.convert_model(str(folder / "model")), "CPU", settings)
    return lambda image: next(iter(compiled(image).values()))


def _onnxruntime(stylist: Stylist, folder: pathlib.Path, threads: int) -> Run:
    import onnxruntime

    (folder / "model.onnx").write_bytes(convert(stylist, None, Origin()).SerializeToString())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(["stylized"], {"image": image})[0]


def growth(run: Run, side: int) -> float:
    """By how many bytes a pixel this process (on Linux) grows at its peak, while a picture is restyled."""
    image = np.random.default_rng(0).random((1, side, side, 3), np.float32)
    run(image[:, :64, :64])
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before = _bytes("VmRSS")
    run(image)
    return (_bytes("VmHWM") - before) / side**2


def _bytes(name: str) -> int:
    """A number of the process' memory, as the system tells it."""
    lines = pathlib.Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def measure(runs: dict[str, Run], side: int, windows: int, clock: Callable[[], float]) -> None:
    """Print time and difference to the first engine's picture for each engine. The engines take turns."""
    image = np.random.default_rng(0).random((1, side, side, 3), np.float32)
    made = {name: run(image) for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(windows):
        for name, run in runs.items():
            began = clock()
            run(image)
            seconds[name].append(clock() - began)
    first = next(iter(runs))
    for name, taken in seconds.items():
        faster = statistics.median(a / b for a, b in zip(seconds[first], taken, strict=True))
        apart = "another network" if name == PEER else f"{float(np.abs(made[name] - made[first]).max()):.1e}"
        print(f"{side}x{side}  {name:18} {statistics.median(taken) * 1e3:9.1f} ms  {faster:5.2f}  {apart}", flush=True)


def main(words: list[str]) -> int:
    """Parse the command line, measure and print. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="benchmark.py engines",
        description="Time for one picture in TensorFlow and in other engines, which take turns: processor time of one "
        "thread, elapsed time of several; the speed relative to TensorFlow (median of ratios); and the largest "
        "difference of a pixel in [0, 1]. The network of another package for the same task stands beside them.",
        epilog=f"What is not installed is left out: pip install openvino {PEER} 'kgan[onnx]'",
    )
    parser.add_argument("model", help="a run folder, or a shipped model such as vangogh")
    parser.add_argument("--sizes", type=positive, nargs="+", default=[256, 512], help="sides of the picture")
    parser.add_argument("--threads", type=positive, default=1, help="number of threads (default: 1)")
    parser.add_argument("--memory", metavar="ENGINE", help="measure the memory of this engine instead")
    parser.add_argument("--windows", type=positive, default=6, help="number of turns of each engine (default: 6)")
    options = parser.parse_args(words)
    os.environ.setdefault("OPENVINO_TELEMETRY", "0")
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        runs = contenders(options.model, pathlib.Path(folder), options.threads, options.memory)
        if options.memory:
            side = options.sizes[0]  # one size: an engine keeps memory for the next picture
            for name, run in runs.items():
                print(f"{name}, {side}x{side}: grows by {growth(run, side):.0f} bytes a pixel")
            return 0
        other = peer(options.threads)
        if other:
            runs[PEER] = other
        clock = time.process_time if options.threads == 1 else time.perf_counter
        for side in options.sizes:
            measure(runs, side, options.windows, clock)
    return 0
