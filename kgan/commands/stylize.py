"""The command `kgan stylize`."""

import dataclasses
import math
import pathlib

from tyro.conf import Positional

from kgan import memory
from kgan.commands import Command, Model
from kgan.images.pictures import Format


@dataclasses.dataclass(frozen=True)
class Stylize:
    """Restyle pictures: any size in, exactly the same size out."""

    pictures: Positional[tuple[pathlib.Path, ...]]
    """Picture files and folders; "-" is standard input."""
    model: Model
    """A run folder, a SavedModel folder, a .tflite file, or one that came with kgan, as vangogh (docs/models.md)."""
    output: pathlib.Path
    """Folder for the stylized pictures; of one picture also a file, as result.png, or "-" for standard output."""
    seed: int = 0
    """Seed of the noise, for models that take noise."""
    variants: int = 1
    """Pictures per input, with seeds SEED, SEED + 1, ..."""
    overwrite: bool = False
    """Replace pictures that are in the output folder already."""
    skip_existing: bool = False
    """Leave those that are there already, and make the others: after an interruption."""
    strokes: float = 1.0
    """How many times as broad strokes come out: with 2 a picture is restyled at half its size, enlarged, and restyled
    again. For painters' models on large pictures."""
    memory: float | None = None
    """GB that one picture may take; a larger one is restyled smaller and enlarged again. Default: a share of what is
    free, 75%."""
    mask: pathlib.Path | None = None
    """Restyle only where this picture is white; or a folder with a mask of the same name for every picture."""
    feather: float | None = None
    """Width of the mask's soft edge in percent of the shorter side (default 1); 0: as the mask is."""
    strength: float = 1.0
    """From 0, the picture as it is, to 1, all stylized."""
    keep_colour: bool = False
    """Take the brushwork alone and keep the picture's colours."""
    format: Format | None = None
    """Write all results in this format; default: each in that of its picture, lossless where that is."""
    quality: int | None = None
    """From 1 to 100, of JPEG and of lossy WebP (default 95)."""
    strip_metadata: bool = False
    """Write pixels and colour profiles alone, for publishing: no date, place, name or text of the picture."""
    max_megapixels: float | None = None
    """The largest picture that is read; default: 400, and 100 where a short file claims more than it can hold."""


def _less_memory(options: Stylize) -> str:
    half = min(options.memory or math.inf, memory.budget() / 1e9) / 2
    return f"give --memory {half:.2g}, and --skip-existing for what is done"


COMMAND = Command("stylize", Stylize, "kgan.inference.stylize:stylize", place=20, less_memory=_less_memory)
