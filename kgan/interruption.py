"""SIGTERM and Ctrl-C: at once while nothing would be lost, after the step and its checkpoint while training."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from kgan.errors import UserError, counted, is_or_are

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(UserError):
    """The process was asked to end and could not bring its work to an end before. Exit status 130, as a shell's."""

    status = 130


class Tally:
    """How many pictures are done."""

    done = 0

    def advance(self) -> None:
        """One more is done."""
        self.done += 1


@contextlib.contextmanager
def tallied(total: int) -> Iterator[Tally]:
    """Inside, SIGTERM and Ctrl-C end the work with `Interrupted`, which says how many pictures of `total` are done."""
    tally = Tally()
    with Interruption():
        try:
            yield tally
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted: {tally.done} of {counted(total, 'picture')} {is_or_are(tally.done)} done; "
                "--skip-existing leaves these and does the others"
            ) from None


class Interruption:
    """Inside `with Interruption() as stop:` both signals raise KeyboardInterrupt, wherever the program is.

    Inside `with stop.held():` they only set `stop.asked`, for a loop that ends by itself; asked twice, they raise.
    Outside of the main thread, where Python allows no handlers, nothing changes.
    """

    def __init__(self):
        self.asked = False
        self._holding = False
        self._former = {}

    def __enter__(self) -> "Interruption":
        self._former = self._listen()
        return self

    def _listen(self) -> dict:
        """Take the signals; returns the handlers they had."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._handle) for number in SIGNALS}

    def again(self) -> None:
        """Take the signals back: TensorFlow takes SIGTERM for itself when it reaches out for other workers."""
        self._listen()

    def __exit__(self, *_) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._holding = True
        self.again()
        try:
            yield
        finally:
            self._holding = False

    def _handle(self, number: int, frame) -> None:
        again, self.asked = self.asked, True
        if again or not self._holding:
            raise KeyboardInterrupt
