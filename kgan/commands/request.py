"""The command `kgan request`."""

import dataclasses
import pathlib

from tyro.conf import Positional

from kgan.commands import Command
from kgan.images.pictures import Format


@dataclasses.dataclass(frozen=True)
class Request:
    """Restyle pictures by a model that TensorFlow Serving serves, on this machine or another."""

    pictures: Positional[tuple[pathlib.Path, ...]]
    """Picture files and folders; "-" is standard input."""
    server: str
    """http://HOST:8501 (REST) or grpc://HOST:8500; https:// and grpcs:// for TLS."""
    name: str
    """The model's name on the server."""
    output: pathlib.Path
    """Folder for the stylized pictures; of one picture also a file, as result.png, or "-" for standard output."""
    version: int | None = None
    """A version of the model; default: the newest."""
    label: str | None = None
    """Or the version that has this label, as in: --label canary."""
    seed: int = 0
    """Seed of the noise, for models that take noise."""
    timeout: float = 60.0
    """Seconds that one picture may take."""
    overwrite: bool = False
    """Replace pictures that are in the output folder already."""
    format: Format | None = None
    """Of all results; default: png, or as --output FILE is called."""
    quality: int | None = None
    """From 1 to 100, of JPEG and of lossy WebP (default 95)."""
    strip_metadata: bool = False
    """Write pixels and colour profiles alone, for publishing: no date, place, name or text of the picture."""
    max_megapixels: float | None = None
    """The largest picture that is read; default: 400, and 100 where a short file claims more than it can hold."""
    skip_existing: bool = False
    """Leave those that are there already, and make the others: after an interruption."""


COMMAND = Command("request", Request, "kgan.serving.request:request", place=70)
