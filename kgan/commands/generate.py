"""The command `kgan generate`."""

import dataclasses
import pathlib

from kgan.commands import Command, Model
from kgan.images.pictures import Format


@dataclasses.dataclass(frozen=True)
class Generate:
    """Make pictures from noise alone, with a model of the recipe synthesis."""

    model: Model
    """A run folder or a SavedModel folder."""
    output: pathlib.Path
    """Folder for the pictures and their grid; with --count 1 also a file, as result.png, or "-", standard output."""
    count: int = 16
    """How many."""
    seed: int = 0
    """The first picture's seed; the next has SEED + 1."""
    size: str | None = None
    """HxW in pixels, as in 128x256; default: the size of training."""
    truncation: float | None = None
    """Cut the noise off at this many standard deviations: less variety, fewer failures."""
    between: tuple[int, int] | None = None
    """Instead: a row of COUNT pictures from one seed to another."""
    format: Format | None = None
    """Of the pictures and the grid; default: png, or as --output FILE is called."""
    quality: int | None = None
    """From 1 to 100, of JPEG and of lossy WebP (default 95)."""
    overwrite: bool = False
    """Replace pictures that are in the output folder already."""
    skip_existing: bool = False
    """Leave those that are there already, and make the others: after an interruption."""


COMMAND = Command(
    "generate", Generate, "kgan.inference.generate:generate", place=30, less_memory=lambda _: "give a smaller --size"
)
