"""The command `kgan export`."""

import dataclasses
import pathlib
from typing import Annotated

from kgan.commands import Command, Model
from kgan.kinds import FORMATS, ONNX, WEIGHTS
from kgan.registry import Choice

_LITERT = (
    "Write .tflite files with this format of weights instead, for fixed sizes (GPUs, browsers) and any size (CPUs). "
    "Each is compared with Keras, and has a JSON file with its facts and test vectors. The option can be repeated. "
    "int8 needs kgan[int8]."
)
_ONNX = (
    "Write .onnx files with this format of weights instead, for pictures of any size, and with --sizes also for fixed "
    "sizes. Each is compared with Keras, and has a JSON file with its facts and test vectors. The option can be "
    "repeated. It needs kgan[onnx]."
)
_FORMAT = "Write this format instead: {choices}. The option can be repeated."


@dataclasses.dataclass(frozen=True)
class Export:
    """Write a run's SavedModel, LiteRT and ONNX files, or with --name a version for TensorFlow Serving."""

    run: Model
    """A run folder, whose newest checkpoint is exported, or a shipped model such as vangogh."""
    output: pathlib.Path | None = None
    """Output folder. Default: the run folder. With --name: the folder of models that the server reads."""
    name: str | None = None
    """Write OUTPUT/NAME/1, or the next free number, and the configuration of the server."""
    litert: Annotated[tuple[str, ...], Choice(WEIGHTS, _LITERT, only=True)] = ()
    onnx: Annotated[tuple[str, ...], Choice(ONNX, _ONNX, only=True)] = ()
    sizes: tuple[int, ...] = ()
    """With --litert or --onnx: a side of the square pictures for files of fixed sizes. The option can be repeated.
    Default: 256, 384 and 512 with --litert, and none with --onnx."""
    licence: str = "not stated"
    """With --litert or --onnx: the licence of the model, for the JSON file."""
    source: str = "not stated"
    """With --litert or --onnx: the origin of the model, for the JSON file."""
    format: Annotated[tuple[str, ...], Choice(FORMATS, _FORMAT, only=True)] = ()
    trust: bool = False
    """Open a model that is a program of somebody else (docs/safe.md)."""


COMMAND = Command("export", Export, "kgan.export.command:export_run", place=50)
