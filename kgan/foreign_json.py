"""JSON that somebody else may have written.

This module does not import TensorFlow.
"""

import json
import math
import pathlib
from typing import Any, NoReturn

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
