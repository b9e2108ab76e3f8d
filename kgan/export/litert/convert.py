"""Writes a LiteRT (.tflite) file for pictures of any size."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import zipfile

import keras
import tensorflow as tf

from kgan import files
from kgan.export.reference import check_difference, naming
from kgan.inference.litert import FACTS, FREE, open_interpreter
from kgan.inference.stylist import Facts, Stylist, from_noise
from kgan.kinds import FORMATS
from kgan.paths import expands_paths


@expands_paths
@FORMATS.add("litert", help="one .tflite file for any size, float32", file="model.tflite", usual=True, place=20)
def export_litert(
    generator: keras.Model,
    path: str | os.PathLike,
    half: bool = False,
    distribution: str = "normal",
    truncation: float = 2.0,
) -> pathlib.Path:
    """Write a generator as a .tflite file with the inputs image and noise, if it takes them, and the output stylized.

    The file is compared with Keras at an odd size before it gets its name.

    Args:
        generator: a built generator.
        path: the .tflite file.
        half: store the weights in float16. Computation stays in float32.
        distribution: distribution of the noise in training: "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations.

    Returns:
        The path.

    Raises:
        RunError: if the file differs from Keras.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stylist = Stylist(generator, distribution, truncation, plain=True)
    content = convert(stylist, half)
    with naming(path), files.whole(path) as partial:
        partial.write_bytes(with_facts(content, stylist.facts))
        check_difference(stylist, open_interpreter(partial).get_signature_runner(FREE))
    return path


@FORMATS.add("litert_float16", help="weights in float16", file="model_float16.tflite", usual=True, place=30)
def export_litert_half(generator: keras.Model, path: str | os.PathLike, **noise) -> pathlib.Path:
    """`export_litert` with weights in float16."""
    return export_litert(generator, path, half=True, **noise)


def convert(stylist: Stylist, half: bool = False) -> bytes:
    """Convert a stylist to a LiteRT model with the signature serving_default.

    Args:
        stylist: a plain stylist, whose graph has no more operations than the network needs.
        half: store the weights in float16.

    Returns:
        The bytes of the .tflite file.
    """
    # Without an object that holds the variables, the converter drops all weights without an error.
    holder = tf.Module()
    holder.weights = [variable.value for variable in stylist.generator.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([from_noise(stylist)], trackable_obj=holder)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the path of its own temporary folder
        return converter.convert()


def with_facts(content: bytes, facts: Facts) -> bytes:
    """Append a zip archive with the facts to the bytes of a .tflite file."""
    buffer = io.BytesIO(content)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(FACTS, json.dumps(dataclasses.asdict(facts)))
    return buffer.getvalue()
