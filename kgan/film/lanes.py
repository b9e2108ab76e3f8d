"""Threads beside the network: one decodes frames before they are needed, one encodes them after they are made.

The queues between them are bounded, so that the memory does not grow with the length of a film. An error in a thread
is raised where its result is used.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()


def ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Iterate in a thread over up to `depth` items more than are taken.

    Args:
        items: what to iterate over. If it is a generator, it is closed at the end.
        depth: the most items that wait.

    Returns:
        An iterator over the items. Closing it ends the thread.
    """
    waiting: queue.Queue[Any] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: Any) -> None:
        while not stopped.is_set():
            try:
                return waiting.put(item, timeout=0.1)
            except queue.Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    break
            put(_END)
        except BaseException as error:
            put(error)
        finally:
            getattr(items, "close", lambda: None)()

    thread = threading.Thread(target=run, name="kgan-film-ahead", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


class Behind:
    """A context with a thread that consumes items in their order.

    Args:
        consume: a function of one item.
        depth: the most items that wait. `put` waits if there are more.
    """

    def __init__(self, consume: Callable[[Any], None], depth: int):
        self._consume = consume
        self._error: BaseException | None = None
        self._waiting: queue.Queue[Any] = queue.Queue(depth)
        self._thread = threading.Thread(target=self._run, name="kgan-film-behind", daemon=True)

    def __enter__(self) -> "Behind":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._waiting.put(_END)
        self._thread.join()

    def put(self, item: Any) -> None:
        """Add an item. Raises the error of an earlier one."""
        self.check()
        self._waiting.put(item)

    def finish(self) -> None:
        """Wait until all items are consumed. Raises their error."""
        self._waiting.join()
        self.check()

    def check(self) -> None:
        """Raise the error of an earlier item, if there is one."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while True:
            item = self._waiting.get()
            try:
                if item is _END:
                    return
                if self._error is None:
                    self._consume(item)
            except BaseException as error:
                self._error = error
            finally:
                self._waiting.task_done()
