"""Maps a function over many items in worker processes, in order and with bounded memory."""

import collections
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from kgan.errors import RunError

FEW = 64
"""Up to this number of items is processed in this process, because it takes longer to start workers."""

_UNGUARDED = "In a script of your own, start kgan under `if __name__ == '__main__':`"


def map_in_processes(function: Callable, items: Iterable) -> Iterator:
    """`map(function, items)` in worker processes, one for each processor.

    At most four items per worker are in progress, so that memory is bounded when the results are read slowly.

    Args:
        function: an importable function of one item.
        items: the items; they and the results must be picklable.

    Returns:
        An iterator over the results, in the order of the items.

    Raises:
        RunError: if a worker process dies.
    """
    items = iter(items)
    few = list(itertools.islice(items, FEW + 1))
    if len(few) <= FEW or _processors() == 1 or not _can_start_workers():
        yield from map(function, itertools.chain(few, items))
        return
    context = multiprocessing.get_context("spawn")  # fork copies TensorFlow's threads' locks and hangs
    with ProcessPoolExecutor(_processors(), context, _follow_parent, (os.getpid(),)) as pool:
        try:
            yield from _windowed(pool, function, itertools.chain(few, items))
        except BrokenProcessPool:
            raise RunError(
                f"a worker process died while reading pictures: is there enough memory? {_UNGUARDED}"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def refuse_inside_a_worker() -> None:
    """Raise RunError in a worker process that is still importing the main script of its parent.

    This happens when the script trains at its top level. The worker would wait for the parent's lock, and the parent
    for the worker.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RunError(_UNGUARDED)


def _windowed(pool: ProcessPoolExecutor, function: Callable, items: Iterator) -> Iterator:
    waiting = collections.deque(pool.submit(function, item) for item in itertools.islice(items, 4 * _processors()))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(function, item) for item in itertools.islice(items, 1))
        yield result


def _follow_parent(parent: int) -> None:
    """In a worker: ignore signals of the terminal, which the parent handles, and exit when the parent is gone."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _can_start_workers() -> bool:
    """Whether workers find the main script, which they import. A script from standard input is no file."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    return script is None or os.path.exists(script)


def _processors() -> int:
    """The processors that this process may use. A container or taskset may allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
