"""Errors that a user can mend, and the words of messages. The command line prints an error as one line.

Messages are written with the options of the command line, as in "--batch-size should be above 0". Whoever calls kgan
from Python reads the names of arguments instead: "batch_size should be above 0" (`worded`).
"""

import contextlib
import difflib
import re
import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They change the direction of writing, so that a name reads otherwise than it is."""


def shown(text: object) -> str:
    r"""A path, or any text with names of files in it, as a person may see it: on one line, with nothing hidden.

    Bytes that are no UTF-8, line ends, and what would drive a terminal, become escapes.

    >>> shown("caf\udce9.png"), shown("a\nb\x1b[2J")
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


# --- who reads --------------------------------------------------------------------------------------------------------

_OPTION = re.compile(r"(?<![\w./-])--([a-z]+(?:-[a-z]+)*)(?![\w/-]|\.\w)")

_for_command_line = False


@contextlib.contextmanager
def for_command_line() -> Iterator[None]:
    """Inside, messages are for whoever typed a command."""
    global _for_command_line
    before, _for_command_line = _for_command_line, True
    try:
        yield
    finally:
        _for_command_line = before


def worded(text: str) -> str:
    """A message in the words of its reader: options stay for the command line, and are arguments in Python.

    >>> worded("--batch-size should be above 0")
    'batch_size should be above 0'
    """
    return text if _for_command_line else _OPTION.sub(lambda found: found[1].replace("-", "_"), text)


def call(command: str, *files: object, **options: object) -> str:
    """How a command is run, for messages, in the words of its reader.

    >>> call("train", run="runs/a", resume=True), call("generate")
    ("kgan.train(run='runs/a', resume=True)", 'kgan.generate')
    >>> with for_command_line():
    ...     call("train", run="runs/a", resume=True)
    'kgan train --run runs/a --resume'
    """
    if not _for_command_line:
        given = [
            *(repr(str(file)) for file in files),
            *(f"{name}={_in_python(value)}" for name, value in options.items()),
        ]
        return f"kgan.{command}({', '.join(given)})" if given else f"kgan.{command}"
    words = ["kgan", command, *(shlex.quote(str(file)) for file in files)]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [shlex.quote(str(value))])]
    return " ".join(words)


def _in_python(value: object) -> str:
    return repr(value) if isinstance(value, int | float) or value is None else repr(str(value))


# --- errors -----------------------------------------------------------------------------------------------------------


class UserError(ValueError):
    """Something the user gave is wrong. The text says what, where, and what to do. Exit status 2."""

    status = 2

    def __str__(self) -> str:
        return shown(worded(super().__str__()))


class RunError(UserError):
    """The machine or the training failed: disk full, NaN, out of memory. Exit status 1."""

    status = 1
