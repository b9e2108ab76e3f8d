"""Prints results to stdout, and messages and progress to stderr. This module does not import TensorFlow.

Results are pictures, tables and lists that the user asks for. Progress is a bar on a terminal and a line from time to
time in a pipe. With --quiet, only results, warnings and errors are printed.

In a Python program, messages, warnings and lines of progress are also records of the logger "kgan". They are printed
too, until the program sets up that logger, or logs to the terminal (`uses_logging`).
"""

import contextlib
import functools
import logging
import math
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator

from kgan.errors import is_command_line, shown, worded

logger = logging.getLogger("kgan")

SECONDS_BETWEEN_LINES = 10.0

_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """Print only results, warnings and errors, or with False everything."""
    global _quiet
    _quiet = quiet


def result(text: str) -> None:
    """Print a result of the command to stdout."""
    print("\n".join(map(shown, text.split("\n"))), flush=True)


def say(text: str) -> None:
    """Print a message to stderr, unless --quiet is given. Its level in `logging` is INFO."""
    _log(logging.INFO, text)
    if not _quiet and not uses_logging():
        _print(text)


def warn(text: str) -> None:
    """Print a warning to stderr. Its level in `logging` is WARNING."""
    _log(logging.WARNING, text)
    if not uses_logging():
        _print(f"kgan: {text}")


def uses_logging() -> bool:
    """Whether messages go to `logging` alone.

    That is so in a Python program that gives the logger "kgan" a handler or a level, or whose root logger writes to the
    terminal, as after `logging.basicConfig()`. Then kgan shows no progress bars either.
    """
    if is_command_line():
        return False
    return bool(logger.handlers or logger.level) or any(map(_is_on_terminal, logging.root.handlers))


def _is_on_terminal(handler: logging.Handler) -> bool:
    stream = getattr(handler, "stream", None) or getattr(getattr(handler, "console", None), "file", None)  # or rich's
    return stream is not None and stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)


def _log(level: int, text: str) -> None:
    text = text.removeprefix("kgan: ")  # the name of the logger says it
    if text and not is_command_line() and (uses_logging() or logger.hasHandlers()):
        logger.log(level, "%s", shown(worded(text)), stacklevel=3)  # the place of the record is the caller of `say`


def _print(text: str) -> None:
    text = shown(worded(text))
    if is_terminal():
        terminal().print(text, soft_wrap=True)  # above the progress bar, if there is one
    else:
        print(text, file=sys.stderr, flush=True)


@functools.cache
def terminal():
    """The rich console on stderr, without markup."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def is_terminal() -> bool:
    """Whether stderr is a terminal."""
    return sys.stderr.isatty() and terminal().is_terminal


def shows_bars() -> bool:
    """Whether progress is shown as a bar: on a terminal, without --quiet, and if messages do not go to `logging`."""
    return is_terminal() and not _quiet and not uses_logging()


def bar(*columns):
    """A rich Progress with these columns, or None if no bars are shown."""
    from rich.progress import Progress

    return Progress(*columns, console=terminal()) if shows_bars() else None


class Pace:
    """Estimates the remaining time from the speed so far.

    Args:
        work: total amount of work.
        seconds: expected time for all of it, if it is known before the first item is done.
    """

    def __init__(self, work: float, seconds: float | None = None):
        self.work, self.done = work, 0.0
        self._rate = seconds and seconds / work
        self._began = self._last = time.monotonic()

    def advance(self, amount: float) -> None:
        """Add an amount of work that is done."""
        self.done += amount
        self._last = time.monotonic()
        self._rate = (self._last - self._began) / self.done if self.done else self._rate

    @property
    def speed(self) -> float:
        """The amount of work that is done in a second."""
        return self.done / max(self._last - self._began, 1e-9)

    @property
    def left(self) -> str:
        """The remaining time as text. Empty if it is unknown or less than a second."""
        if math.isinf(self.work):
            return ""
        seconds = (self.work - self.done) * (self._rate or 0.0) - (time.monotonic() - self._last)
        return f"{duration(seconds)} left" if seconds >= 1 else ""


class Progress:
    """Prints the progress as lines of text.

    Args:
        total: number of items.
        what: description of the work.
        pace: estimate of the remaining time.
        unit: unit of the speed, such as "frames/s", or an empty string if the speed is not shown.
    """

    def __init__(self, total: int, what: str, pace: Pace, unit: str = ""):
        self._total, self._what, self._done, self._pace, self._unit = total, what, 0, pace, unit
        self._last = time.monotonic()

    def advance(self, amount: float = 1, items: int = 1) -> None:
        """Count this amount of the work, and the items that are done with it: 0 within an item."""
        self._done += items
        self._pace.advance(amount)
        now = time.monotonic()
        if (items and self._done == self._total) or now - self._last > SECONDS_BETWEEN_LINES:
            self._last = now
            self._show()

    @property
    def count(self) -> str:
        """The number of items that are done, such as 3/40. Without a total, it is a number alone."""
        return f"{self._done}/{self._total}" if self._total else f"{self._done}"

    @property
    def speed(self) -> str:
        """The speed, such as 2.5 frames/s. Empty without a unit."""
        return f"{self._pace.speed:.1f} {self._unit}" if self._unit and self._done else ""

    def _show(self) -> None:
        say(", ".join(filter(None, [f"{self._what} {self.count}", self.speed, self._pace.left])))


class Bar(Progress):
    """Shows the progress as a bar with the remaining time."""

    def __init__(self, shown, total: int, what: str, pace: Pace, unit: str = ""):
        super().__init__(total, what, pace, unit)
        work = pace.work if total else None
        self._bar, self._task = shown, shown.add_task(what, total=work, count=self.count, speed="", pace=pace)

    def advance(self, amount: float = 1, items: int = 1) -> None:
        """Count this amount of the work, and the items that are done with it: 0 within an item."""
        self._done += items
        self._pace.advance(amount)
        self._bar.update(self._task, advance=amount, count=self.count, speed=self.speed)


@contextlib.contextmanager
def progress(
    total: int, what: str, work: float | None = None, seconds: float | None = None, unit: str = ""
) -> Iterator[Progress]:
    """A context that shows the progress and the remaining time.

    Args:
        total: number of items, or 0 if it is not known.
        what: description of the work.
        work: total amount of work, for items of different sizes. Give the amount of each item to `advance`.
        seconds: expected time for all items, if it is known.
        unit: unit of the speed, if it is shown.
    """
    from rich.progress import BarColumn, TextColumn

    pace = Pace(work or total or math.inf, seconds)
    left = TextColumn("{task.fields[pace].left}")
    speed = [TextColumn("{task.fields[speed]}")] if unit else []
    shown = bar(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), *speed, left)
    if shown is None:
        yield Progress(total, what, pace, unit)
        return
    with shown:
        yield Bar(shown, total, what, pace, unit)


def duration(seconds: float) -> str:
    """Format a time, such as "45 s", "4 min" or "2 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """A context in which the output of C++ libraries to the terminal is hidden. After an error, it is printed."""
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


def leave_terminal() -> None:
    """Send what is printed to a terminal from now on to nowhere. An error of a closed one would end the last work."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        with contextlib.suppress(OSError):  # closed by the parent process
            if stat.S_ISCHR(os.fstat(number).st_mode):  # `isatty` is false for a terminal that is closed
                os.dup2(nowhere, number)
    os.close(nowhere)


def accept_any_text() -> None:
    """Escape characters that the encoding of the terminal cannot represent, such as \\xe9 or \\udcff, in all output."""
    _open_standard_files()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the parent process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _open_standard_files() -> None:
    """Open files 0, 1 and 2 if the parent process closed them. Otherwise a file of kgan would get the number of one."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
