"""The page as files: its own, the vendored runtime, the models and their list."""

import json
import pathlib
import tempfile
from collections.abc import Iterable

from kgan.errors import UserError
from kgan.web.models import PageModel

STATIC = pathlib.Path(__file__).with_name("static")

BUILD = "make web"
"""The command that gets the runtime; it needs a checkout and npm."""

Site = dict[str, bytes]
"""Path below the page's address -> content."""


def build_site(models: Iterable[PageModel], static: pathlib.Path = STATIC) -> Site:
    """Everything that the page loads. UserError when LiteRT.js was not built in."""
    if not (static / "vendor" / "NOTICE").is_file():
        raise UserError(
            f"{static / 'vendor'}: LiteRT.js is not there; run `{BUILD}` in a checkout of kgan, it needs npm"
        )
    files = (path for path in static.rglob("*") if path.is_file())
    site = {path.relative_to(static).as_posix(): path.read_bytes() for path in files}
    models = list(models)
    listed = [
        {"name": model.name, "title": model.title, "file": model.file, "signatures": model.signatures}
        for model in models
    ]
    site["models.json"] = json.dumps({"models": listed}, indent=2).encode()
    return site | {model.file: model.content for model in models}


def write_site(site: Site, folder: pathlib.Path) -> None:
    """Write the page to a new folder, for any host with HTTPS: all of it or nothing. UserError when it cannot be."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as partial:
            for name, content in site.items():
                file = pathlib.Path(partial, "site", name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            pathlib.Path(partial, "site").rename(folder)  # onto nothing, or an empty folder
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); name a new folder") from None
