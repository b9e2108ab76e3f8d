"""The command `kgan compare`."""

import dataclasses
import pathlib
from typing import Annotated

from tyro.conf import Positional, arg

from kgan.commands import Command


@dataclasses.dataclass(frozen=True)
class Compare:
    """Make a page on which people choose between two models without knowing which is which, and count their votes."""

    sides: Positional[Annotated[tuple[str, ...], arg(metavar="MODEL")]]
    """A and B, each a model or a folder of pictures that were restyled before, with the names of the photos. A model is
    a run folder, a SavedModel folder, a .tflite or .onnx file, or a shipped model such as vangogh. With --count: files
    of votes.
    """
    photos: pathlib.Path | None = None
    """Photos to restyle."""
    output: pathlib.Path = pathlib.Path("votes")
    """New folder for the page, which is index.html, and its pictures."""
    size: int | None = None
    """Reduce photos whose longer side is above this number of pixels, before they are restyled. Default: no limit."""
    question: str = "Which result do you prefer?"
    """What the page asks."""
    seed: int = 0
    """Seed of the sides on which A and B are shown, and of the noise, for models that take noise."""
    count: bool = False
    """Print the result of the named files of votes, which voters save on the page."""
    max_megapixels: float | None = None
    """Largest picture that is read. Default: 400, or 100 if the file is too short for the pixels that it claims."""
    trust: bool = False
    """Open a model that is a program of somebody else (docs/safe.md)."""


COMMAND = Command(
    "compare", Compare, "kgan.comparison.command:main", place=45, less_memory=lambda _: "give a smaller --size"
)
