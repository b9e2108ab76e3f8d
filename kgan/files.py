"""Atomic writing of files and folders.

This module does not import TensorFlow.
"""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

PARTIAL = ".partial"
"""The end of the names of folders with incomplete files. The names begin with a dot, so that no command reads them."""


@contextlib.contextmanager
def beside(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """A context with a new hidden folder beside a file or folder. It is removed at the end with all of its contents.

    A rename from it to the target is atomic, because both are on the same file system.

    Args:
        target: the file or folder.
    """
    # A part of the target's name identifies the folder after the process is killed. The whole name may be too long.
    names = {"prefix": f".{target.name[:32]}-", "suffix": PARTIAL}
    with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True, **names) as folder:
        try:
            yield pathlib.Path(folder)
        except OSError as error:
            if error.errno and not error.filename:  # such as that of a full disk
                error.filename = str(target)
            raise


@contextlib.contextmanager
def whole(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """A context with a path to which a file or a folder is written. At the end, it replaces the target atomically.

    Nothing changes if the block raises an error. The path has the name of the target, in another folder.

    Args:
        target: the file or folder. The folder above it must exist.

    Example:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(pathlib.Path(folder, "a.txt")) as partial:
    ...         _ = partial.write_text("all of it", encoding="utf-8")
    ...     os.listdir(folder)
    ['a.txt']
    """
    with beside(target) as folder:
        partial = folder / target.name
        yield partial
        if partial.is_dir():
            _swap(partial, target, folder / f"{target.name}-previous")
        else:
            os.replace(partial, target)


def _swap(new: pathlib.Path, target: pathlib.Path, previous: pathlib.Path) -> None:
    """Rename `target` to `previous` and `new` to `target`. If that fails, the first rename is undone."""
    if target.exists():
        target.rename(previous)
    try:
        new.rename(target)
    except OSError:
        if previous.exists():
            previous.rename(target)
        raise


def write_text(target: pathlib.Path, text: str) -> None:
    """Write a text file in UTF-8 atomically."""
    with whole(target) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(target: pathlib.Path, content: bytes) -> None:
    """Write a file atomically."""
    with whole(target) as partial:
        partial.write_bytes(content)


def sweep(folder: pathlib.Path, *patterns: str) -> None:
    """Remove incomplete files of processes that were killed. No process may be writing to the folder.

    Args:
        folder: the folder.
        *patterns: glob patterns of further incomplete files and folders.
    """
    for pattern in (f".*{PARTIAL}", *patterns):
        for path in folder.glob(pattern):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
