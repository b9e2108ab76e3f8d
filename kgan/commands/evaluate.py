"""The command `kgan evaluate`."""

import dataclasses
import pathlib
from typing import Annotated

from tyro.conf import Positional, arg

from kgan.commands import Command, Model


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a model: SSIM, FID, KID and others, or the flicker of films. By default on the run's test pictures."""

    model: Positional[Model | None] = None
    """A run folder, a SavedModel folder, a .tflite or .onnx file, or a shipped model such as vangogh
    (docs/models.md)."""
    content: pathlib.Path | None = None
    """Pictures to restyle."""
    truth: pathlib.Path | None = None
    """The pictures that they should become. The same file name means the same scene."""
    style: pathlib.Path | None = None
    """Pictures in the wanted style, for FID, KID and other distances to it. With --truth, they give the scores of
    real pictures."""
    stylized: pathlib.Path | None = None
    """Score the finished pictures of this folder instead of a model's: any program's, with the names of the content."""
    size: int | None = None
    """Resize pictures to this side first. Default: the training size for a run's own pictures, otherwise no resize."""
    crops: int | None = None
    """Score this number of random square crops of each picture instead, for KID with few pictures."""
    baseline: Annotated[str | None, arg(metavar="MODEL|FOLDER")] = None
    """Another model to compare with on the same pictures, such as an earlier run or the teacher, or a folder of
    finished pictures."""
    networks: tuple[str, ...] = ("mobilenet", "vgg16")
    """The feature networks by which sets are compared. mobilenet alone takes a third of the time."""
    output: pathlib.Path | None = None
    """Write the numbers to this JSON file, and beside it an HTML page with the pictures, worst first."""
    fail_under: tuple[str, ...] = ()
    """Exit with status 1 if a metric is below a number, as in: --fail-under content_ssim=0.6."""
    fail_over: tuple[str, ...] = ()
    """Exit with status 1 if a metric is above a number, as in: --fail-over kid_mobilenet=0.1."""
    max_megapixels: float | None = None
    """Largest picture that is read. Default: 400, or 100 if the file is too short for the pixels that it claims."""
    film: tuple[pathlib.Path, ...] = ()
    """Measure the flicker of these films instead, each restyled as `kgan stylize` does and frame by frame. Frames
    larger than --size are reduced to this longer side."""
    moves: pathlib.Path | None = None
    """Measure the flicker of a camera that moves over the photos of this folder, whose optical flow is known. Frames
    are --size pixels wide (default 256)."""
    steady: int = 1
    """For films: average the results of so many shifted copies of each frame, as `kgan stylize --steady`."""
    smooth: float | None = None
    """For films: the part of the frame before that a frame takes up, as `kgan stylize --smooth`. Default: 0.5."""
    start: float | None = None
    """For films: seconds that are left out at the beginning."""
    duration: float | None = None
    """For films: seconds that are measured. Default: the rest."""
    trust: bool = False
    """Open a model that is a program of somebody else (docs/safe.md)."""


COMMAND = Command(
    "evaluate", Evaluate, "kgan.evaluation.evaluate:evaluate", place=40, less_memory=lambda _: "give a smaller --size"
)
