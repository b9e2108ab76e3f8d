"""The command `kgan export`."""

import dataclasses
import pathlib
from typing import Literal

from kgan.commands import Command, Model


@dataclasses.dataclass(frozen=True)
class Export:
    """Write a run's SavedModel and LiteRT files, or with --name a version for TensorFlow Serving."""

    run: Model
    """A run folder, whose newest checkpoint is taken; or a model that came with kgan, as vangogh."""
    output: pathlib.Path | None = None
    """Where to; default: into the run folder. With --name: the folder of models that the server reads."""
    name: str | None = None
    """Write OUTPUT/NAME/1, or the next free number, and beside it the server's configuration."""
    litert: tuple[Literal["float32", "float16", "int8_weights", "int8"], ...] = ()
    """Instead: .tflite files with weights stored like this, of fixed sizes (for GPUs, browsers) and of any size (CPUs),
    each judged against Keras, with a JSON of its facts and test vectors; may be given several times. The int8 ones need
    kgan[int8]."""
    sizes: tuple[int, ...] = ()
    """With --litert: a side of the square pictures that files of fixed sizes take; may be given several times (default:
    256, 384 and 512)."""
    licence: str = "not stated"
    """With --litert: what the JSON says of the model's licence."""
    source: str = "not stated"
    """With --litert: what the JSON says of where the model comes from."""


COMMAND = Command("export", Export, "kgan.export.command:export_run", place=50)
