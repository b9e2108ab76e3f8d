"""The command `kgan web`."""

import dataclasses
import pathlib

from tyro.conf import Positional

from kgan.commands import Command


@dataclasses.dataclass(frozen=True)
class Web:
    """Serve a page on which a phone or a browser restyles photos by itself: nothing leaves it."""

    models: Positional[tuple[pathlib.Path, ...]] = ()
    """Run folders, .tflite files of fixed sizes, and models that came with kgan (default: vangogh-mobile and
    fluent3d-mobile)."""
    port: int = 8000
    """0: any free one."""
    host: str = "127.0.0.1"
    """Address to listen on. Browsers give the camera and work offline only on 127.0.0.1 or over HTTPS."""
    output: pathlib.Path | None = None
    """Instead: write the page to this new folder, for any host with HTTPS."""


COMMAND = Command("web", Web, "kgan.web.command:web", place=60)
