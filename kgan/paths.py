"""Paths as a person writes them: "~" is the home folder, in options and in Python. No TensorFlow here."""

import functools
import inspect
import os
import pathlib
from collections.abc import Callable, Iterable


def expanded(path: str | os.PathLike) -> str | pathlib.Path:
    """The path with "~" or "~name" at its start replaced by that home folder; a text stays a text.

    One of a name that nobody has is left as it is: a file may be called so.
    """
    whole = os.path.expanduser(path)
    return whole if isinstance(path, str) else pathlib.Path(whole)


def path_parameters(function: Callable) -> set[str]:
    """The names of its parameters that take a path, or several: their annotations name os.PathLike."""
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name for parameter in parameters if "PathLike" in str(parameter.annotation)}


def expands_paths(function: Callable) -> Callable:
    """The function, which gets each of its `path_parameters` `expanded`."""
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
