"""The command `kgan batch`. This module does not import TensorFlow or Apache Beam."""

import importlib
import os
from types import ModuleType

from kgan import console
from kgan.errors import UserError, counted
from kgan.paths import expands_paths


@expands_paths
def command(folders: tuple[str | os.PathLike, ...], model: str | os.PathLike, **options) -> None:
    """Run `batch` for the command line, and print its counters.

    Raises:
        UserError: as `batch`, if Apache Beam is not installed, and if a picture could not be restyled.
    """
    with console.without_chatter():  # TensorFlow and Beam print what no user needs
        run = _imported()
    source, sink = map(str, folders)
    counts = run.batch(source, sink, model, **options)
    console.result(str(counts))
    if counts.failed:
        raise UserError(
            f"{counted(counts.failed, 'picture')} could not be restyled; {sink.rstrip('/')}/failed.jsonl says why. "
            "The others are done"
        )


def _imported() -> ModuleType:
    """The module `kgan.batch.run`. Apache Beam, which it imports, is an optional part of kgan."""
    try:
        import apache_beam  # noqa: F401 - only to see whether it is there
    except ImportError:
        raise UserError("kgan batch needs Apache Beam, which is not installed: pip install 'kgan[batch]'") from None
    return importlib.import_module("kgan.batch.run")
