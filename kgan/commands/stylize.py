"""The command `kgan stylize`."""

import dataclasses
import math
import pathlib
from typing import Literal

from tyro.conf import Positional

from kgan import memory
from kgan.commands import Command, Model
from kgan.images.pictures import Format


@dataclasses.dataclass(frozen=True)
class Stylize:
    """Restyle pictures of any size, and films. The results have the same sizes."""

    pictures: Positional[tuple[pathlib.Path, ...]]
    """Picture files, films and folders; "-" is standard input."""
    model: Model
    """A run folder, a SavedModel folder, a .tflite or .onnx file, or a shipped model such as vangogh
    (docs/models.md)."""
    output: pathlib.Path
    """Folder for the stylized pictures and films, which keep their names. For one of them also a file, such as
    result.png, result.mp4 or result.gif. "-" is standard output, for a picture."""
    seed: int = 0
    """Seed of the noise, for models that take noise."""
    variants: int = 1
    """Number of results for each picture, with seeds SEED, SEED + 1, ..."""
    overwrite: bool = False
    """Replace existing pictures in the output folder."""
    skip_existing: bool = False
    """Keep existing pictures and make the others, as after an interruption."""
    strokes: float = 1.0
    """Factor by which strokes become broader. With 2, a picture is restyled at half its size, enlarged and restyled
    again. Use it with painters' models on large pictures."""
    memory: float | None = None
    """Memory in GB for one picture, or for a film with its decoder and encoder. A picture or a frame that needs more is
    restyled in tiles, without seams. Default: 75% of the free memory."""
    exact: bool = False
    """Make the result of tiles equal to that of the whole picture, in several times the time. By default their norms
    use the statistics of a thumbnail."""
    steady: int = 1
    """Average the results of so many shifted copies of each picture or frame, such as 4. Films flicker less, details
    are softer, and it takes so many times as long."""
    smooth: float | None = None
    """The part of the frame before, moved along the optical flow, that a frame of a film takes up, below 1. Films
    flicker less. Default: 0.5. 0 leaves it out."""
    mask: pathlib.Path | None = None
    """Restyle only where this picture is white. Also a folder with a mask of the same name for each picture, and for a
    film a folder with a mask for each frame, or another film."""
    feather: float | None = None
    """Width of the mask's soft edge in percent of the shorter side (default 1). 0 leaves the mask unchanged."""
    strength: float = 1.0
    """From 0, the original picture, to 1, the stylized picture."""
    keep_colour: bool = False
    """Keep the colours of the picture and take only the brushwork."""
    format: Format | None = None
    """Format of all results. Default: that of each picture, lossless if the picture is. A film becomes a folder of
    numbered pictures in this format."""
    quality: int | None = None
    """Quality of JPEG and lossy WebP from 1 to 100 (default 95)."""
    strip_metadata: bool = False
    """Write only pixels and colour profiles, for publishing: no date, location, name or text of the picture."""
    max_megapixels: float | None = None
    """Largest picture that is read. Default: 400, or 100 if the file is too short for the pixels that it claims."""
    film: bool = False
    """Restyle all frames of animated GIF, WebP and PNG files, and a folder of pictures as the frames of one film."""
    start: float | None = None
    """Seconds that are left out at the beginning of a film."""
    duration: float | None = None
    """Seconds of a film that are restyled. Default: the rest."""
    fps: float | None = None
    """Frames a second of a folder of frames. Default: 25."""
    codec: str | None = None
    """Codec of a written film: h264, h265, vp9, av1, prores, ffv1, or FFmpeg's name of an encoder. Default: h264, and
    vp9 in WebM."""
    crf: float | None = None
    """Quality of a written film; less is better and larger. Default: 17 with h264, 20 with h265, 24 with vp9."""
    resume: bool = False
    """Go on with a film after an interruption."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Arithmetic of the network. 16 bits are faster on processors with matrix units for them, and change the result by
    some levels."""
    jit: bool = False
    """Compile the network with XLA for the size of a film's frames. It takes up to half a minute, and makes long films
    faster on a GPU."""
    trust: bool = False
    """Open a model that is a program of somebody else (docs/safe.md)."""


def _less_memory(options: Stylize) -> str:
    half = min(options.memory or math.inf, memory.budget() / 1e9) / 2
    return f"give --memory {half:.2g}, and --skip-existing for what is done"


COMMAND = Command("stylize", Stylize, "kgan.film.call:stylize", place=20, less_memory=_less_memory)
