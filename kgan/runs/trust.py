"""Whose programs kgan runs. A SavedModel is a program, and so is a config.json that names a part of another package.

kgan runs what came with it, and what it wrote itself for this user. It recognizes the latter by a checksum, which it
notes when it writes such a file (`remember`). All others need `--trust`. This module does not import TensorFlow.
"""

import contextlib
import errno
import functools
import hashlib
import inspect
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from kgan.errors import UserError
from kgan.kinds import ADVERSARIAL, DISCRIMINATORS, FEATURES, GENERATORS, REGULARIZERS, TERMS
from kgan.recipes import RECIPES
from kgan.registry import Registry
from kgan.runs.settings import TrainConfig
from kgan.runs.shipped import FOLDER

P = ParamSpec("P")
R = TypeVar("R")

TABLES: dict[str, Registry[Any]] = {
    "recipe": RECIPES,
    "generator": GENERATORS,
    "discriminator": DISCRIMINATORS,
    "adversarial": ADVERSARIAL,
    "regularizer_network": REGULARIZERS,
    "features": FEATURES,
    "discriminator_features": FEATURES,
}
"""Settings that name parts, separated by commas, and their tables."""

_trusted = False
_own: set[str] = set()
"""Checksums of what this process wrote, for users whose home folder cannot be written."""


# --- what the user trusts ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def trusting(given: bool = True) -> Iterator[None]:
    """A context in which all programs are trusted, if `given`."""
    global _trusted
    before, _trusted = _trusted, _trusted or given
    try:
        yield
    finally:
        _trusted = before


def is_trusting() -> bool:
    """Whether all programs are trusted at the moment."""
    return _trusted


def takes_trust(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that its argument `trust` holds for every model that is opened inside."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        with trusting(bool(signature.bind(*args, **kwargs).arguments.get("trust"))):
            return function(*args, **kwargs)

    return called


# --- what kgan wrote --------------------------------------------------------------------------------------------------


def notes() -> pathlib.Path:
    """The file with a checksum of each program that kgan wrote for this user, one a line.

    Raises:
        FileNotFoundError: if this user has no home folder.
    """
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    if not os.path.isabs(state):
        raise FileNotFoundError(errno.ENOENT, "no home folder", state)
    return pathlib.Path(state, "kgan", "written.txt")


def remember(file: pathlib.Path) -> None:
    """Note that kgan wrote a file, so that it is opened without --trust, wherever it is moved."""
    if is_own(file):
        return
    line = _checksum(file)
    _own.add(line)
    with contextlib.suppress(OSError):  # a home folder that cannot be written
        notes().parent.mkdir(parents=True, exist_ok=True)
        with notes().open("a", encoding="ascii") as opened:
            opened.write(f"{line}\n")


def is_own(file: pathlib.Path) -> bool:
    """Whether a file came with kgan, or kgan wrote exactly these bytes for this user."""
    if FOLDER.resolve() in file.resolve().parents:
        return True
    with contextlib.suppress(OSError):
        line = _checksum(file)
        return line in _own or line in notes().read_text(encoding="ascii", errors="replace").split()
    return False


def _checksum(file: pathlib.Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# --- what is a program ------------------------------------------------------------------------------------------------


def allows(file: pathlib.Path) -> bool:
    """Whether the program in a file may run."""
    return _trusted or is_own(file)


def require(file: pathlib.Path, what: str) -> None:
    """Raise UserError if the program in a file may not run. `what` says what it is, as in "is a SavedModel"."""
    if not allows(file):
        raise UserError(
            f"{file}: {what}, a program that kgan did not write here; give --trust if you trust who wrote it"
        )


def foreign_parts(config: TrainConfig) -> list[str]:
    """The parts of other packages and modules that the settings name. Their code runs when they are read."""
    named = [(name, part, table) for name, table in TABLES.items() for part in (getattr(config, name) or "").split(",")]
    named += [("weight", word.partition("=")[0], TERMS) for word in config.weight]
    return [f"{name} {part}" for name, part, table in named if part and (":" in part or table.is_foreign(part))]


def require_settings(config: TrainConfig, file: pathlib.Path) -> None:
    """Raise UserError if settings that were read from a file name code that may not run."""
    if parts := foreign_parts(config):
        require(file, f"names {', '.join(parts)} of another package")
