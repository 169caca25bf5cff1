"""Runs calls that may never return, with a deadline for the caller.

A hung file system cannot be interrupted, so each call runs in a thread that can be abandoned. The
number of threads is limited: while all of them hang, no further call starts.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from service.infra.settings.shared import SharedSettings

T = TypeVar("T")


@dataclass(frozen=True)
class StoreDeadlines:
    """Timeouts of a call of the store."""

    connect_s: float = 2.0
    read_s: float = 10.0  # longest pause within a response
    total_s: float = 20.0  # all tries together; longer for large content: see Store
    tries: int = 2

    @classmethod
    def of_api(cls, settings: SharedSettings) -> Self:
        """Return the API's timeouts: a client waits for the answer."""
        return cls(settings.store_connect_s, settings.store_read_s, settings.store_total_s)

    @classmethod
    def of_worker(cls, settings: SharedSettings) -> Self:
        """Return the worker's longer timeouts: a failure would lose the computed result."""
        total_s = 3 * settings.store_total_s
        return cls(settings.store_connect_s, settings.store_read_s, total_s, tries=4)


class DeadlineThreads:
    """A bounded pool of daemon threads, started on demand."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._slots = threading.BoundedSemaphore(most)
        self._idle = threading.Semaphore(0)
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def run(self, action: Callable[[], T], *, within_s: float) -> T:
        """Call `action` in a thread. Raises its errors, and TimeoutError at the deadline."""
        until = time.monotonic() + within_s
        if not self._slots.acquire(timeout=max(within_s, 0)):
            raise TimeoutError(f"{self._most} earlier calls have not returned")
        called: Future[T] = Future()
        self._calls.put((called, action))
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._serve, name="store", daemon=True).start()
        try:
            return called.result(timeout=max(until - time.monotonic(), 0))
        except TimeoutError:
            if called.done():  # raised by the action
                raise
            raise TimeoutError(f"no response within {within_s:.3g} s") from None

    def _serve(self) -> None:
        while True:
            called, action = self._calls.get()
            try:
                called.set_result(action())
            except BaseException as error:
                called.set_exception(error)
            del called, action  # may hold large objects
            self._idle.release()  # before the slot, whose next holder then reuses this thread
            self._slots.release()
