"""The packaged sample as ordinary files."""

import importlib.resources
import os
import pathlib
import zipfile

from kgan import console
from kgan.errors import UserError
from kgan.paths import expands_paths

PARTS = {"trainA": "half1/flat", "trainB": "half2/3d", "testA": "test/flat", "testB": "test/3d"}
"""Folder of the root layout -> folder in the archive: the two training folders share no glyph."""


def open_archive() -> zipfile.ZipFile:
    """The zip file that the package carries; its NOTICE stands beside it."""
    return zipfile.ZipFile((importlib.resources.files("kgan.data") / "sample.zip").open("rb"))


@expands_paths
def write_sample(folder: str | os.PathLike) -> None:
    """Write the unpaired training pictures and the test pairs below `folder`."""
    count = 0
    with open_archive() as archive:
        for part, inside in PARTS.items():
            target = pathlib.Path(folder) / part
            _make_folder(target, folder)
            for name in (name for name in archive.namelist() if name.startswith(inside + "/")):
                _write(target / pathlib.PurePosixPath(name).name, archive.read(name))
                count += 1
    console.say(f"wrote     {count} pictures to {folder}")


def _write(file: pathlib.Path, content: bytes) -> None:
    """Whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_bytes(content)
    partial.replace(file)


def _make_folder(target: pathlib.Path, asked: str | os.PathLike) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{asked}: cannot be written ({error.strerror}); name another folder") from None
