"""The command `kgan batch`."""

import dataclasses
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from kgan.commands import Command, Model
from kgan.images.pictures import Format


@dataclasses.dataclass(frozen=True)
class Batch:
    """Restyle millions of pictures, here or on a cluster, with Apache Beam. The same command goes on after a kill."""

    folders: Positional[Annotated[tuple[str, str], arg(metavar="SOURCE SINK")]]
    """The folder of the pictures, and the folder for the results, which keep their names and subfolders. Each is a path
    or a URL such as gs://BUCKET/FOLDER."""
    model: Model
    """A run folder, a SavedModel folder, a .tflite or .onnx file, the URL of such a folder, or a shipped model."""
    runner: Literal["direct", "dataflow", "flink", "spark"] = "direct"
    """Where the pipeline runs: in this process, or on one of Apache Beam's engines."""
    runner_option: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE")] = ()
    """An option of Apache Beam or its runner, as in --runner-option region=europe-west1. May be given several times."""
    batch_size: int = 16
    """Number of pictures of equal size that go through the network together, at most. Together they have at most one
    megapixel; larger pictures go alone."""
    seed: int = 0
    """Seed of the noise, for models that take noise."""
    strokes: float = 1.0
    """Factor by which strokes become broader."""
    strength: float = 1.0
    """From 0, the original picture, to 1, the stylized picture."""
    keep_colour: bool = False
    """Keep the colours of the pictures and take only the brushwork."""
    memory: float | None = None
    """Memory in GB that a process may use for one batch. A picture that needs more is restyled in tiles. Default: 75%
    of the free memory."""
    format: Format | None = None
    """Format of all results. Default: that of each picture, lossless if the picture is."""
    quality: int | None = None
    """Quality of JPEG and lossy WebP from 1 to 100 (default 95)."""
    strip_metadata: bool = False
    """Write only pixels and colour profiles: no date, location, name or text of the picture."""
    max_megapixels: float | None = None
    """Largest picture that is read. Default: 400, or 100 if the file is too short for the pixels that it claims."""
    trust: bool = False
    """Open a model that is a program of somebody else (docs/safe.md)."""


COMMAND = Command(
    "batch", Batch, "kgan.batch.call:command", place=25, less_memory=lambda _: "give --memory, and the command again"
)
