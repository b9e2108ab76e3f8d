"""`kgan web`: the page with some models, served here or written to a folder."""

import os
import pathlib
from collections.abc import Sequence

from kgan import console
from kgan.paths import expands_paths
from kgan.runs.models import for_phones
from kgan.web.models import read_models
from kgan.web.server import Server
from kgan.web.site import build_site, write_site


@expands_paths
def web(models: Sequence[str | os.PathLike], port: int, host: str, output: str | os.PathLike | None = None) -> None:
    """Serve the page until Ctrl-C, or write it to `output`; UserError for models it cannot run, a taken port ...

    Without models: with those that came with kgan and are made for phones.
    """
    site = build_site(read_models(models or for_phones()))
    if output:
        write_site(site, pathlib.Path(output))
        console.say(f"wrote     {output}")
        return
    with Server(site, host, port) as server:
        console.result(f"serving   {server.address} (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.say("")  # behind the ^C that the terminal shows
