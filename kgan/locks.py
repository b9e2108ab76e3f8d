"""Locks between processes.

This module does not import TensorFlow.
"""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def locked(path: pathlib.Path, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """A lock between processes. The system releases it if the process dies.

    On a file system without locks, the block runs without one.

    Args:
        path: a folder, or a file, which is made if it does not exist.
        waiting: a function that is called before this process waits for another one. It may raise an error.
    """
    with _opened(path) as file:
        if _taken(file, fcntl.LOCK_EX | fcntl.LOCK_NB) is False:
            if waiting:
                waiting()
            _taken(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def shared(path: pathlib.Path, alone: Callable[[], object]) -> Iterator[None]:
    """A lock that several processes may have at the same time.

    Args:
        path: a folder, or a file, which is made if it does not exist.
        alone: a function that is called first if no other process has the lock. Others wait until it is done.
    """
    with _opened(path) as file:
        if _taken(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            alone()
        _taken(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(file: int, kind: int) -> bool | None:
    """Whether the lock was acquired, or None on a file system without locks."""
    try:
        fcntl.flock(file, kind)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None
