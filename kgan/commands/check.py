"""The command `kgan check`."""

import dataclasses
import pathlib

from tyro.conf import Positional

from kgan.commands import Command


@dataclasses.dataclass(frozen=True)
class Check:
    """List every file in folders of pictures that cannot be used, with the reason."""

    paths: Positional[tuple[pathlib.Path, ...]]
    """Folders, searched at any depth, and files."""
    max_megapixels: float | None = None
    """Largest picture that is read. Default: 400, or 100 if the file is too short for the pixels that it claims."""


COMMAND = Command("check", Check, "kgan.data.check:main", place=90)
