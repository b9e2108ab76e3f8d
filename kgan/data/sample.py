"""The packaged sample as ordinary files."""

import contextlib
import importlib.resources
import os
import pathlib
import zipfile
from collections.abc import Iterator

from kgan import console, files
from kgan.errors import UserError
from kgan.paths import expands_paths

PARTS = {"trainA": "half1/flat", "trainB": "half2/3d", "testA": "test/flat", "testB": "test/3d"}
"""Maps folders of the written layout to folders of the archive. The two training folders have no glyph in common."""


@contextlib.contextmanager
def open_archive() -> Iterator[zipfile.ZipFile]:
    """A context with the zip file of the package. Its licence is in sample.NOTICE in the same folder.

    Raises:
        UserError: if only kgan-client is installed, which has no sample.
    """
    file = importlib.resources.files("kgan.data") / "sample.zip"
    if not file.is_file():
        raise UserError(f"{file}: the sample is not part of kgan-client: pip install kgan")
    with file.open("rb") as opened, zipfile.ZipFile(opened) as archive:
        yield archive


@expands_paths
def write_sample(folder: str | os.PathLike) -> None:
    """Write the unpaired training pictures and the test pairs of the packaged sample.

    Args:
        folder: the folder in which trainA, trainB, testA and testB are made.

    Raises:
        UserError: if the folders cannot be made, or only kgan-client is installed.
    """
    count = 0
    with open_archive() as archive:
        for part, inside in PARTS.items():
            target = pathlib.Path(folder) / part
            _make_folder(target, folder)
            for name in (name for name in archive.namelist() if name.startswith(inside + "/")):
                files.write_bytes(target / pathlib.PurePosixPath(name).name, archive.read(name))
                count += 1
    console.say(f"wrote     {count} pictures to {folder}")


def _make_folder(target: pathlib.Path, asked: str | os.PathLike) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{asked}: cannot be written ({error.strerror}); name another folder") from None
