"""Errors that a user can mend. The command line prints their text as one line, without a traceback."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They change the direction of writing, so that a name reads otherwise than it is."""


def shown(text: object) -> str:
    r"""A path, or any text with names of files in it, as a person may see it: on one line, with nothing hidden.

    Bytes that are no UTF-8, line ends, and what would drive a terminal, become escapes.

    >>> shown(pathlib.Path("caf\udce9.png")), shown("a\nb\x1b[2J")
    ('caf\\xe9.png', 'a\\nb\\x1b[2J')
    """
    return "".join(map(_escaped, str(text)))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python keeps a byte of a file name that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNING:
        return character.encode("ascii", "backslashreplace").decode() if character > "\x7f" else repr(character)[1:-1]
    return character


def counted(count: int, thing: str) -> str:
    """ "1 picture", "2 pictures": for things whose plural takes an s."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def is_or_are(count: int) -> str:
    """The verb of so many things."""
    return "is" if count == 1 else "are"


def some(names: Sequence[str], most: int = 10, between: str = ", ") -> str:
    """ "a, b, c": the first of them, and how many more there are."""
    more = len(names) - most
    return between.join(names[:most]) + (f"{between}and {more} more" if more > 0 else "")


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """ "did you mean X? " with the known word that is most like this one; nothing where none is."""
    near = difflib.get_close_matches(word, list(known), 1, cutoff)
    return f"did you mean {near[0]}? " if near else ""


class UserError(Exception):
    """Something the user gave is wrong. The text says what, where, and what to do. Exit status 2."""

    status = 2

    def __str__(self) -> str:
        return shown(super().__str__())


class RunError(UserError):
    """The machine or the training failed: disk full, NaN, out of memory. Exit status 1."""

    status = 1
