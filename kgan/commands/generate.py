"""The command `kgan generate`."""

import dataclasses
import pathlib

from kgan.commands import Command, Model
from kgan.images.pictures import Format


@dataclasses.dataclass(frozen=True)
class Generate:
    """Generate pictures from noise alone with a model of the recipe synthesis."""

    model: Model
    """A run folder, a SavedModel folder, or a .tflite or .onnx file."""
    output: pathlib.Path
    """Folder for the pictures and their grid. With --count 1 also a file such as result.png, or "-" for standard
    output."""
    count: int = 16
    """Number of pictures."""
    seed: int = 0
    """Seed of the first picture. The next has SEED + 1."""
    size: str | None = None
    """HxW in pixels, as in 128x256. Default: the training size."""
    truncation: float | None = None
    """Bound of the noise in standard deviations. A lower one gives less variety and fewer failures."""
    between: tuple[int, int] | None = None
    """Generate a row of COUNT interpolations between two seeds instead."""
    format: Format | None = None
    """Format of the pictures and the grid. Default: png, or that of --output FILE."""
    quality: int | None = None
    """Quality of JPEG and lossy WebP from 1 to 100 (default 95)."""
    overwrite: bool = False
    """Replace existing pictures in the output folder."""
    skip_existing: bool = False
    """Keep existing pictures and make the others, as after an interruption."""
    trust: bool = False
    """Open a model that is a program of somebody else (docs/safe.md)."""


COMMAND = Command(
    "generate", Generate, "kgan.inference.generate:generate", place=30, less_memory=lambda _: "give a smaller --size"
)
