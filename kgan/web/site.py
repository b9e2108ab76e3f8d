"""The files of the page: static files, the vendored runtime, the models and their list."""

import json
import pathlib
from collections.abc import Iterable

from kgan import files
from kgan.errors import UserError
from kgan.web.models import PageModel, titles

STATIC = pathlib.Path(__file__).with_name("static")

BUILD = "make web"
"""The command that installs the runtime. It needs a checkout of kgan and npm."""

Site = dict[str, bytes]
"""Contents of files by their paths below the address of the page."""


def check_runtime(static: pathlib.Path = STATIC) -> None:
    """Raise UserError if LiteRT.js is not installed in the folder of the static files."""
    if not (static / "vendor" / "NOTICE").is_file():
        raise UserError(
            f"{static / 'vendor'}: LiteRT.js is not there; run `{BUILD}` in a checkout of kgan, it needs npm"
        )


def build_site(models: Iterable[PageModel], static: pathlib.Path = STATIC) -> Site:
    """Collect all files that the page loads.

    Args:
        models: the models of the page, in its order. It begins with the first.
        static: the folder of the static files.

    Returns:
        The files.

    Raises:
        UserError: if LiteRT.js is not installed in the folder.
    """
    check_runtime(static)
    files = (path for path in static.rglob("*") if path.is_file())
    site = {path.relative_to(static).as_posix(): path.read_bytes() for path in files}
    models = list(models)
    named = zip(models, titles([model.name for model in models]), strict=True)
    listed = [
        {"name": model.name, "title": title, "file": model.file, "signatures": model.signatures}
        for model, title in named
    ]
    site["models.json"] = json.dumps({"models": listed}, indent=2).encode()
    return site | {model.file: model.content for model in models}


def write_site(site: Site, folder: pathlib.Path) -> None:
    """Write the page to a new folder, which any host with HTTPS can serve. No incomplete folder remains after an error.

    Args:
        site: the files.
        folder: a folder that does not exist or is empty.

    Raises:
        UserError: if the folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with files.beside(folder) as partial:
            for name, content in site.items():
                file = partial / "site" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            (partial / "site").rename(folder)  # works if the folder does not exist or is empty
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); name a new folder") from None
