"""Reads LiteRT (.tflite) files: their interpreter, their facts, and their signatures for fixed sizes."""

import contextlib
import os
import pathlib
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from kgan import console
from kgan.errors import UserError
from kgan.foreign_json import MOST_JSON
from kgan.inference.facts import parsed_facts
from kgan.inference.stylist import Facts

FREE = "serving_default"
"""Name of the signature that takes any size."""

FACTS = "kgan.json"
"""Name of the facts in the zip archive at the end of the file, where LiteRT stores metadata."""


def read_facts(path: pathlib.Path, interpreter: Interpreter) -> Facts:
    """The facts of a LiteRT file. They are read from its metadata, or else from the shapes of its tensors.

    Args:
        path: the .tflite file.
        interpreter: the interpreter of the file.

    Returns:
        The facts.
    """
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                if FACTS in archive.namelist():
                    with archive.open(FACTS) as file:
                        return parsed_facts(file.read(MOST_JSON + 1), path)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, OSError, EOFError) as error:
            raise UserError(f"{path}: its facts cannot be read ({error})") from None
    runner = interpreter.get_signature_runner(next(iter(interpreter.get_signature_list())))
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    noise_channels = int(inputs["noise"]["shape_signature"][-1]) if "noise" in inputs else 0
    return Facts(int(outputs["stylized"]["shape_signature"][-1]), noise_channels, "image" in inputs)


def open_interpreter(path: str | os.PathLike, **options) -> Interpreter:
    """The LiteRT interpreter of a file. It does not print LiteRT's line about the first use of a delegate.

    Args:
        path: the .tflite file.
        **options: arguments of `Interpreter`.

    Returns:
        The interpreter, with its tensors allocated.

    Raises:
        ValueError: if the file cannot be read, as `Interpreter` does.
    """
    with console.without_chatter():
        made = Interpreter(str(path), **options)
        with contextlib.suppress(RuntimeError):  # the default sizes of the inputs may be too small
            made.allocate_tensors()
    return made


def run_by_size(name: str, runners: dict[str, Callable]) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """A function that runs the signature for the size of its inputs.

    Args:
        name: name of the model in error messages.
        runners: runners by the name of their signature. serving_default takes pictures of any size and number, s256
            takes one picture of 256x256 at a time.

    Returns:
        A function from inputs by name, float32 [N, H, W, ...], to stylized pictures, float32 [N, H, W, C] in [0, 1].
        It raises UserError for sizes without a signature.
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
