"""Writes the SavedModel folder that TensorFlow Serving loads."""

import dataclasses
import json
import os
import pathlib
import shutil
import tempfile

import keras
import tensorflow as tf

from kgan.errors import UserError
from kgan.export.half import HalfStylist
from kgan.export.signatures import MEMORY, Function, signatures
from kgan.inference.saved_model import FACTS
from kgan.inference.stylist import Stylist
from kgan.paths import expands_paths


@expands_paths
def export_saved_model(
    generator: keras.Model,
    folder: str | os.PathLike,
    distribution: str = "normal",
    truncation: float = 2.0,
    memory: float = MEMORY,
    half: bool = False,
) -> pathlib.Path:
    """Write the generator as a SavedModel with the signatures of `kgan.export.signatures`; `memory` in bytes is theirs.

    `half` stores the weights in float16, which halves the folder; arithmetic stays float32.
    It is written beside `folder` and renamed when whole; only then is a former one removed. Returns the folder.
    Raises UserError when `folder` is there and is no SavedModel.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not (folder / "saved_model.pb").exists():
        raise UserError(f"{folder}: exists and is no SavedModel; give another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = pathlib.Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        kind = HalfStylist if half else Stylist
        write(kind(generator, distribution, truncation), partial / "new", memory)
        _swap(partial / "new", folder, partial / "former")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _swap(new: pathlib.Path, folder: pathlib.Path, former: pathlib.Path) -> None:
    """Put `new` in the place of `folder`; what was there goes to `former`, or back when that fails."""
    if folder.exists():
        folder.rename(former)
    try:
        new.rename(folder)
    except OSError:
        if former.exists():
            former.rename(folder)
        raise


def write(stylist: Stylist, folder: pathlib.Path, memory: float = MEMORY) -> dict[str, Function]:
    """Write a stylist to a new folder, its facts beside it; returns its signatures."""
    functions = signatures(stylist, memory)
    # The functions' captures are all that is needed: saving the Keras model itself would add its training state.
    root = tf.Module()
    root.weights = stylist.weights
    tf.saved_model.save(root, str(folder), signatures=functions)
    (folder / FACTS).parent.mkdir(exist_ok=True)
    (folder / FACTS).write_text(json.dumps(dataclasses.asdict(stylist.facts), indent=2) + "\n", encoding="utf-8")
    return functions
