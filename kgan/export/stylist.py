"""One call that writes a generator for servers and phones."""

import os
import pathlib

import keras

from kgan.export.litert.convert import export_litert
from kgan.export.saved_model import export_saved_model


def export_stylist(
    generator: keras.Model,
    path: str | os.PathLike,
    distribution: str = "normal",
    truncation: float = 2.0,
    litert: bool = True,
) -> pathlib.Path:
    """Write a generator as `path`/saved_model and, with `litert`, `path`/model.tflite.

    Args:
        generator: built; see `kgan.export.Stylist`.
        path: a folder, which is made.
        distribution: distribution of the noise in training, "normal", "uniform" or "truncated".
        truncation: bound of truncated noise in standard deviations, above 0.
        litert: whether to write the LiteRT file too.

    Returns:
        The folder. `kgan.load(folder / "saved_model")` and `kgan.load(folder / "model.tflite")` read it.
    """
    folder = pathlib.Path(path).expanduser()
    export_saved_model(generator, folder / "saved_model", distribution, truncation)
    if litert:
        export_litert(generator, folder / "model.tflite", distribution=distribution, truncation=truncation)
    return folder
