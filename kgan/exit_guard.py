"""Signals that end the program: at once where nothing is lost, and while training after the step is saved.

They are Ctrl-C, SIGTERM (of `kill` and of job schedulers) and SIGHUP, which comes when a terminal is closed.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from kgan import console
from kgan.errors import UserError, counted, is_or_are

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(UserError):
    """A signal ended the process before its work was done. The exit status is 130, as in a shell."""

    status = 130


class PictureCounter:
    """The number of pictures that are done."""

    done = 0

    def advance(self) -> None:
        """Count one more picture."""
        self.done += 1


@contextlib.contextmanager
def interrupted_as(said: Callable[[], str]) -> Iterator[None]:
    """Inside, `SIGNALS` raise `Interrupted` with what `said` returns then, after unfinished files are gone."""
    with ExitGuard():
        try:
            yield
        except KeyboardInterrupt:
            raise Interrupted(said()) from None


@contextlib.contextmanager
def interruptible(total: int) -> Iterator[PictureCounter]:
    """Inside, `SIGNALS` raise `Interrupted`, which says how many of the `total` pictures are done."""
    counter = PictureCounter()

    def said() -> str:
        done = f"{counter.done} of {counted(total, 'picture')} {is_or_are(counter.done)} done"
        return f"interrupted: {done}; --skip-existing leaves these and does the others"

    with interrupted_as(said):
        yield counter


class ExitGuard:
    """A context in which `SIGNALS` raise KeyboardInterrupt, or are deferred.

    Inside `with ExitGuard() as guard:` they raise KeyboardInterrupt at once. Inside `with guard.deferred():` the first
    signal only sets `guard.requested`, which a loop reads to end by itself. A second signal raises.

    SIGHUP stays ignored where it was, as under `nohup`, whose user wants the program to outlive the terminal.

    Python sets signal handlers in the main thread only. In another thread the guard does nothing.
    """

    def __init__(self):
        self.requested = False
        self._deferring = False
        self._former = {}

    def __enter__(self) -> "ExitGuard":
        self._former = self._install()
        return self

    def _install(self) -> dict:
        """Install the handlers. Returns the handlers that they replace."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        ignored = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else []
        return {number: signal.signal(number, self._handle) for number in SIGNALS if number not in ignored}

    def reinstall(self) -> None:
        """Install the handlers again, because TensorFlow replaces the one of SIGTERM when it connects to workers."""
        self._install()

    def __exit__(self, *_) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """A context in which the first signal sets `requested` and does not raise."""
        self._deferring = True
        self.reinstall()
        try:
            yield
        finally:
            self._deferring = False

    def _handle(self, number: int, frame) -> None:
        if number == signal.SIGHUP:
            console.leave_terminal()
        again, self.requested = self.requested, True
        if again or not self._deferring:
            raise KeyboardInterrupt
