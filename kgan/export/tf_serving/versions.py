"""The folders of a model's versions for TensorFlow Serving: NAME/1, NAME/2 and so on."""

import contextlib
import errno
import os
import pathlib
import re
from collections.abc import Callable

from kgan import files, locks
from kgan.errors import RunError, UserError

NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
"""Names that are valid for folders, metrics and Kubernetes objects."""

FORMERLY_PARTIAL = ".partial-*"
"""What earlier releases called folders that are not complete yet."""


def check_name(name: str) -> None:
    """Raise UserError for a name that is not valid for folders, metrics and Kubernetes objects."""
    if not NAME.fullmatch(name):
        raise UserError(
            f"--name {name}: should be at most 40 small letters, digits and hyphens, a letter first, as in stylist"
        )


def versions(model: pathlib.Path) -> list[int]:
    """The versions in a model's folder, in ascending order. Other names are ignored."""
    if not model.is_dir():
        return []
    return sorted(int(path.name) for path in model.iterdir() if path.name.isascii() and path.name.isdecimal())


def models(root: pathlib.Path) -> dict[str, list[int]]:
    """The versions of each model in a folder, by the name of the model."""
    found = {path.name: versions(path) for path in sorted(root.iterdir()) if NAME.fullmatch(path.name)}
    return {name: numbers for name, numbers in found.items() if numbers}


def add_version(model: pathlib.Path, write: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Write a new version of a model.

    The folder gets the next free number when it is complete. Until then it has a name that no server reads as a
    version. Two exports at the same time get different numbers. Incomplete folders of an export that was killed are
    removed by the next export.

    Args:
        model: folder of the model.
        write: a function that writes the version to a folder.

    Returns:
        The folder of the version.

    Raises:
        RunError: if the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            model.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locks.shared(model, alone=lambda: files.sweep(model, FORMERLY_PARTIAL)))
            partial = stack.enter_context(files.beside(model / "version"))
        except OSError as error:
            raise RunError(f"{model}: cannot be written ({error.strerror})") from None
        write(partial / "new")
        return _numbered(partial / "new", model)


def _numbered(folder: pathlib.Path, model: pathlib.Path) -> pathlib.Path:
    while True:
        target = model / str(max(versions(model), default=0) + 1)
        try:
            os.rename(folder, target)  # fails if the target exists and is not empty
            return target
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
