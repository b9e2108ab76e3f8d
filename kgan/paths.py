"""Paths with "~" for the home folder, in options and in Python. This module imports no TensorFlow."""

import functools
import inspect
import os
import pathlib
from collections.abc import Callable, Iterable


def expanded(path: str | os.PathLike) -> str | pathlib.Path:
    """Replace "~" or "~name" at the start of a path by the home folder.

    "~name" stays if there is no such user, because it may be the name of a file.

    Args:
        path: the path.

    Returns:
        The path, a string if `path` is one.
    """
    whole = os.path.expanduser(path)
    return whole if isinstance(path, str) else pathlib.Path(whole)


def path_parameters(function: Callable) -> set[str]:
    """The names of the parameters of a function that take paths: their annotations contain os.PathLike."""
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name for parameter in parameters if "PathLike" in str(parameter.annotation)}


def expands_paths(function: Callable) -> Callable:
    """Decorate a function so that each of its `path_parameters` is `expanded`."""
    signature, paths = inspect.signature(function), path_parameters(function)

    @functools.wraps(function)
    def called(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        for name in paths & bound.arguments.keys():
            bound.arguments[name] = _each_expanded(bound.arguments[name])
        return function(*bound.args, **bound.kwargs)

    return called


def _each_expanded(value):
    if isinstance(value, str | os.PathLike):
        return expanded(value)
    return [_each_expanded(each) for each in value] if isinstance(value, Iterable) else value
