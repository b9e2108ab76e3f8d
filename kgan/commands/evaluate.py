"""The command `kgan evaluate`."""

import dataclasses
import pathlib
from typing import Annotated

from tyro.conf import Positional, arg

from kgan.commands import Command, Model


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a model: SSIM, PSNR, MSE, FID and KID, with intervals. Without folders: on the run's test pictures."""

    model: Positional[Model]
    """A run folder, a SavedModel folder, a .tflite file, or one that came with kgan, as vangogh (docs/models.md)."""
    content: pathlib.Path | None = None
    """Pictures to restyle."""
    truth: pathlib.Path | None = None
    """What they should become; the same file name is the same scene."""
    style: pathlib.Path | None = None
    """Pictures in the wanted style, for FID and KID; beside --truth, for what real pictures get there."""
    size: int | None = None
    """Score at this size; default: the size of training for a run, else the pictures' own."""
    crops: int | None = None
    """Score this many random square crops of every picture: for KID where pictures are few."""
    baseline: Annotated[str | None, arg(metavar="MODEL")] = None
    """Another model to compare with on the same pictures: an earlier run, or a student's teacher."""
    output: pathlib.Path | None = None
    """Write the numbers to this JSON file, and beside it an HTML page with the pictures, worst first."""
    fail_under: tuple[str, ...] = ()
    """Exit with status 1 when a metric is below a number, as in: --fail-under content_ssim=0.6."""
    fail_over: tuple[str, ...] = ()
    """The same for metrics of which less is better, as in: --fail-over kid_mobilenet=0.1."""
    max_megapixels: float | None = None
    """The largest picture that is read; default: 400, and 100 where a short file claims more than it can hold."""


COMMAND = Command(
    "evaluate", Evaluate, "kgan.evaluation.evaluate:evaluate", place=40, less_memory=lambda _: "give a smaller --size"
)
