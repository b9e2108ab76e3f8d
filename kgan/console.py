"""What kgan says: results on stdout, all else on stderr, and less of it with --quiet. No TensorFlow here.

A picture, a table or a list that was asked for is a result. On a terminal how far a command is shows as a bar, in a
pipe as a line now and then.
"""

import contextlib
import functools
import os
import sys
import tempfile
import time
from collections.abc import Iterator

from kgan.errors import shown

SECONDS_BETWEEN_LINES = 10.0

_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """From now on say nothing but results, warnings and errors, or say everything again."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether --quiet was given."""
    return _quiet


def result(text: str) -> None:
    """What the command was asked for, on stdout."""
    print("\n".join(map(shown, text.split("\n"))), flush=True)


def say(text: str) -> None:
    """What a person may want to know, on stderr; not with --quiet."""
    if not _quiet:
        _tell(text)


def warn(text: str) -> None:
    """What a person should know, on stderr, with --quiet too."""
    _tell(f"kgan: {text}")


def _tell(text: str) -> None:
    text = shown(text)
    if is_terminal():
        terminal().print(text, soft_wrap=True)  # above a bar, should there be one
    else:
        print(text, file=sys.stderr, flush=True)


@functools.cache
def terminal():
    """The rich console on stderr, which takes text as it is."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def is_terminal() -> bool:
    """Whether somebody looks at stderr."""
    return sys.stderr.isatty() and terminal().is_terminal


def bar(*columns):
    """A rich Progress of these columns on the terminal; None in a pipe and with --quiet."""
    from rich.progress import Progress

    return Progress(*columns, console=terminal()) if is_terminal() and not _quiet else None


class Progress:
    """How many of `total` are done: call `advance()` after each, `notice(line)` for what should be told."""

    def __init__(self, total: int, what: str):
        self._total, self._what, self._done = total, what, 0
        self._last = time.monotonic()

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if self._done == self._total or now - self._last > SECONDS_BETWEEN_LINES:
            self._last = now
            self._show()

    def _show(self) -> None:
        say(f"{self._what} {self._done}/{self._total}")

    def notice(self, line: str) -> None:
        """Tell one thing, whole; not with --quiet."""
        say(line)


class Bar(Progress):
    """The same as a bar with the time left."""

    def __init__(self, shown, total: int, what: str):
        super().__init__(total, what)
        self._bar, self._task = shown, shown.add_task(what, total=total)

    def advance(self) -> None:
        """One more is done."""
        self._bar.advance(self._task)


@contextlib.contextmanager
def progress(total: int, what: str) -> Iterator[Progress]:
    """Shows how many of `total` are done."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    shown = bar(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    if shown is None:
        yield Progress(total, what)
        return
    with shown:
        yield Bar(shown, total, what)


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Inside, what C++ libraries write to the terminal by themselves is kept back: thrown away at the end, and shown
    should the block fail."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            said.seek(0)
            os.write(stderr, said.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


def accept_any_text() -> None:
    """Let no character stop a message: what the terminal's encoding lacks comes out escaped, as \\xe9 or \\udcff."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
