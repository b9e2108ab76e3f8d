"""The command `kgan web`."""

import dataclasses
import pathlib
from typing import Annotated

from tyro.conf import Positional, arg

from kgan.commands import Command


@dataclasses.dataclass(frozen=True)
class Web:
    """Serve a page that restyles photos in the browser of a phone or computer. No photo leaves the device."""

    models: Positional[Annotated[tuple[str, ...], arg(metavar="MODEL")]] = ()
    """Run folders, .tflite files, hf://OWNER/NAME and shipped models in the order shown (default: for phones)."""
    port: int = 8000
    """TCP port; 0 for any free port."""
    host: str = "127.0.0.1"
    """Address of the server. Browsers allow the camera and offline use only on 127.0.0.1 or over HTTPS."""
    output: pathlib.Path | None = None
    """Write the page to this new folder instead, for any host with HTTPS."""
    trust: bool = False
    """Open a model that is a program of somebody else (docs/safe.md)."""


COMMAND = Command("web", Web, "kgan.web.command:web", place=60)
