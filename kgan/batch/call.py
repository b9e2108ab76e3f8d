"""The command `kgan batch`. This module does not import TensorFlow or Apache Beam."""

import importlib

from kgan import console
from kgan.batch.library import beam
from kgan.errors import UserError, counted


def command(folders: tuple[str, str], **options) -> None:
    """Run `batch` for the command line, and print its counters.

    Raises:
        UserError: as `batch`, and if a picture could not be restyled.
    """
    with console.without_chatter():  # both print what no user needs
        beam()
        run = importlib.import_module("kgan.batch.run")
    source, sink = folders
    counts = run.batch(source, sink, **options)
    console.result(str(counts))
    if counts.failed:
        raise UserError(
            f"{counted(counts.failed, 'picture')} could not be restyled; {sink.rstrip('/')}/failed.jsonl says why. "
            "The others are done"
        )
