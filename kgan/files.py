"""Atomic writing, JSON that somebody else may have written, locks between processes, and "~" for the home folder.

This module does not import TensorFlow.
"""

import contextlib
import fcntl
import functools
import inspect
import json
import math
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, ParamSpec, TypeVar

from kgan.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")

PARTIAL = ".partial"
"""The end of the names of folders with incomplete files. The names begin with a dot, so that no command reads them."""


# --- atomic writing ---------------------------------------------------------------------------------------------------


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


# --- JSON of others ---------------------------------------------------------------------------------------------------

MOST_JSON = 2**20
"""The longest JSON text in bytes that describes a model."""


def read_json(path: pathlib.Path) -> Any:
    """Read a JSON file that may come from somebody else. `parsed_json` says what is refused.

    Args:
        path: the file.

    Returns:
        The value.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the text is refused.
    """
    with path.open("rb") as file:
        return parsed_json(file.read(MOST_JSON + 1))


def parsed_json(content: bytes) -> Any:
    """Parse JSON that may come from somebody else.

    Args:
        content: the text in UTF-8.

    Returns:
        The value.

    Raises:
        ValueError: if the text is not JSON, is longer than `MOST_JSON`, is nested too deeply, contains a name twice in
            an object, or a number that is not finite.

    Example:

    >>> parsed_json(b'{"filters": 32}')
    {'filters': 32}
    """
    if len(content) > MOST_JSON:
        raise ValueError(f"is longer than {MOST_JSON} bytes")
    try:
        return json.loads(
            content.decode(), object_pairs_hook=_each_once, parse_constant=_not_finite, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"contains {name[:80]!r} twice")
        made[name] = value
    return made


def _finite(text: str) -> float:
    return number if math.isfinite(number := float(text)) else _not_finite(text)


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"contains {text[:20]}, which is not finite")


# --- locks ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(path: pathlib.Path, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """A lock between processes. The system releases it if the process dies.

    On a file system without locks, the block runs without one.

    Args:
        path: a folder, or a file, which is made if it does not exist.
        waiting: a function that is called before this process waits for another one. It may raise an error.
    """
    with _opened(path) as file:
        if _taken(file, fcntl.LOCK_EX | fcntl.LOCK_NB) is False:
            if waiting:
                waiting()
            _taken(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def shared(path: pathlib.Path, alone: Callable[[], object]) -> Iterator[None]:
    """A lock that several processes may have at the same time.

    Args:
        path: a folder, or a file, which is made if it does not exist.
        alone: a function that is called first if no other process has the lock. Others wait until it is done.
    """
    with _opened(path) as file:
        if _taken(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            alone()
        _taken(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(file: int, kind: int) -> bool | None:
    """Whether the lock was acquired, or None on a file system without locks."""
    try:
        fcntl.flock(file, kind)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None


# --- names ------------------------------------------------------------------------------------------------------------


def expanded(path: str | bytes | os.PathLike) -> str | pathlib.Path:
    """Replace "~" or "~name" at the start of a path by the home folder.

    "~name" stays if there is no such user, because it may be the name of a file.

    Args:
        path: the path, which may be bytes, as `os.listdir(b".")` gives.

    Returns:
        The path, a string if `path` is one or bytes.

    Raises:
        UserError: if this user has no home folder, as in a container without HOME.
    """
    whole = os.fsdecode(os.path.expanduser(path))
    if whole.split(os.sep)[0] == "~":  # otherwise a folder of this name would be made
        raise UserError(f"{whole}: the home folder is not known; set HOME, or give a path without ~, as by --cache")
    return whole if isinstance(path, str | bytes) else pathlib.Path(whole)


def path_parameters(function: Callable) -> set[str]:
    """The names of the parameters of a function that take paths: their annotations contain os.PathLike."""
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name for parameter in parameters if "PathLike" in str(parameter.annotation)}


def expands_paths(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that its `path_parameters` are `expanded`."""
    signature, paths = inspect.signature(function), path_parameters(function)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        for name in paths & bound.arguments.keys():
            bound.arguments[name] = _each_expanded(bound.arguments[name])
        return function(*bound.args, **bound.kwargs)

    return called


def several(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str | os.PathLike]:
    """A list of paths, where a single path is accepted too."""
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def _each_expanded(value):
    if isinstance(value, str | bytes | os.PathLike):
        return expanded(value)
    return [_each_expanded(each) for each in value] if isinstance(value, Iterable) else value
