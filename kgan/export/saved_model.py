"""Writes the SavedModel folder that TensorFlow Serving loads."""

import dataclasses
import json
import os
import pathlib

import keras
import tensorflow as tf

from kgan import files
from kgan.errors import UserError
from kgan.export.half import HalfStylist
from kgan.export.signatures import MEMORY, Function, signatures
from kgan.inference.operations import GRAPH
from kgan.inference.saved_model import FACTS
from kgan.inference.stylist import Stylist
from kgan.kinds import FORMATS
from kgan.paths import expands_paths
from kgan.runs import trust


@expands_paths
@FORMATS.add("saved_model", help="for TensorFlow and TensorFlow Serving", file="saved_model", usual=True, place=10)
def export_saved_model(
    generator: keras.Model,
    folder: str | os.PathLike,
    distribution: str = "normal",
    truncation: float = 2.0,
    memory: float = MEMORY,
    half: bool = False,
) -> pathlib.Path:
    """Write a generator as a SavedModel with the signatures of `kgan.export.signatures`.

    The SavedModel is written under another name and renamed when it is complete. Then the previous one is removed.

    Args:
        generator: a built generator.
        folder: folder of the SavedModel.
        distribution: distribution of the noise in training: "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations.
        memory: the memory in bytes that one picture of the signature `serving_bytes` may use.
        half: store the weights in float16, which halves the size. Computation stays in float32.

    Returns:
        The folder.

    Raises:
        UserError: if the folder exists and is not a SavedModel.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not (folder / "saved_model.pb").exists():
        raise UserError(f"{folder}: exists and is no SavedModel; give another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    kind = HalfStylist if half else Stylist
    with files.whole(folder) as partial:
        write(kind(generator, distribution, truncation), partial, memory)
    return folder


def write(stylist: Stylist, folder: pathlib.Path, memory: float = MEMORY) -> dict[str, Function]:
    """Write a stylist and its facts to a new folder.

    Args:
        stylist: the stylist.
        folder: a folder that does not exist.
        memory: the memory in bytes that one picture of the signature `serving_bytes` may use.

    Returns:
        The signatures.
    """
    functions = signatures(stylist, memory)
    # The captured variables are sufficient. The Keras model itself would add its training state.
    root = tf.Module()
    root.weights = stylist.weights
    tf.saved_model.save(root, str(folder), signatures=functions)
    trust.remember(folder / GRAPH)
    (folder / FACTS).parent.mkdir(exist_ok=True)
    (folder / FACTS).write_text(json.dumps(dataclasses.asdict(stylist.facts), indent=2) + "\n", encoding="utf-8")
    return functions
