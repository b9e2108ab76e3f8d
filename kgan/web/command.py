"""`kgan web` serves the page with some models, or writes it to a folder."""

import os
import pathlib
from collections.abc import Sequence

from kgan import console
from kgan.paths import expands_paths
from kgan.runs.models import for_phones, resolve_run
from kgan.runs.trust import takes_trust
from kgan.web.models import read_models
from kgan.web.server import Server
from kgan.web.site import build_site, check_runtime, write_site


@expands_paths
@takes_trust
def web(
    models: Sequence[str | os.PathLike],
    port: int,
    host: str,
    output: str | os.PathLike | None = None,
    trust: bool = False,
) -> None:
    """Serve the page until Ctrl-C, or write it to a folder.

    Args:
        models: .tflite files, run folders or names of shipped models, in the order of the page, which begins with the
            first. If empty, the shipped models for phones (`usual_models`).
        port: TCP port of the server; 0 for any free port.
        host: address of the server.
        output: a new folder to which the page is written instead.
        trust: open a model that is a program of somebody else (`kgan.load`).

    Raises:
        UserError: if the page cannot run a model, the port is in use, or the folder cannot be written.
    """
    check_runtime()  # before models are exported
    site = build_site(read_models(models or usual_models()))
    if output:
        write_site(site, pathlib.Path(output))
        console.say(f"wrote     {output}")
        return
    with Server(site, host, port) as server:
        console.result(f"serving   {server.address} (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.say("")  # ends the line of the ^C that the terminal shows


def usual_models() -> list[str]:
    """The names of the shipped models for phones: those for large pictures, such as photos, first; then by name."""
    return sorted(for_phones(), key=lambda name: -resolve_run(name).run_config.size)
