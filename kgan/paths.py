"""Paths with "~" for the home folder, in options and in Python. This module imports no TensorFlow."""

import functools
import inspect
import os
import pathlib
import re
from collections.abc import Callable, Iterable

_SEVERAL = re.compile(r"Sequence\[|Iterable\[")


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
    """Decorate a function so that each of its `path_parameters` is `expanded`. One path does where several may be."""
    signature, paths = inspect.signature(function), path_parameters(function)
    several = {name for name in paths if _SEVERAL.search(str(signature.parameters[name].annotation))}

    @functools.wraps(function)
    def called(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        for name in paths & bound.arguments.keys():
            given = bound.arguments[name]
            one_of_several = name in several and isinstance(given, str | os.PathLike)
            bound.arguments[name] = _each_expanded([given] if one_of_several else given)
        return function(*bound.args, **bound.kwargs)

    return called


def _each_expanded(value):
    if isinstance(value, str | os.PathLike):
        return expanded(value)
    return [_each_expanded(each) for each in value] if isinstance(value, Iterable) else value
