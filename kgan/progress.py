"""How far a command is: a bar on a terminal, plain lines in a pipe."""

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


class Plain:
    """A line now and then on stdout; notices go to stderr."""

    def __init__(self, total: int, what: str):
        self._total, self._what, self._done = total, what, 0
        self._last = time.monotonic()

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if self._done == self._total or now - self._last > SECONDS_BETWEEN_LINES:
            self._last = now
            print(f"{self._what} {self._done}/{self._total}", flush=True)

    def notice(self, line: str) -> None:
        """Tell one thing, whole, on stderr."""
        print(line, file=sys.stderr, flush=True)


class Bar:
    """A bar with the time left; notices appear above it."""

    def __init__(self, progress: Progress, total: int, what: str):
        self._progress, self._task = progress, progress.add_task(what, total=total)

    def advance(self) -> None:
        """One more is done."""
        self._progress.advance(self._task)

    def notice(self, line: str) -> None:
        """Tell one thing, whole, on stderr."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def progress(total: int, what: str) -> Iterator[Plain | Bar]:
    """Shows how many of `total` are done: call `advance()` after each, `notice(line)` for what must be told."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Plain(total, what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as shown:
        yield Bar(shown, total, what)
