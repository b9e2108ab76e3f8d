"""Reads the facts of an exported file, which may come from somebody else."""

import dataclasses
import math
from typing import Any

from kgan.errors import UserError
from kgan.foreign_json import parsed_json
from kgan.inference.stylist import Facts

MOST = 2**16
"""The largest whole number in facts."""


def parsed_facts(content: bytes, where: object) -> Facts:
    """Parse facts.

    Args:
        content: the JSON text.
        where: the file, for messages.

    Returns:
        The facts.

    Raises:
        UserError: if a fact is unknown, missing or out of range.
    """
    try:
        facts = Facts(**parsed_json(content))
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: its facts cannot be read ({error})") from None
    odd = [field.name for field in dataclasses.fields(Facts) if not _fits(field.name, getattr(facts, field.name))]
    if odd:
        raise UserError(f"{where}: its facts cannot be used: {odd[0]} is {str(getattr(facts, odd[0]))[:80]}")
    return facts


def _fits(name: str, value: Any) -> bool:
    if name == "takes_content":
        return isinstance(value, bool)
    if name == "distribution":
        return value in ("normal", "uniform", "truncated")
    if name == "floats_at_peak":
        return isinstance(value, dict) and (not value or value.keys() >= {"tensorflow", "litert"}) and all(
            map(_is_positive, value.values())
        )  # fmt: skip
    if name == "truncation":
        return _is_positive(value)
    least = {"channels": 1, "filters": 1, "stride": 1}.get(name, 0)
    return type(value) is int and least <= value <= (4 if name == "channels" else MOST)


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf
