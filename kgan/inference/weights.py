"""Reads and writes weights as numbers alone: model.safetensors beside config.json. Nothing in such a folder can run.

A tensor has the name of the variable in the generator, such as "block_1/first/convolution/kernel", in the layout of
Keras, in float32 or float16. The settings in config.json rebuild the network.
"""

import math
import pathlib
import random

import keras
import numpy as np
import tensorflow as tf

import kgan
from kgan.assembly import build_generator
from kgan.errors import RunError, UserError, counted, is_or_are, some
from kgan.foreign_json import MOST_JSON, parsed_json
from kgan.runs.settings import TrainConfig

MOST_WEIGHTS = 2**27
"""The largest number of weights of a generator that settings from a file may describe. kgan's have 10 million."""

DTYPES = ("F32", "F16")
"""The types of numbers in a file, as safetensors calls them."""


def named_variables(generator: keras.Model) -> dict[str, keras.Variable]:
    """The variables of a generator by their names in files.

    Args:
        generator: a built generator.

    Returns:
        The variables.

    Raises:
        UserError: if two variables have the same name.
    """
    named = {variable.path.partition("/")[2] or variable.path: variable for variable in generator.variables}
    if len(named) < len(generator.variables):
        raise UserError(f"{generator.name}: two of its variables have the same name; name its layers")
    return named


def write_weights(generator: keras.Model, path: pathlib.Path, dtype: str) -> None:
    """Write the weights of a generator.

    Args:
        generator: a built generator.
        path: the file.
        dtype: "float32" or "float16".

    Raises:
        RunError: if a weight is not finite, or becomes so in float16.
    """
    with np.errstate(over="ignore"):  # checked below
        tensors = {
            name: keras.ops.convert_to_numpy(variable).astype(dtype)
            for name, variable in named_variables(generator).items()
        }
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise RunError(f"{path.name}: {name} is NaN, infinite or too large for {dtype}; no file was written")
    from safetensors.numpy import save

    # `save_file` would make a file that nobody else may read.
    path.write_bytes(save(tensors, {"kgan": kgan.__version__, "layout": "Keras"}))


def read_generator(path: pathlib.Path, config: TrainConfig) -> keras.Model:
    """Make the generator of a run and give it the weights of a file.

    Args:
        path: the file.
        config: the settings of the run. Code that they name must be trusted already.

    Returns:
        The generator.

    Raises:
        UserError: if the file is broken, contains anything but the finite weights of this generator, or the settings
            describe no generator.
    """
    expected = {name: tuple(variable.shape) for name, variable in named_variables(outline(config, path)).items()}
    tensors = _read(path, expected)
    generator = build_generator(config)
    for name, variable in named_variables(generator).items():
        variable.assign(tensors[name].astype(variable.dtype))
    return generator


def outline(config: TrainConfig, file: pathlib.Path) -> keras.Model:
    """The generator that settings describe, without memory for its weights.

    Args:
        config: the settings.
        file: where they were read, for messages.

    Returns:
        The generator, whose variables have shapes and no values.

    Raises:
        UserError: if the settings describe no generator, or one that is too large.
    """
    where, state = file.with_name("config.json"), random.getstate()
    try:
        with tf.Graph().as_default():  # which makes no values
            generator = build_generator(config)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except (TypeError, ValueError, ArithmeticError, OSError) as error:  # whatever odd settings lead to
        raise UserError(f"{where}: describes no network ({str(error).splitlines()[0]})") from None
    finally:
        random.setstate(state)  # Keras draws seeds from it, and those of a training should not depend on this look
    count = sum(math.prod(variable.shape) for variable in generator.variables)
    if count > MOST_WEIGHTS:
        raise UserError(f"{where}: describes a network of {count:,} weights; at most {MOST_WEIGHTS:,} are read")
    return generator


def _read(path: pathlib.Path, expected: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The tensors of a file by name. They are read after names, types and shapes were compared with those expected."""
    from safetensors import SafetensorError, safe_open

    try:
        _check_header(path)
        with safe_open(path, framework="np") as file:
            _check_names(path, set(file.keys()), set(expected))
            for name, shape in expected.items():
                part = file.get_slice(name)
                if part.get_dtype() not in DTYPES or tuple(part.get_shape()) != shape:
                    found = f"{part.get_dtype()} {part.get_shape()}"
                    raise UserError(
                        f"{path}: {name} is {found}; its config.json needs {' or '.join(DTYPES)} {[*shape]}"
                    )
            tensors = {name: file.get_tensor(name) for name in expected}
    except (SafetensorError, OSError, ValueError, MemoryError) as error:
        if isinstance(error, UserError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: cannot be read as a safetensors file ({reason})") from None
    bad = [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]
    if bad:
        raise UserError(f"{path}: {bad[0]} is NaN or infinite")
    return tensors


def _check_header(path: pathlib.Path) -> None:
    """Check what safetensors does not: the length of the header, and that no name is in it twice."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MOST_JSON:
            raise ValueError(f"its header claims {length} bytes; at most {MOST_JSON} are read")
        parsed_json(file.read(length))


def _check_names(path: pathlib.Path, found: set[str], expected: set[str]) -> None:
    for names, what in ((expected - found, "missing"), (found - expected, "not in its network")):
        if names:
            listed = some(sorted(names), 3)
            raise UserError(
                f"{path}: {counted(len(names), 'tensor')} {is_or_are(len(names))} {what}: {listed}. "
                "config.json and model.safetensors should be of one run"
            )
