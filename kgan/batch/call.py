"""The command `kgan batch`. This module does not import TensorFlow or Apache Beam."""

import importlib
import os

from kgan import console
from kgan.batch.library import beam
from kgan.errors import UserError, counted
from kgan.files import expands_paths


@expands_paths
def command(folders: tuple[str | os.PathLike, ...], model: str | os.PathLike, **options) -> None:
    """Run `batch` for the command line, and print its counters.

    Raises:
        UserError: as `batch`, and if a picture could not be restyled.
    """
    with console.without_chatter():  # both print what no user needs
        beam()
        run = importlib.import_module("kgan.batch.run")
    source, sink = map(str, folders)
    counts = run.batch(source, sink, model, **options)
    console.result(str(counts))
    if counts.failed:
        raise UserError(
            f"{counted(counts.failed, 'picture')} could not be restyled; {sink.rstrip('/')}/failed.jsonl says why. "
            "The others are done"
        )
