"""Paths that a user gives: "~" for the home folder, and one path or several.

This module does not import TensorFlow.
"""

import functools
import inspect
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from kgan.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")


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
