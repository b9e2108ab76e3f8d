"""Writes the LiteRT (.tflite) file that phones and browsers run; any height and width."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kgan import console
from kgan.errors import RunError, UserError
from kgan.export.stylist import Facts, Stylist, from_noise
from kgan.paths import expands_paths

FREE = "serving_default"
"""The signature of files that take any size."""

FACTS = "kgan.json"
"""Name in the zip archive that LiteRT's metadata convention allows behind the model's own bytes."""

TOLERANCE = 2.0 / 255.0
"""The largest difference to Keras that a converted file may show."""

CHECKED_SIZE = (37, 51)
"""Height and width of the check: odd, so that padding and cropping are part of it."""


@expands_paths
def export_litert(
    generator: keras.Model,
    path: str | os.PathLike,
    half: bool = False,
    distribution: str = "normal",
    truncation: float = 2.0,
) -> pathlib.Path:
    """Write the generator as one .tflite file: inputs image and noise (those it takes), output stylized.

    `half` stores the weights in float16; arithmetic stays float32. The file is run once at an odd size against
    Keras before it gets its name. Raises RunError when they disagree. Returns the path.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stylist = Stylist(generator, distribution, truncation)
    content = convert(stylist, half)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        partial = pathlib.Path(folder, path.name)
        partial.write_bytes(with_facts(content, stylist.facts))
        _check(stylist, partial)
        partial.replace(path)
    return path


def convert(stylist: Stylist, half: bool = False) -> bytes:
    """The bytes of a LiteRT model with the signature serving_default."""
    # Without an object that holds the variables the converter drops all weights and says nothing.
    holder = tf.Module()
    holder.weights = [variable.value for variable in stylist.generator.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([from_noise(stylist)], trackable_obj=holder)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the path of its own temporary folder
        return converter.convert()


def with_facts(content: bytes, facts: Facts) -> bytes:
    """A model's bytes with a zip archive behind them that holds the facts."""
    buffer = io.BytesIO(content)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(FACTS, json.dumps(dataclasses.asdict(facts)))
    return buffer.getvalue()


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


def _check(stylist: Stylist, path: pathlib.Path) -> None:
    """Raise RunError unless the file gives what the stylist gives."""
    height, width = CHECKED_SIZE
    inputs = {}
    if stylist.facts.takes_content:
        shape = (1, height, width, stylist.facts.channels)
        inputs["image"] = np.random.default_rng(0).random(shape).astype(np.float32)
    if stylist.facts.noise_channels:
        inputs["noise"] = stylist.noise(0, 1, height, width).numpy()
    made = open_interpreter(path).get_signature_runner("serving_default")(**inputs)["stylized"]
    difference = float(np.max(np.abs(made - stylist(**inputs).numpy())))
    if not difference <= TOLERANCE:  # NaN too
        raise RunError(f"{path.name}: the converted model differs from Keras by {difference:.4f}; no file was written")
