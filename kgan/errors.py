"""Errors that a user can correct, and the texts of messages. The command line prints an error as one line.

Messages contain the options of the command line, such as "--batch-size should be above 0". In Python, they contain the
names of arguments instead: "batch_size should be above 0" (`worded`).
"""

import contextlib
import difflib
import re
import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of writing, which can make a name look different."""


def shown(text: object) -> str:
    r"""Make a text safe to print on one line. Invalid UTF-8, line ends and control characters are escaped.

    Args:
        text: a path or a text that contains names of files.

    Returns:
        The text.

    Example:

    >>> shown("caf\udce9.png"), shown("a\nb\x1b[2J")
    ('caf\\xe9.png', 'a\\nb\\x1b[2J')
    """
    return "".join(map(_escaped, str(text)))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # Python's code for an invalid UTF-8 byte in a file name
        return f"\\x{ord(character) - 0xDC00:02x}"
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _DIRECTION_MARKS:
        return character.encode("ascii", "backslashreplace").decode() if character > "\x7f" else repr(character)[1:-1]
    return character


def counted(count: int, thing: str) -> str:
    """A number with a noun, such as "1 picture" or "2 pictures"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def is_or_are(count: int) -> str:
    """The verb for this number of things."""
    return "is" if count == 1 else "are"


def some(names: Sequence[str], most: int = 10, between: str = ", ") -> str:
    """Join the first `most` names, and add the number of the others."""
    more = len(names) - most
    return between.join(names[:most]) + (f"{between}and {more} more" if more > 0 else "")


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """A hint "did you mean X? " with the most similar known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), 1, cutoff)
    return f"did you mean {near[0]}? " if near else ""


def hinted(hint: str, rest: str) -> str:
    """The end of a message, behind a semicolon: "did you mean X? See ..." with a hint, and "see ..." without."""
    return f"{hint}{rest[0].upper()}{rest[1:]}" if hint else rest


# --- messages for the command line and for Python ---------------------------------------------------------------------

_OPTION = re.compile(r"(?<![\w./-])--([a-z]+(?:-[a-z]+)*)(?![\w/-]|\.\w)")

_for_command_line = False


@contextlib.contextmanager
def for_command_line() -> Iterator[None]:
    """A context in which messages contain options of the command line."""
    global _for_command_line
    before, _for_command_line = _for_command_line, True
    try:
        yield
    finally:
        _for_command_line = before


def is_command_line() -> bool:
    """Whether the command line is running. Otherwise, kgan is used from Python."""
    return _for_command_line


def worded(text: str) -> str:
    """Replace the options of the command line in a message by arguments, unless the command line is running.

    Args:
        text: the message.

    Returns:
        The message.

    Example:

    >>> worded("--batch-size should be above 0")
    'batch_size should be above 0'
    """
    return text if _for_command_line else _OPTION.sub(lambda found: found[1].replace("-", "_"), text)


def call(command: str, *files: object, **options: object) -> str:
    """The text of a command or of the equivalent Python call, for messages.

    Args:
        command: name of the command.
        *files: its files.
        **options: its options.

    Returns:
        The text.

    Example:

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
    """An input of the user is wrong. The message says what, where, and what to do. The exit status is 2."""

    status = 2

    def __str__(self) -> str:
        return shown(worded(super().__str__()))


class RunError(UserError):
    """The machine or the training failed, such as a full disk, NaN or too little memory. The exit status is 1."""

    status = 1


NOT_IN_THE_CLIENT = ("ai_edge_litert", "array_record", "h5py", "keras", "safetensors", "tensorboard", "tensorflow",
                     "tensorflow_datasets")  # fmt: skip
"""Modules that kgan requires and kgan-client (scripts/client) does not."""


class NotInstalledError(UserError, ImportError):
    """Something needs a module that kgan-client does not install."""


@contextlib.contextmanager
def needing_all_of_kgan(what: str) -> Iterator[None]:
    """A context in which a missing module that kgan requires is a clear error.

    Args:
        what: what needs the module, as the subject of the message.

    Raises:
        NotInstalledError: if such a module is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in NOT_IN_THE_CLIENT:
            raise
        raise NotInstalledError(f"{what} needs {error.name}, which is not installed: pip install kgan") from None
