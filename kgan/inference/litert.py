"""Reads LiteRT (.tflite) files: the interpreter, what a file tells of itself, its signatures by size."""

import contextlib
import json
import os
import pathlib
import zipfile
from collections.abc import Callable

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from kgan import console
from kgan.errors import UserError
from kgan.inference.stylist import Facts

FREE = "serving_default"
"""The signature of files that take any size."""

FACTS = "kgan.json"
"""Name in the zip archive that LiteRT's metadata convention allows behind the model's own bytes."""


def read_facts(path: pathlib.Path, interpreter: Interpreter) -> Facts:
    """The facts of a file: those behind it, or without them what its tensors tell."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if FACTS in archive.namelist():
                return Facts(**json.loads(archive.read(FACTS)))
    runner = interpreter.get_signature_runner(next(iter(interpreter.get_signature_list())))
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    noise_channels = int(inputs["noise"]["shape_signature"][-1]) if "noise" in inputs else 0
    return Facts(int(outputs["stylized"]["shape_signature"][-1]), noise_channels, "image" in inputs)


def open_interpreter(path: str | os.PathLike, **options) -> Interpreter:
    """LiteRT's interpreter of a file, without the line by which it tells its first use of a delegate.

    Errors are those of `Interpreter`.
    """
    with console.without_chatter():
        made = Interpreter(str(path), **options)
        with contextlib.suppress(RuntimeError):  # the sizes that it has before a picture comes may be too small
            made.allocate_tensors()
    return made


def run_by_size(name: str, runners: dict[str, Callable]) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """A function from inputs [N, H, W, ...] to stylized pictures, by the signature for their size.

    `runners` by signature: serving_default takes any size and number, `s256` one picture of 256x256 at a time. The
    function raises UserError for other sizes.
    """
    if FREE in runners:
        return lambda inputs: runners[FREE](**inputs)["stylized"]

    def run(inputs):
        count, height, width, _ = next(iter(inputs.values())).shape
        runner = runners.get(f"s{height}")
        if height != width or runner is None:
            sizes = ", ".join(f"{one[1:]}x{one[1:]}" for one in sorted(runners, key=lambda one: int(one[1:])))
            raise UserError(f"{name}: takes pictures of {sizes} alone. Received: {width}x{height}")
        rows = [{key: value[row : row + 1] for key, value in inputs.items()} for row in range(count)]
        return np.concatenate([runner(**row)["stylized"].copy() for row in rows])

    return run
