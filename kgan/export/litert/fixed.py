"""Writes a LiteRT (.tflite) file for a few fixed sizes that share one set of weights, for GPUs of phones and browsers.

Runtimes that compile a model for a chip need static shapes and do not support resizing. So each size has its own
signature, such as `s256`, and layers are replaced by an equivalent form first (`fold`).
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

from kgan import files
from kgan.errors import UserError
from kgan.export.litert import gates as litert_gates
from kgan.export.litert.convert import with_facts
from kgan.export.reference import check_difference, naming
from kgan.inference.litert import open_interpreter
from kgan.inference.stylist import MINIMUM_CELLS, Facts, Stylist
from kgan.keras_internals import layers_of
from kgan.paths import expands_paths

SIZES = (256, 384, 512)
"""Default sides of the square pictures that a file takes."""


@expands_paths
def export_fixed(
    generator: keras.Model,
    path: str | os.PathLike,
    sizes: Iterable[int] = SIZES,
    half: bool = True,
    distribution: str = "normal",
    truncation: float = 2.0,
) -> pathlib.Path:
    """Write a generator as a .tflite file with a signature `s<side>` for each size.

    The inputs are `image`, float32 [1, side, side, C] in [0, 1], and `noise` [1, side, side, Nz], if the model takes
    them. The output is `stylized`, with the shape and range of the image.

    Args:
        generator: a built generator.
        path: the .tflite file.
        sizes: sides of the square pictures in pixels.
        half: store the weights in float16.
        distribution: distribution of the noise in training: "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations.

    Returns:
        The path.

    Raises:
        UserError: if the generator does not support a size.
        RunError: if the file differs from Keras. It is not written then.
    """
    path, sizes = pathlib.Path(path), checked_sizes(sizes, generator.stride)
    path.parent.mkdir(parents=True, exist_ok=True)
    stylist = Stylist(generator, distribution, truncation)
    content = convert(fixed_functions(stylist, sizes), half)
    litert_gates.check_operations(content, fixed=True)
    litert_gates.check_size(content, litert_gates.kernel_weights(generator), 2 if half else 4)
    with naming(path), files.whole(path) as partial:
        partial.write_bytes(with_facts(content, stylist.facts))
        runner = open_interpreter(partial).get_signature_runner(signature_name(min(sizes)))
        check_difference(stylist, runner, (min(sizes), min(sizes)))
    return path


def checked_sizes(sizes: Iterable[int], stride: int) -> tuple[int, ...]:
    """Sort sizes and remove duplicates.

    Args:
        sizes: sides in pixels.
        stride: stride of the generator.

    Returns:
        The sizes.

    Raises:
        UserError: if there are none, or one is too small or not a multiple of the stride.
    """
    sizes = tuple(sorted(set(sizes)))
    least = MINIMUM_CELLS * stride
    if not sizes:
        raise UserError("--sizes: name at least one")
    for size in sizes:
        if size < least or size % stride:
            raise UserError(f"--sizes {size}: should be a multiple of the model's stride {stride}, at least {least}")
    return sizes


def signature_name(size: int) -> str:
    """The name of the signature for pictures of size x size."""
    return f"s{size}"


def folded(generator: keras.Model) -> keras.Model:
    """A float32 copy of a generator for inference at fixed sizes: `fold()` was called on all layers that have it."""
    copy = type(generator).from_config({**generator.get_config(), "dtype": "float32"})
    side = MINIMUM_CELLS * generator.stride
    copy(np.zeros((1, side, side, generator.input_channels), np.float32))
    copy.set_weights(generator.get_weights())
    for layer in layers_of(copy):
        if hasattr(layer, "fold"):
            layer.fold()
    return copy


def fixed_functions(stylist: Stylist, sizes: Iterable[int]) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """Trace a signature for each size.

    Args:
        stylist: the stylist.
        sizes: sides in pixels.

    Returns:
        Concrete functions by the name of the signature. They return {"stylized": float32 [1, side, side, C] in [0, 1]}.
    """
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
        functions[signature_name(size)].owner = generator  # the variables exist as long as this object
    return functions


def _inputs(facts: Facts, size: int) -> dict[str, tf.TensorSpec]:
    channels = {"image": facts.channels * facts.takes_content, "noise": facts.noise_channels}
    return {name: tf.TensorSpec((1, size, size, count), tf.float32, name) for name, count in channels.items() if count}


def convert(functions: dict[str, tf.types.experimental.ConcreteFunction], half: bool) -> bytes:
    """Convert functions to a LiteRT model, in which equal weights are stored once.

    Args:
        functions: concrete functions by the name of the signature.
        half: store the weights in float16.

    Returns:
        The bytes of the .tflite file.
    """
    holder = tf.Module()  # without an object that holds the variables, the converter drops all weights
    holder.variables_of = [function.variables for function in functions.values()]
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):  # it prints names of folders
        tf.saved_model.save(holder, folder, functions, options)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
