"""Writes the weights of a generator as numbers alone, for sharing a model that needs no trust."""

import os
import pathlib

import keras

from kgan import files
from kgan.inference.weights import write_weights
from kgan.kinds import FORMATS
from kgan.paths import expands_paths


@expands_paths
@FORMATS.add(
    "safetensors", help="the weights alone, for config.json", file="model.safetensors", place=5,
    needs_config=True,
)  # fmt: skip
def export_weights(generator: keras.Model, path: str | os.PathLike, half: bool = False, **noise) -> pathlib.Path:
    """Write the weights of a generator as a safetensors file, which holds numbers and nothing that can run.

    With the run's config.json beside it, `kgan.load` reads it.

    Args:
        generator: a built generator.
        path: the file, usually named model.safetensors.
        half: store the weights in float16. Computation stays in float32.
        **noise: not used; the noise of the training is in config.json.

    Returns:
        The path.

    Raises:
        RunError: if a weight is not finite, or too large for float16.

    Reference: [safetensors](https://huggingface.co/docs/safetensors).
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(path) as partial:
        write_weights(generator, partial, "float16" if half else "float32")
    return path


@FORMATS.add("safetensors_float16", help="the same in float16", file="model.safetensors", place=6, needs_config=True)
def export_weights_half(generator: keras.Model, path: str | os.PathLike, **noise) -> pathlib.Path:
    """`export_weights` in float16."""
    return export_weights(generator, path, half=True, **noise)
