"""One .tflite file for phones' GPUs and browsers: pictures of a few fixed sizes, one set of weights for all of them.

Runtimes that compile a model for a chip want every shape known, and know neither resizing nor shapes that are computed.
So each size has its own signature, named `s256` and so on, and layers take another form first (`fold`).
"""

import contextlib
import io
import os
import pathlib
import tempfile
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from kgan.errors import RunError, UserError
from kgan.export.litert import gates as litert_gates
from kgan.export.litert.convert import TOLERANCE, with_facts
from kgan.inference.litert import open_interpreter
from kgan.inference.stylist import MINIMUM_CELLS, Facts, Stylist
from kgan.paths import expands_paths

SIZES = (256, 384, 512)
"""Sides of the square pictures that a file takes unless others are asked for."""


@expands_paths
def export_fixed(
    generator: keras.Model,
    path: str | os.PathLike,
    sizes: Iterable[int] = SIZES,
    half: bool = True,
    distribution: str = "normal",
    truncation: float = 2.0,
) -> pathlib.Path:
    """Write the generator as one .tflite file with a signature `s<side>` for each of `sizes`; returns the path.

    Inputs are `image` float32 [1, side, side, C] in [0, 1] and `noise` [1, side, side, Nz], those that the model takes;
    the output is `stylized`, like the image. `half` stores the weights in float16. Raises UserError for sizes that
    the generator cannot work at, RunError when the file does not give what Keras gives; it is not written then.
    """
    path, sizes = pathlib.Path(path), checked_sizes(sizes, generator.stride)
    path.parent.mkdir(parents=True, exist_ok=True)
    stylist = Stylist(generator, distribution, truncation)
    content = convert(fixed_functions(stylist, sizes), half)
    litert_gates.check_operations(content, fixed=True)
    litert_gates.check_size(content, litert_gates.kernel_weights(generator), 2 if half else 4)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        partial = pathlib.Path(folder, path.name)
        partial.write_bytes(with_facts(content, stylist.facts))
        _check(stylist, partial, min(sizes))
        partial.replace(path)
    return path


def checked_sizes(sizes: Iterable[int], stride: int) -> tuple[int, ...]:
    """The sizes in order, each once; UserError for those that would have to be padded."""
    sizes = tuple(sorted(set(sizes)))
    least = MINIMUM_CELLS * stride
    if not sizes:
        raise UserError("--sizes: name at least one")
    for size in sizes:
        if size < least or size % stride:
            raise UserError(f"--sizes {size}: should be a multiple of the model's stride {stride}, at least {least}")
    return sizes


def signature_name(size: int) -> str:
    """The signature for pictures of size x size."""
    return f"s{size}"


def folded(generator: keras.Model) -> keras.Model:
    """A float32 copy whose layers infer as files of a fixed size want it: each that has a `fold` was told so."""
    copy = type(generator).from_config({**generator.get_config(), "dtype": "float32"})
    side = MINIMUM_CELLS * generator.stride
    copy(np.zeros((1, side, side, generator.input_channels), np.float32))
    copy.set_weights(generator.get_weights())
    for layer in copy._flatten_layers():
        if hasattr(layer, "fold"):
            layer.fold()
    return copy


def fixed_functions(stylist: Stylist, sizes: Iterable[int]) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """A signature for each size: {"stylized": float32 [1, side, side, C] in [0, 1]} from image and noise."""
    generator = folded(stylist.generator)

    def stylize(image=None, noise=None):
        content = [] if image is None else [image * 2.0 - 1.0]
        parts = content + ([] if noise is None else [noise])
        made = generator(tf.concat(parts, axis=-1) if len(parts) > 1 else parts[0], training=False)
        return {"stylized": tf.clip_by_value(made * 0.5 + 0.5, 0.0, 1.0)}

    functions = {}
    for size in sizes:
        graph = tf.function(stylize, autograph=False)
        functions[signature_name(size)] = graph.get_concrete_function(**_inputs(stylist.facts, size))
        functions[signature_name(size)].owner = generator  # its variables live as long as it does
    return functions


def _inputs(facts: Facts, size: int) -> dict[str, tf.TensorSpec]:
    channels = {"image": facts.channels * facts.takes_content, "noise": facts.noise_channels}
    return {name: tf.TensorSpec((1, size, size, count), tf.float32, name) for name, count in channels.items() if count}


def convert(functions: dict[str, tf.types.experimental.ConcreteFunction], half: bool) -> bytes:
    """The bytes of a LiteRT model with those signatures; equal weights are stored once."""
    holder = tf.Module()  # without an object that holds the variables the converter drops all weights
    holder.variables_of = [function.variables for function in functions.values()]
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):  # it prints folders' names
        tf.saved_model.save(holder, folder, functions, options)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def example_inputs(stylist: Stylist, size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs of one picture: a random image and the noise of a seed, those that the model takes."""
    inputs = {}
    if stylist.facts.takes_content:
        shape = (1, size, size, stylist.facts.channels)
        inputs["image"] = np.random.default_rng(seed).random(shape).astype(np.float32)
    if stylist.facts.noise_channels:
        inputs["noise"] = stylist.noise(seed, 1, size, size).numpy()
    return inputs


def _check(stylist: Stylist, path: pathlib.Path, size: int) -> None:
    """Raise RunError unless the file gives what the stylist gives."""
    inputs = example_inputs(stylist, size)
    made = open_interpreter(path).get_signature_runner(signature_name(size))(**inputs)["stylized"]
    difference = float(np.max(np.abs(made - stylist(**inputs).numpy())))
    if not difference <= TOLERANCE:  # NaN too
        raise RunError(f"{path.name}: the converted model differs from Keras by {difference:.4f}; no file was written")
