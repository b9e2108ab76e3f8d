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

from kgan.errors import shown, worded

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
    text = shown(worded(text))
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


class Pace:
    """How much of the work is done, and at the pace so far how long the rest takes. Items may be unequal shares of it.

    `seconds`: how long all of it is expected to take, where that is known before the first item is done.
    """

    def __init__(self, work: float, seconds: float | None = None):
        self.work, self.done = work, 0.0
        self._rate = seconds and seconds / work
        self._began = self._last = time.monotonic()

    def advance(self, amount: float) -> None:
        """So much more is done."""
        self.done += amount
        self._last = time.monotonic()
        self._rate = (self._last - self._began) / self.done if self.done else self._rate

    @property
    def left(self) -> str:
        """The time until all is done, in words; nothing while that is not known, or less than a second."""
        seconds = (self.work - self.done) * (self._rate or 0.0) - (time.monotonic() - self._last)
        return f"{duration(seconds)} left" if seconds >= 1 else ""


class Progress:
    """How many of `total` are done: call `advance()` after each, `notice(line)` for what should be told."""

    def __init__(self, total: int, what: str, pace: Pace):
        self._total, self._what, self._done, self._pace = total, what, 0, pace
        self._last = time.monotonic()

    def advance(self, amount: float = 1) -> None:
        """One more is done, which was `amount` of the work."""
        self._done += 1
        self._pace.advance(amount)
        now = time.monotonic()
        if self._done == self._total or now - self._last > SECONDS_BETWEEN_LINES:
            self._last = now
            self._show()

    @property
    def count(self) -> str:
        """As 3/40."""
        return f"{self._done}/{self._total}"

    def _show(self) -> None:
        say(", ".join(filter(None, [f"{self._what} {self.count}", self._pace.left])))

    def notice(self, line: str) -> None:
        """Print a whole line, unless --quiet is given."""
        say(line)


class Bar(Progress):
    """The same as a bar with the time left."""

    def __init__(self, shown, total: int, what: str, pace: Pace):
        super().__init__(total, what, pace)
        self._bar, self._task = shown, shown.add_task(what, total=pace.work, count=self.count, pace=pace)

    def advance(self, amount: float = 1) -> None:
        """One more is done, which was `amount` of the work."""
        self._done += 1
        self._pace.advance(amount)
        self._bar.update(self._task, advance=amount, count=self.count)


@contextlib.contextmanager
def progress(total: int, what: str, work: float | None = None, seconds: float | None = None) -> Iterator[Progress]:
    """Shows how many of `total` are done, and how long the rest takes.

    Where items are unequal, `work` is the sum of their sizes, and each says its own: `advance(amount)`. `seconds` is
    how long all is expected to take, if that is known.
    """
    from rich.progress import BarColumn, TextColumn

    pace = Pace(work or total, seconds)
    left = TextColumn("{task.fields[pace].left}")
    shown = bar(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), left)
    if shown is None:
        yield Progress(total, what, pace)
        return
    with shown:
        yield Bar(shown, total, what, pace)


def duration(seconds: float) -> str:
    """As a person says it: "45 s", "4 min", "2 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


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
