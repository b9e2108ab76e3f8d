"""Python functions for tf.data that do not abort the process when it exits.

The threads of tf.data read ahead until the process ends. A thread that waits for Python's lock while the interpreter
shuts down is terminated inside C++ code, and the process aborts with exit status 134 after a successful training. To
prevent this, every call fails at exit. The buffers of the threads fill up with errors, and the exit waits until no
thread calls any more.
"""

import atexit
import threading
import time
from collections.abc import Callable

QUIET, PATIENCE = 0.1, 5.0
"""The exit waits until there was no call for QUIET seconds, but for at most PATIENCE seconds."""

_closed = threading.Event()
_last_call = [0.0]


def gated(function: Callable) -> Callable:
    """The same function, but it raises InterruptedError once the interpreter exits."""

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
