"""The command `kgan request`."""

import dataclasses
import pathlib

from tyro.conf import Positional

from kgan.commands import Command
from kgan.images.pictures import Format


@dataclasses.dataclass(frozen=True)
class Request:
    """Restyle pictures with a model on TensorFlow Serving, on this machine or another."""

    pictures: Positional[tuple[pathlib.Path, ...]]
    """Picture files and folders; "-" is standard input."""
    server: str
    """http://HOST:8501 (REST) or grpc://HOST:8500; https:// and grpcs:// for TLS."""
    name: str
    """The model's name on the server."""
    output: pathlib.Path
    """Folder for the stylized pictures. For one picture also a file such as result.png, or "-" for standard output."""
    version: int | None = None
    """Version of the model. Default: the newest."""
    label: str | None = None
    """Label of the version instead, as in: --label canary."""
    seed: int = 0
    """Seed of the noise, for models that take noise."""
    timeout: float = 60.0
    """Time limit for one picture in seconds."""
    overwrite: bool = False
    """Replace existing pictures in the output folder."""
    format: Format | None = None
    """Format of the results. Default: png, or that of --output FILE."""
    quality: int | None = None
    """Quality of JPEG and lossy WebP from 1 to 100 (default 95)."""
    strip_metadata: bool = False
    """Write only pixels and colour profiles, for publishing: no date, location, name or text of the picture."""
    max_megapixels: float | None = None
    """Largest picture that is read. Default: 400, or 100 if the file is too short for the pixels that it claims."""
    skip_existing: bool = False
    """Keep existing pictures and make the others, as after an interruption."""


COMMAND = Command("request", Request, "kgan.serving.request:request", place=70)
