"""Folders of a model's versions, as TensorFlow Serving watches them: NAME/1, NAME/2, ... ."""

import contextlib
import errno
import fcntl
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator

from kgan.errors import RunError, UserError

NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
"""Names that are folders, metrics and Kubernetes' objects at once."""

PARTIAL = ".partial-"
"""How folders begin that are being written."""


def check_name(name: str) -> None:
    """UserError for a name that would not do everywhere."""
    if not NAME.fullmatch(name):
        raise UserError(
            f"--name {name}: should be at most 40 small letters, digits and hyphens, a letter first, as in stylist"
        )


def versions(model: pathlib.Path) -> list[int]:
    """The versions in a model's folder, rising; other names in it are none."""
    if not model.is_dir():
        return []
    return sorted(int(path.name) for path in model.iterdir() if path.name.isascii() and path.name.isdecimal())


def models(root: pathlib.Path) -> dict[str, list[int]]:
    """Every model in the folder that a server reads, by name, with its versions."""
    found = {path.name: versions(path) for path in sorted(root.iterdir()) if NAME.fullmatch(path.name)}
    return {name: numbers for name, numbers in found.items() if numbers}


def add_version(model: pathlib.Path, write: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Let `write` fill a new folder, and give it the next free number when it is whole. Returns the version's folder.

    Until then it lies beside under a name that no server takes for a version. Of two at a time each gets a number of
    its own. What an export left that was killed goes with the next one. Raises RunError when the folder cannot be
    written.
    """
    with contextlib.ExitStack() as stack:
        try:
            model.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_writing(model))
            partial = pathlib.Path(tempfile.mkdtemp(dir=model, prefix=PARTIAL))
        except OSError as error:
            raise RunError(f"{model}: cannot be written ({error.strerror})") from None
        stack.callback(shutil.rmtree, partial, ignore_errors=True)
        write(partial / "new")
        return _numbered(partial / "new", model)


@contextlib.contextmanager
def _writing(model: pathlib.Path) -> Iterator[None]:
    """Hold the folder together with all who write there; who comes when nobody does sweeps it first."""
    folder = os.open(model, os.O_RDONLY)
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in model.glob(f"{PARTIAL}*"):
                shutil.rmtree(left, ignore_errors=True)
        fcntl.flock(folder, fcntl.LOCK_SH)
        yield
    finally:
        os.close(folder)


def _numbered(folder: pathlib.Path, model: pathlib.Path) -> pathlib.Path:
    while True:
        target = model / str(max(versions(model), default=0) + 1)
        try:
            os.rename(folder, target)  # fails where a folder with content is
            return target
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
