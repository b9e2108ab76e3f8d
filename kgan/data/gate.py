"""A Python function inside tf.data that lets the process end in peace.

tf.data's threads read ahead until the very end. One that asks for the interpreter's lock while the interpreter shuts
down is killed by it inside C++ code, and the process aborts (exit status 134) after a training that went well. So at
exit calls fail at once, the threads' buffers fill up with errors, and the end waits until nobody calls any more.
"""

import atexit
import threading
import time
from collections.abc import Callable

QUIET, PATIENCE = 0.1, 5.0
"""Seconds without a call that count as the end; seconds to wait for that at most."""

_closed = threading.Event()
_last_call = [0.0]


def gated(function: Callable) -> Callable:
    """The function; from the interpreter's exit on, one that raises InterruptedError instead."""

    def call(*arguments):
        _last_call[0] = time.monotonic()
        if _closed.is_set():
            raise InterruptedError("kgan.data: the process is ending")
        try:
            return function(*arguments)
        finally:
            _last_call[0] = time.monotonic()

    return call


def _close() -> None:
    _closed.set()
    end = time.monotonic() + PATIENCE
    while _last_call[0] and time.monotonic() < min(end, _last_call[0] + QUIET):
        time.sleep(QUIET / 10)


atexit.register(_close)
